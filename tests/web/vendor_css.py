"""Writes `web/static/vendor/govuk.css`: the rules of govuk-frontend's stylesheet that the pages' classes need.

Run by hand when a page uses a class for the first time: `python tests/web/vendor_css.py <unpacked npm package>`, after
`npm pack govuk-frontend@6` and `tar xzf`. The whole stylesheet is 136 kB; the pages need less than half of it.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

WEB = Path(__file__).resolve().parents[2] / "src/onestop/web"
TARGET = WEB / "static/vendor/govuk.css"
_CLASS = re.compile(r"govuk-[a-zA-Z0-9_-]+")
_OWN_FONT = "var(--os-font)"
# Font and pictures of its own are not for use outside its makers' service.
_DROPPED = ("@font-face", "@charset")


def used() -> set[str]:
    """Return every class of the stylesheet that a template or the script names; unfinished names are completed."""
    names: set[str] = set()
    for path in (*WEB.glob("templates/*.html"), *WEB.glob("static/*.js")):
        names |= set(_CLASS.findall(path.read_text("utf-8")))
    colours = ("grey", "green", "blue", "yellow", "orange", "purple", "red")
    return {name for name in names if not name.endswith("--")} | {f"govuk-tag--{colour}" for colour in colours}


def blocks(css: str) -> Iterator[tuple[str, str]]:
    """Yield the rules of a level as what stands before the braces and what is between them."""
    start = position = 0
    while position < len(css):
        if css.startswith("/*", position):
            position = css.index("*/", position) + 2
            start = position
        elif css[position] == ";":
            start = position = position + 1
        elif css[position] == "{":
            depth, end = 1, position + 1
            while depth:
                depth += {"{": 1, "}": -1}.get(css[end], 0)
                end += 1
            yield css[start:position].strip(), css[position + 1 : end - 1]
            start = position = end
        else:
            position += 1


def kept(css: str, wanted: set[str]) -> str:
    """Return the rules whose every class is wanted."""
    parts = []
    for head, body in blocks(css):
        if head.startswith(_DROPPED):
            continue
        if head.startswith(("@media", "@supports")):
            inner = kept(body, wanted)
            if inner:
                parts.append(f"{head}{{{inner}}}")
            continue
        selectors = [one for one in head.split(",") if head.startswith("@") or set(_CLASS.findall(one)) <= wanted]
        if selectors and "url(" not in body:
            parts.append(f"{','.join(selectors)}{{{body}}}\n")
    return "".join(parts)


def main(package: Path) -> None:
    """Write the subset, saying what it is and of which release."""
    css = (package / "dist/govuk/govuk-frontend.min.css").read_text("utf-8")
    version = re.search(r'--govuk-frontend-version:"([0-9.]+)"', css)
    assert version is not None
    wanted = used() & set(_CLASS.findall(css))
    own = kept(css, wanted).replace("GDS Transport,arial,sans-serif", _OWN_FONT)
    note = (
        f"/* A part of govuk-frontend {version[1]} (MIT, see LICENSE.txt): the rules onestop's pages use, without its "
        "font. */\n"
    )
    TARGET.write_text(note + own, "utf-8")
    print(f"{TARGET.name}: {len(note + own)} bytes, {len(wanted)} classes")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
