"""How a document wants the lists and tables of a parameter written: OpenAPI's styles, Swagger's collection formats."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from onestop.onboarding.importing.models import Shape

Style = Literal["", "several", "commas", "spaces", "bars", "tabs", "json", "members", "nested"]

_OLD: Final[Mapping[str, Style]] = {
    "csv": "commas", "ssv": "spaces", "tsv": "tabs", "pipes": "bars", "multi": "several",
}  # fmt: skip
_DELIMITED: Final[Mapping[str, Style]] = {"spaceDelimited": "spaces", "pipeDelimited": "bars"}
_JOINED: Final[Mapping[Style, str]] = {
    "commas": " | join", "spaces": " | join(' ')", "bars": " | join('|')", "tabs": " | join('\t')",
}  # fmt: skip


def style_of(told: Mapping[str, Any], *, old: bool) -> Style:
    """Return how a parameter's value is written; "" where the place leaves no choice (path, header: with commas)."""
    if told.get("in") not in ("query", "formData", "form"):
        return ""
    if old:
        items = told.get("type") == "array"
        return _OLD.get(str(told.get("collectionFormat", "csv")), "commas") if items else ""
    if isinstance(told.get("content"), dict) and any("json" in str(kind) for kind in told["content"]):
        return "json"
    style, explode = str(told.get("style", "form")), told.get("explode")
    if style == "deepObject":
        return "nested"
    if style in _DELIMITED:
        return _DELIMITED[style] if explode is not True else "several"
    return "commas" if explode is False else "members"


def as_written(expression: str, shape: "Shape") -> str:
    """Return the function that writes a value in its shape's style; "" where the gateway's own way is meant."""
    if not expression.startswith("payload."):
        return ""
    if shape.style == "json":
        return " | to_json" if shape.kind != "value" else ""
    return _JOINED.get(shape.style, "") if shape.kind == "list" else ""
