"""Members that credentials add to a body, and the text of all parameters that app platforms sign."""

import re
from urllib.parse import parse_qsl, quote, urlencode

import msgspec

from onestop.gateway.auth.recipes import Outgoing
from onestop.gateway.manifest_auth import Params
from onestop.gateway.manifest_base import BadManifest

Pairs = list[tuple[str, str]]

_CHARSET = re.compile(r"charset=\"?([\w.:-]{1,40})")
_PAIR = re.compile(r"\{([^{}]*)\}")
_PAIR_PLACES = frozenset(("name", "value", "name_encoded", "value_encoded"))


class CannotCarry(ValueError):
    """The request's body is of a kind that nothing can be added to."""


def add_members(out: Outgoing, members: Pairs) -> None:
    """Put members into a JSON or form body; one that is there already is replaced.

    Raises:
        CannotCarry: the body is neither.
    """
    kind, charset = _kind(out)
    if kind == "json":
        table = _table(out.body, charset)
        table.update(members)
        body = msgspec.json.encode(table)
        out.body = body if charset == "utf-8" else body.decode().encode(charset)
        return
    added = {name for name, _ in members}
    kept = [pair for pair in _form(out.body, charset) if pair[0] not in added]
    out.body = urlencode(kept + members, encoding=charset).encode("ascii")


def body_pairs(out: Outgoing) -> Pairs:
    """Return the body's own parameters: a form's, or a JSON object's members, nested ones as compact JSON."""
    if not out.body:
        return []
    kind, charset = _kind(out)
    if kind == "form":
        return _form(out.body, charset)
    return [(name, _text(value)) for name, value in _table(out.body, charset).items()]


def _kind(out: Outgoing) -> tuple[str, str]:
    told = out.header("content-type").lower()
    found = _CHARSET.search(told)
    media = told.partition(";")[0].strip()
    charset = found[1] if found else "utf-8"
    if media == "application/json" or media.endswith("+json"):
        return "json", charset
    if media == "application/x-www-form-urlencoded":
        return "form", charset
    raise CannotCarry(f"a body of {media or 'no kind'}")


def _table(body: bytes, charset: str) -> dict[str, object]:
    if not body:
        return {}
    try:
        table = msgspec.json.decode(body if charset == "utf-8" else body.decode(charset))
    except (msgspec.DecodeError, UnicodeDecodeError, LookupError):
        raise CannotCarry("a body that is no JSON") from None
    if not isinstance(table, dict):
        raise CannotCarry("a JSON body that is no object")
    return table


def _form(body: bytes, charset: str) -> Pairs:
    return parse_qsl(body.decode("ascii"), keep_blank_values=True, encoding=charset)


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else msgspec.json.encode(value).decode()


class ParamsText:
    """Makes the text {params} of one recipe."""

    def __init__(self, rules: Params, where: str) -> None:
        unknown = set(_PAIR.findall(rules.pair)) - _PAIR_PLACES
        if unknown:
            raise BadManifest(f"{where}.pair: there is no place {{{min(unknown)}}} here")
        self._rules = rules
        self._left_out = frozenset(rules.leave_out)

    def __call__(self, out: Outgoing, own: Pairs) -> str:
        """Return the text; `own` are the parameters that the recipe itself adds, sent already or not."""
        rules, names = self._rules, {name for name, _ in own}
        pairs: Pairs = list(own) if "auth" in rules.of else []
        if "query" in rules.of:
            sent = parse_qsl(out.query, keep_blank_values=True)
            pairs += [pair for pair in sent if pair[0] not in names]
        if "body" in rules.of:
            pairs += [pair for pair in body_pairs(out) if pair[0] not in names]
        kept = sorted(
            (name, value)
            for name, value in pairs
            if name not in self._left_out and not (rules.skip_empty and value == "")
        )
        return rules.join.join([self._pair(name, value) for name, value in kept])

    def _pair(self, name: str, value: str) -> str:
        places = {"name": name, "value": value}
        if "_encoded}" in self._rules.pair:
            places |= {"name_encoded": quote(name, safe="-_.~"), "value_encoded": quote(value, safe="-_.~")}
        return _PAIR.sub(lambda found: places[found[1]], self._rules.pair)
