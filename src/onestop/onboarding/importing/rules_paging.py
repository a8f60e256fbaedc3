"""How a long answer is asked for page by page, from parameters, members and links."""

import re
from typing import Any, Final

from onestop.onboarding.importing.models import Parameter, Shape
from onestop.onboarding.importing.rules_names import words_of
from onestop.onboarding.importing.vocabulary import known

_STEP: Final = re.compile(r"[A-Za-z_][\w-]*")  # what an expression can name
_PAGE: Final = known("paging.page")
_SIZE: Final = known("paging.size")
_OFFSET: Final = known("paging.offset")
_CURSOR: Final = known("paging.cursor")
_NEXT_CURSOR: Final = known("paging.next_cursor")
_TOTAL: Final = known("paging.total")

_BESIDE: Final = known("paging.beside")


def _plain(name: str) -> str:
    return "".join(words_of(name))


def is_paging(name: str) -> bool:
    """Tell whether a parameter only says which part of a list is wanted."""
    return _plain(name) in _PAGE | _SIZE | _OFFSET | _CURSOR


def is_paging_word(name: str) -> bool:
    """Tell whether a member beside a list only tells which part of it this is."""
    plain = _plain(name)
    return plain in _PAGE | _SIZE | _OFFSET | _CURSOR | _NEXT_CURSOR | _TOTAL | _BESIDE


def paging(parameters: list[Parameter], headers: tuple[str, ...], root: Shape, items: str) -> dict[str, Any] | None:
    """Return the manifest's `paging` for a reply whose list stands at `items`; None where nothing tells of pages."""
    asked = {_plain(p.name): p for p in parameters if p.place == "query"}
    size = next((p for name, p in asked.items() if name in _SIZE), None)
    found: dict[str, Any] | None = None
    following = _next_link(root)
    cursor = next((p for name, p in asked.items() if name in _CURSOR), None)
    if following is not None and any(name in _PAGE | _OFFSET | _CURSOR | _SIZE for name in asked):
        return {"style": "next", "items": items, "next": following}
    if any(name.lower() == "link" for name in headers):
        return {"style": "link", "items": items}
    if cursor is not None and (at := _member(root, _NEXT_CURSOR)) is not None:
        found = {"style": "cursor", "items": items, "parameter": cursor.name, "next": at}
    elif (page := next((p for name, p in asked.items() if name in _PAGE), None)) is not None:
        first = 0 if page.shape.has_example and page.shape.example == 0 else 1
        found = {"style": "page", "items": items, "parameter": page.name, "first": first}
    elif (offset := next((p for name, p in asked.items() if name in _OFFSET), None)) is not None:
        found = {"style": "offset", "items": items, "parameter": offset.name, "first": 0}
    if found is None:
        return None
    if size is not None:
        found["size_parameter"] = size.name
    total = _member(root, _TOTAL)
    if total is not None and found["style"] in ("page", "offset"):
        found["total"] = total
    return found


def _next_link(root: Shape) -> str | None:
    for owner in ("_links", "links"):
        links = root.members.get(owner)
        following = links.members.get("next") or links.members.get("next_page") if links is not None else None
        if following is not None:
            name = "next" if links is not None and "next" in links.members else "next_page"
            return f"{owner}.{name}.href" if following.kind == "object" else f"{owner}.{name}"
    for name in ("next", "nextLink", "next_url", "nextPageUrl"):
        part = root.members.get(name)
        if part is not None and part.kind == "value" and part.type == "string":
            return name
    return None


def _member(root: Shape, names: frozenset[str], path: str = "", depth: int = 0) -> str | None:
    for name, part in root.members.items():
        if part.kind == "value" and _plain(name) in names and _STEP.fullmatch(name):
            return path + name
    for name, part in root.members.items():
        if part.kind == "object" and depth < 2 and not name.startswith("_embedded") and _STEP.fullmatch(name):
            found = _member(part, names, f"{path}{name}.", depth + 1)
            if found is not None:
                return found
    return None
