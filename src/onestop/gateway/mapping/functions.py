"""The closed list of functions of the mapping language; docs/mapping.md says what each does, by example."""

import difflib
from collections.abc import Callable
from typing import Final

from onestop.gateway.manifest_base import BadManifest
from onestop.gateway.mapping import dates, formats, lists, numbers
from onestop.gateway.mapping import text as texts
from onestop.gateway.mapping.arguments import Spot
from onestop.gateway.mapping.values import Getter

Maker = Callable[[str, Spot], Getter]
RootMaker = Callable[[str, Spot], texts.Both]

FUNCTIONS: Final[dict[str, Maker]] = {
    "after": texts.after,
    "at": lists.at,
    "b64": formats.b64,
    "b64json": formats.b64json,
    "before": texts.before,
    "code": texts.code,
    "concat": texts.concat,
    "count": lists.count,
    "cut": texts.cut,
    "date": dates.day_of,
    "day": dates.written,
    "default": texts.default,
    "each": lists.each,
    "epoch": dates.epoch,
    "epoch_ms": dates.epoch_ms,
    "fen": numbers.fen,
    "first": lists.first,
    "flag": texts.flag,
    "get": lists.get,
    "instant": dates.instant,
    "int": numbers.integer,
    "join": lists.join,
    "json": formats.json,
    "last": lists.last,
    "length": texts.length,
    "lower": texts.on_text(str.lower),
    "mask": texts.mask,
    "number": numbers.number,
    "pad": texts.pad,
    "partial_date": dates.partial,
    "prefix": texts.prefix,
    "replace": texts.replace,
    "sha256": texts.sha256,
    "sort": lists.sort,
    "split": lists.split,
    "squeeze": texts.on_text(texts.squeeze),
    "strict": texts.strict,
    "sum": numbers.total,
    "text": texts.text,
    "to_b64json": formats.to_b64json,
    "to_epoch": dates.to_epoch,
    "to_epoch_ms": dates.to_epoch_ms,
    "to_json": formats.to_json,
    "trim": texts.on_text(str.strip),
    "unb64": formats.unb64,
    "unique": lists.unique,
    "upper": texts.on_text(str.upper),
    "where": lists.where,
    "xml": formats.xml,
    "yes": texts.yes,
    "yes_no": texts.yes_no,
    "yuan": numbers.yuan,
}
# These read from where the expression began, too.
OF_ROOT: Final[dict[str, RootMaker]] = {"append": texts.append, "or": texts.otherwise}
# What makes more than it is given: a mapping that uses one of these, or lists, is counted while it works.
GROWING: Final = frozenset((
    "append", "b64", "b64json", "concat", "join", "json", "pad", "prefix", "replace", "split", "text", "to_b64json",
    "to_json", "unb64", "xml",
))  # fmt: skip
_REFUSED: Final = frozenset(("match", "regex", "regexp"))


def unknown(name: str, spot: Spot) -> BadManifest:
    """Return the fault of a function that there is not, with what may have been meant."""
    if name in _REFUSED:
        return spot.wrong(f"there is no {name}: what departments write is not matched; use before, after, cut or where")
    near = difflib.get_close_matches(name, [*FUNCTIONS, *OF_ROOT], 1, 0.5)
    return spot.wrong(f"no function {name[:40]!r}" + (f"; did you mean {near[0]}?" if near else ""))
