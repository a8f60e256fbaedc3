"""Writes docs/lint-rules.md and adapters/manifest.schema.json from the code: `python -m onestop.gateway.lint.page`."""

from pathlib import Path

from onestop.gateway.lint.findings import SEVERITIES
from onestop.gateway.schema import schema_text
from onestop.texts import LANGUAGES, catalogue

_HEAD = """# The linter's rules

What `onestop adapter lint` says of a manifest, by number. An `error` keeps the manifest from being used, a `warning`
will make somebody sorry, a `hint` could be better. Some rules are graver where the data is sensitive. A number is never
used again for something else.

This page is written by `python -m onestop.gateway.lint.page`; a test compares it with the code.

| rule | severity | says | what to do |
| --- | --- | --- | --- |
"""


def rules_page() -> str:
    """Return the text of docs/lint-rules.md."""
    rows = []
    for rule, severity in SEVERITIES.items():
        words = ["<br>".join(_cell(f"lint.{rule}.{part}", lang) for lang in LANGUAGES) for part in ("says", "fix")]
        rows.append(f"| {rule} | {severity} | {words[0]} | {words[1]} |\n")
    return _HEAD + "".join(rows)


def _cell(key: str, lang: str) -> str:
    words = catalogue("zh" if lang == "zh" else "en")[key]
    return words.replace("{{", "{").replace("}}", "}").replace("|", "\\|").replace("<name>", "…").replace("<名称>", "…")


def main() -> None:
    """Write both files."""
    Path("docs/lint-rules.md").write_text(rules_page(), "utf-8")
    Path("adapters/manifest.schema.json").write_text(schema_text(), "utf-8")


if __name__ == "__main__":
    main()
