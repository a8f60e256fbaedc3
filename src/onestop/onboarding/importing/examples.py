"""Recorded exchanges out of a document's examples; where it has none, made from the shapes: invented people only."""

import json
import re
from collections.abc import Mapping
from typing import Any, Final
from xml.sax.saxutils import escape

from onestop.gateway.manifest_base import BadManifest
from onestop.gateway.mapping.language import calls_of, path_of
from onestop.onboarding.importing.drafts import Draft, best_media, refusals
from onestop.onboarding.importing.models import Media, Shape
from onestop.onboarding.importing.rules_names import snake, unique
from onestop.onboarding.importing.rules_personal import recognise
from onestop.onboarding.xml_writing import attributes, inside

_MAX_BODY: Final = 16_384
_MAX_DEPTH: Final = 8
_PERSON: Final = {"number": "990101199001010017", "name": "张三"}  # 99 begins no real division
_INVENTED: Final = {"id_number": _PERSON["number"], "name": _PERSON["name"], "phone": "15400000001"}
_BY_FORMAT: Final = {
    "date": "2025-01-15",
    "date-time": "2025-01-15T08:30:00Z",
    "email": "person@example.com",
    "uuid": "0190a1b2-c3d4-7e5f-8a6b-7c8d9e0f1a2b",
    "uri": "https://example.com/",
    "time": "08:30:00",
}
_ONLY_DIGITS: Final = re.compile(r"\^?\(?(?:\\d|\[0-9\])\{(\d{1,3})(?:,\d*)?\}\)?\$?")
_MOST_ITEMS: Final = 4
_LONGEST: Final = 200
_DIGITS: Final = re.compile(r"(?<!\d)(\d{17}[\dXx])(?!\d)")


def invented(value: Any) -> Any:
    """Return a value in which no number could be a real person's: what looks like one becomes the invented one."""
    if isinstance(value, str):
        return _DIGITS.sub(lambda m: m[1] if m[1].startswith("99") else _PERSON["number"], value)
    if isinstance(value, Mapping):
        return {str(name): invented(part) for name, part in value.items()}
    if isinstance(value, list):
        return [invented(part) for part in value]
    return value


def sample(shape: Shape, depth: int = 0, *, reply: bool = True, name: str = "") -> Any:
    """Return a value of a shape: the document's example, else an invented person's where it is personal."""
    if shape.has_example and (shape.kind == "value" or _fits(shape)):
        return shape.example
    if shape.kind == "object" and depth < _MAX_DEPTH:
        members = {}
        for name, part in shape.members.items():
            if part.cut or (part.write_only if reply else part.read_only):
                continue
            value = sample(part, depth + 1, reply=reply, name=name)
            if value is not None:
                members[name] = value
        return members
    if shape.kind == "list" and depth < _MAX_DEPTH:
        if shape.item is None or shape.item.cut:
            return []
        item = sample(shape.item, depth + 1, reply=reply, name=name)
        return [item] * max(1, min(_MOST_ITEMS, int(shape.least or 1)))
    if shape.enum:
        return shape.enum[0]
    if shape.kind != "value":
        return None if shape.kind == "any" and depth else [] if shape.kind == "list" else {}
    match = recognise(name, shape) if name and shape.type == "string" else None
    if match is not None and match.what in _INVENTED:
        return _INVENTED[match.what]
    if shape.type in ("integer", "number"):
        return max(1, shape.least or 1)
    if shape.type == "boolean":
        return True
    digits = _ONLY_DIGITS.fullmatch(shape.pattern)
    if digits is not None and int(digits[1]) <= _LONGEST:
        return "9" * int(digits[1])
    return _BY_FORMAT.get(shape.format, "text").ljust(min(_LONGEST, int(shape.least or 0)), "x")


def _fits(shape: Shape) -> bool:
    wanted = {"object": Mapping, "list": list}.get(shape.kind, object)
    return isinstance(shape.example, wanted)


def values_of(draft: Draft) -> dict[str, Any]:
    """Return what the request's expressions read, so that the request is the document's own example."""
    values: dict[str, Any] = {}
    if draft.kind == "query":
        values["subject"] = dict(_PERSON)
    if draft.kind in ("submit", "lookup"):
        values["key"] = "eff-0190a1b2c3d4"
    given = _given_body(draft)
    for expression, shape in draft.places:
        steps = _steps(expression)
        if steps == ["reference"]:
            values["reference"] = str(invented(sample(shape.item if shape.kind == "list" and shape.item else shape)))
        elif steps == ["subject", "number"] and shape.has_example and isinstance(shape.example, str | int):
            values["subject"]["number"] = str(invented(str(shape.example)))
        elif steps[:1] == ["payload"] and len(steps) > 1:
            value = invented(sample(shape, 1, reply=False, name=steps[-1]))
            _set(values, steps, _day(str(value)) if _as_day(expression) else value)
    lists = draft.table.get("request", {}).get("body")
    if draft.request_media is not None and isinstance(lists, dict):
        body = given if given is not None else sample(draft.request_media.shape, reply=False)
        if draft.table.get("request_codec") == "text":
            shown = draft.request_media.examples[0][1] if draft.request_media.examples else body
            body = {"text": shown if isinstance(shown, str) and shown else "text"}
        _invert(lists, invented(body), values)
    return values


def _steps(source: Any) -> list[str]:
    """Return the names of the path that an expression begins with; none where it is a literal, or no expression."""
    try:
        return (path_of(source) if isinstance(source, str) else None) or []
    except BadManifest:  # an answer to a question may be anything; the manifest is refused for it later
        return []


def _as_day(source: str) -> bool:
    """Tell whether an expression makes a day of what it reads; only asked of one that reads something."""
    return any(call.startswith("day(") for call in calls_of(source))


def _given_body(draft: Draft) -> Any:
    if draft.request_media is None or not draft.request_media.examples:
        return None
    value = _parsed(draft.request_media.examples[0][1])
    return value if isinstance(value, Mapping | list) else None


def _invert(tree: Any, body: Any, values: dict[str, Any]) -> None:
    """Put a body's values where the request's tree would read them."""
    if isinstance(tree, str):
        steps = _steps(tree)
        if steps[:1] == ["payload"] and len(steps) > 1 and body is not None:
            text = str(body)
            if _as_day(tree):
                body = f"{text[:4]}-{text[4:6]}-{text[6:]}" if re.fullmatch(r"\d{8}", text) else _day(text)
            _set(values, steps, body)
    elif isinstance(tree, dict) and set(tree) == {"each", "fields"}:
        steps = _steps(tree["each"])
        if isinstance(body, list) and steps[:1] == ["payload"] and len(steps) > 1:
            records: list[Any] = []
            for item in body[:3]:
                if tree["fields"] == ".":
                    records.append(item)
                    continue
                record: dict[str, Any] = {}
                _invert_record(tree["fields"], item, record)
                records.append(record)
            _set(values, steps, records)
    elif isinstance(tree, dict):
        for name, part in tree.items():
            _invert(part, body.get(name) if isinstance(body, Mapping) else None, values)


def _day(text: str) -> str:
    """Return an example of what a day is made from: the document's, where it can be read as one."""
    return text if re.match(r"\d{4}-\d\d-\d\d", text) else _BY_FORMAT["date"]


def _invert_record(tree: Any, item: Any, record: dict[str, Any]) -> None:
    for name, part in tree.items() if isinstance(tree, dict) else ():
        value = item.get(name) if isinstance(item, Mapping) else None
        if isinstance(part, str) and value is not None and _steps(part):
            _set(record, _steps(part), value)
        elif isinstance(part, dict) and {"each", "fields"} != set(part):
            _invert_record(part, value, record)


def _set(values: dict[str, Any], steps: list[str], value: Any) -> None:
    if value is None:
        return
    for step in steps[:-1]:
        inner = values.setdefault(step, {})
        if not isinstance(inner, dict):
            return
        values = inner
    values[steps[-1]] = value


def _parsed(value: Any) -> Any:
    """Return an example that was written as a JSON text as the value it stands for."""
    if isinstance(value, str) and value.strip()[:1] in ("{", "["):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def recorded(draft: Draft) -> list[dict[str, Any]]:
    """Return the manifest's `examples` of one operation: the good answer, then documented refusals."""
    values = without_nulls(values_of(draft))
    found: list[dict[str, Any]] = []
    names: list[str] = []

    def add(name: str, status: int, body: str, outcome: str) -> None:
        if len(body.encode()) <= _MAX_BODY:
            names.append(unique(snake(name), names))
            found.append(
                {"name": names[-1], "values": values, "status": status, "body": body, "outcome": outcome}
            )  # fmt: skip

    status = draft.table["accept"][0]
    if draft.answer is not None and draft.answer.status.isdigit():
        status = int(draft.answer.status)
    if draft.table["response_codec"] == "none":
        add("ok", status, "", "ok")
    elif draft.sealed is not None:
        pass  # nobody but the department can seal an example
    elif draft.reply_media is not None and draft.table["response_codec"] in ("json", "xml", "soap", "text"):
        add("ok", status, _body(draft, draft.reply_media), "ok")
    for code, answer in refusals(draft.described.answers):
        media = best_media(answer.media, ("json",))
        case = next((c for c in draft.table.get("errors", []) if c.get("status") == code), None)
        if media is None or len(found) > 2 or draft.soap:
            continue
        outcome = case["outcome"] if case else _by_status(code)
        add(f"refused_{code}" if outcome != "not_found" else "not_found", code, _json(media), outcome)
    return found


def _by_status(status: int) -> str:
    if status == 429:
        return "busy"
    if status in (401, 403):
        return "denied"
    return "down" if status >= 500 else "invalid"


def _json(media: Media, draft: Draft | None = None) -> str:
    value = invented(_parsed(media.examples[0][1]) if media.examples else sample(media.shape))
    if draft is not None:
        _about(value, draft)
    told = json.dumps(value, ensure_ascii=False, indent=1, default=str)
    if len(told.encode()) <= _MAX_BODY:
        return told
    return json.dumps(_shortened(value), ensure_ascii=False, indent=1, default=str)


def _shortened(value: Any) -> Any:
    """Return a long example with one record of each list: that is still every form that it shows first."""
    if isinstance(value, Mapping):
        return {name: _shortened(part) for name, part in value.items()}
    return [_shortened(part) for part in value[:1]] if isinstance(value, list) else value


def _about(value: Any, draft: Draft) -> None:
    """Make a recorded answer be about the person who is asked for."""
    steps, person = _steps(draft.table["reply"].get("subject")), values_of(draft).get("subject")
    if not steps or person is None or not isinstance(value, dict):
        return
    *above, last = steps
    for step in above:
        if isinstance(value, list):
            value = value[int(step)] if step.isdigit() and int(step) < len(value) else None
        else:
            value = value.get(step)
        if not isinstance(value, dict | list):
            return
    if isinstance(value, dict):
        value[last] = person["number"]


def _body(draft: Draft, media: Media) -> str:
    kind = draft.table["response_codec"]
    if kind == "json":
        return _json(media, draft)
    value = invented(media.examples[0][1] if media.examples else sample(media.shape))
    if isinstance(value, str):
        bare = kind == "xml" and not value.lstrip("\ufeff \t\r\n").startswith("<")
        return f"<response>{escape(value)}</response>" if bare else value
    if kind == "text":
        return str(value)
    inner = inside(value) if kind == "soap" else f"<response{attributes(value, '@')}>{inside(value)}</response>"
    if kind == "soap":
        soap = draft.described.soap
        space = "http://schemas.xmlsoap.org/soap/envelope/"
        if soap is not None and soap.version == "1.2":
            space = "http://www.w3.org/2003/05/soap-envelope"
        return f'<soap:Envelope xmlns:soap="{space}"><soap:Body>{inner}</soap:Body></soap:Envelope>'
    return inner


def without_nulls(value: Any) -> Any:
    """Return a value without nulls, which TOML cannot say."""
    if isinstance(value, Mapping):
        return {name: without_nulls(part) for name, part in value.items() if part is not None}
    if isinstance(value, list):
        return [without_nulls(part) for part in value if part is not None]
    return value
