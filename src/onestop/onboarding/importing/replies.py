"""From what an operation answers to the manifest's `reply`: where the record stands, its fields, its age, its pages."""

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from onestop.onboarding.importing.drafts import Draft, best_media, media_kind, not_ready, reply_kind, success
from onestop.onboarding.importing.models import Answer, Media, Shape
from onestop.onboarding.importing.notes import Notes
from onestop.onboarding.importing.requests import personal
from onestop.onboarding.importing.rules_codes import code_list
from onestop.onboarding.importing.rules_names import member, unique, words_of
from onestop.onboarding.importing.rules_paging import is_paging_word
from onestop.onboarding.importing.rules_personal import recognise
from onestop.onboarding.importing.schemas import schema_of
from onestop.onboarding.importing.shapes import as_elements
from onestop.onboarding.importing.vocabulary import known
from onestop.onboarding.importing.xml_shapes import is_leaf, renamed, with_attributes

ORDER: Final = ("json", "xml", "csv", "text", "form", "binary")
_DATA: Final = known("reply.data")
CODES: Final = known("reply.codes")
MESSAGES: Final = known("reply.messages")
_TOLD_AT: Final = known("reply.told_at")
# In XML `@name` is an attribute, and `element@name` that of an element without children.
_STEP: Final = re.compile(r"@?[\w-]+(?:@[\w-]+)?")
_HEAD: Final = re.compile(r"@[\w-]+|[^\W\d][\w-]*(?:@[\w-]+)?")
_INSTANT: Final = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d|$)|(?:19|20)\d{6}$")  # what `instant` reads
_MOST_FIELDS: Final = 100
_MAX_DEPTH: Final = 4
_MOST_CODES: Final = 15


class Place(NamedTuple):
    """Where the record stands in a reply, and the envelope around it."""

    path: tuple[str, ...]
    shape: Shape
    envelope: Shape | None  # holds code and message beside the record


class ReplyMaker:
    """Makes the `reply` of one operation; `codes` is the manifest's, shared by all."""

    def __init__(self, draft: Draft, notes: Notes, spot: Any, codes: dict[str, dict[str, str]]) -> None:
        self.draft, self.notes, self._spot, self.codes = draft, notes, spot, codes
        self._left = _MOST_FIELDS
        self._numbers: list[str] = []
        self._sensitive: dict[str, str] = {}
        self.place: Place | None = None
        self.root = Shape()
        self._xml = False
        self._silent = False  # the document says nothing of the answer, and that was noted

    def make(self) -> None:
        """Fill `reply`, `response_codec`, `accept`, `accept_type`, `schema` and `paging` of the draft's table."""
        draft = self.draft
        answer, accept = success(draft.described.answers)
        draft.answer = answer
        draft.table["accept"] = [status for status in accept if status != 202] if not_ready(draft) else accept
        media = best_media(answer.media, ORDER) if answer is not None else None
        if media is None and draft.kind in ("query", "status", "lookup") and not draft.soap:
            media = self._undescribed(answer)
        media = media or draft.heard
        draft.reply_media = media
        if media is None:
            draft.table["response_codec"] = "none"
            draft.table["reply"] = {}
            return
        kind = reply_kind(draft, media)
        draft.table["response_codec"] = kind
        plain = media.type.partition(";")[0].strip()
        if kind == "json" and plain not in ("application/json", "*/*", "application/*", ""):
            draft.table["accept_type"] = media.type
        if kind in ("binary", "text"):
            draft.table["reply"] = {"fields": {"content": "."}}
            return
        self.root = root_of(draft, media)
        if media.shape.kind == "any" and self.root.kind != "any" and draft.sealed is None:
            self._note("shape_from_example", media.shape.pointer or draft.described.pointer, "note")
        if kind in ("xml", "soap"):
            media.examples = [(name, renamed(told, media.shape)) for name, told in media.examples]
            if is_leaf(media.shape):
                self._note("xml_root_attributes", media.shape.pointer, "warning")
            media.shape = self.root
            self._xml = kind == "xml"
        draft.table["reply"] = self._reply()
        schema = schema_of(self.root, xml=kind in ("soap", "xml"))
        if schema:
            draft.table["schema"] = schema

    def _undescribed(self, answer: Answer | None) -> Media | None:
        """Return what a question's answer is taken for where the document is silent: JSON, unless it says another.

        Read as nothing, it would be asked for, found in order, and given to nobody.
        """
        if answer is not None and answer.status == "204":
            return None
        types = (answer.types if answer is not None else ()) or ("application/json",)
        self._silent = True
        self._note("answer_undescribed", self.draft.described.pointer, "warning")
        return best_media([Media(type=type_, shape=Shape()) for type_ in types], ORDER)

    def _reply(self) -> dict[str, Any]:
        self.place = place_of(self.root)
        reply: dict[str, Any] = {}
        record, path = self.place.shape, self.place.path
        once = self.draft.kind in ("status", "lookup") or (self.draft.kind == "submit" and self._xml)
        if record.kind == "list" and record.item is not None and path and once:
            if self.draft.kind != "submit":
                reply["found"] = ".".join(path)
            record, path = record.item, (*path, "0")  # what was sent once is there once
            self.place = Place(path, record, self.place.envelope)
        if record.kind == "list" and record.item is not None:
            name = member(path[-1]) if path else "items"
            inner = self._fields(record.item, (), 1, path)
            fields: dict[str, Any] = {name: {"each": ".".join(path) or ".", "fields": inner}}
        elif record.kind == "object" and record.members:
            fields = self._fields(record, path, 0, ())
        else:
            fields = {member(path[-1]) if path else "answer": ".".join(path) or "."}
            if not path and not self._silent:
                self._note("reply_unknown", record.pointer or self.draft.described.pointer, "warning")
        if self.draft.kind == "query" and path and self.draft.described.method != "DELETE":
            reply["found"] = ".".join(path)
            self.draft.whys["reply.found"] = "an envelope: the record stands in it, and is empty where there is none"
        told_at = self._told_at(record, path)
        if told_at is not None and self.draft.kind == "query":
            reply["as_of"] = told_at
        reply["fields"] = fields
        self._subject(reply, record, path)
        numbers = tuple(dict.fromkeys(self._numbers))
        if numbers and numbers != ("id_number",):
            reply["person_numbers"] = list(numbers)
        if self._sensitive:
            reply["sensitivity"] = self._sensitive
        return reply

    # --- fields ---------------------------------------------------------------------------------------------------

    def _fields(self, shape: Shape, path: tuple[str, ...], depth: int, shown: tuple[str, ...]) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        for name, part in shape.members.items():
            if part.write_only or (name in ("_links", "links") and part.kind == "object"):
                continue
            if name == "_embedded" and part.kind == "object":
                for lifted, value in self._fields(part, (*path, name), depth, (*shown, name)).items():
                    fields[unique(lifted, fields)] = value
                continue
            if not (_STEP if path else _HEAD).fullmatch(name):
                self._note("name_unreadable", part.pointer or shape.pointer, "warning", name=name)
                continue
            self._left -= 1
            if self._left < 0:
                self._note("fields_cut", shape.pointer, "note", most=_MOST_FIELDS)
                break
            fields[unique(member(name), fields)] = self._field(name, part, (*path, name), depth, (*shown, name))
        if set(fields) == {"each", "fields"}:
            fields.pop("each")
        return fields

    def _field(self, name: str, part: Shape, path: tuple[str, ...], depth: int, shown: tuple[str, ...]) -> Any:
        here = ".".join(path)
        if part.kind == "object" and part.members and depth < _MAX_DEPTH:
            return self._fields(part, path, depth + 1, shown) or here
        if part.kind == "list" and part.item is not None and part.item.kind == "object" and part.item.members:
            inner = self._fields(part.item, (), depth + 1, (*shown, "*")) if depth < _MAX_DEPTH else {}
            return {"each": here, "fields": inner} if inner else here
        owner = next((step for step in reversed(shown[:-1]) if step != "*"), "")
        match = recognise(name, part, owner)
        if match is not None:
            self.draft.personal.append(personal("reply", ".".join(shown), match))
            self._sensitive[member(name)] = match.sensitivity
            if match.what == "id_number":
                self._numbers.append(member(name))
        return here + self._function(name, part)

    def _function(self, name: str, part: Shape) -> str:
        """Return what turns their form of a value into ours."""
        if part.kind != "value":
            return ""
        if part.enum and len(part.enum) > 1 and part.type != "boolean":
            listed = code_list(part)
            if listed:
                known = next((key for key, codes in self.codes.items() if codes == listed), None)
                if known is None and len(self.codes) < _MOST_CODES:
                    known = unique(member(name), self.codes)
                    self.codes[known] = listed
                return f" | code({known})" if known else ""
        if isinstance(part.example, str) and re.fullmatch(r"(19|20)\d{6}", part.example) and _dated(name, part):
            return " | date(%Y%m%d)"
        return ""

    def _told_at(self, record: Shape, path: tuple[str, ...]) -> str | None:
        for name, part in record.members.items() if record.kind == "object" else ():
            plain = "".join(words_of(name))
            if part.kind == "value" and plain in _TOLD_AT and part.type == "string" and _HEAD.fullmatch(name):
                if not part.has_example and part.format not in ("date", "date-time"):
                    part.example, part.has_example = "2025-01-15T08:30:00Z", True  # made up, it must be read as one
                if part.has_example and not _INSTANT.match(str(part.example)):
                    continue
                self.draft.whys["reply.as_of"] = f"`{name}` is the only instant of change that the record tells"
                return ".".join((*path, name)) + " | instant"
        return None

    def _subject(self, reply: dict[str, Any], record: Shape, path: tuple[str, ...]) -> None:
        """Bind the reply to the person asked about, where it repeats the number; in a list, its first record does."""
        asked = any(expression == "subject.number" for expression, _ in self.draft.places)
        if asked and not self._repeats(reply, record, path):
            lists = [(path, record)] if record.kind == "list" else lists_in(record, path) if record.members else []
            for where, listed in lists[:1] if len(lists) == 1 and expressible(lists[0][0] or ("x",)) else ():
                if listed.item is not None and where and self._repeats(reply, listed.item, (*where, "0")):
                    reply["found"] = ".".join(where)  # an empty list is the department's word for "none"

    def _repeats(self, reply: dict[str, Any], record: Shape, path: tuple[str, ...]) -> bool:
        request = self.draft.table.get("request", {})
        sent = {name for part in ("body", "query", "path") for name, source in request.get(part, {}).items()
                if source == "subject.number"}  # fmt: skip
        for name, part in sorted(record.members.items(), key=lambda entry: entry[0] not in sent):
            match = recognise(name, part)
            if match is not None and match.what == "id_number" and _HEAD.fullmatch(name):
                reply["subject"] = ".".join((*path, name))
                self.draft.whys["reply.subject"] = (
                    "the reply repeats the number asked for: nobody else's record is believed"
                )
                return True
        return False

    def _note(self, code: str, pointer: str, level: Any, **params: object) -> None:
        self.notes.add(code, self._spot(pointer), level, operation=self.draft.id, **params)


def root_of(draft: Draft, media: Media) -> Shape:
    """Return the shape of a reply as its codec reads it: of its schema, or of an example where it has none."""
    if draft.sealed is not None:
        return draft.sealed.inner
    root = media.shape
    if root.kind == "any" and not root.members and media.examples:
        root = of_value(media.examples[0][1])
    if draft.soap:
        return with_attributes(root)
    return with_attributes(as_elements(root)) if media_kind(media.type) == "xml" else root


def place_of(root: Shape) -> Place:
    """Return where the record stands: below the only member of a wrapper, or beside a code and a message."""
    path: tuple[str, ...] = ()
    envelope: Shape | None = None
    shape = root
    for _ in range(5):
        if shape.kind != "object":
            break
        names = {"".join(words_of(name)): name for name in shape.members if _HEAD.fullmatch(name)}
        data = [name for plain, name in names.items() if plain in _DATA and shape.members[name].kind != "value"]
        told = [name for plain, name in names.items() if plain in CODES | MESSAGES]
        only = next(iter(shape.members), "")
        if len(shape.members) == 1 and shape.members[only].kind in ("object", "list") and _HEAD.fullmatch(only):
            if only in ("_embedded", "_links"):
                break
            path, shape = (*path, only), shape.members[only]
        elif data and told and envelope is None:
            envelope = shape
            path, shape = (*path, data[0]), shape.members[data[0]]
        elif (found := _only_list(shape)) is not None:
            return Place((*path, found), shape.members[found], envelope)
        else:
            break
    return Place(path, shape, envelope)


def _only_list(shape: Shape) -> str | None:
    """Return the list of records beside which only counts and links stand."""
    lists = [n for n, p in shape.members.items() if p.kind == "list" and p.item is not None and p.item.kind == "object"]
    if len(lists) != 1 or not _HEAD.fullmatch(lists[0]) or len(shape.members) > 8:
        return None
    beside = [name for name in shape.members if name != lists[0]]
    plain = all(name.startswith("_") or name == "links" or is_paging_word(name) for name in beside)
    return lists[0] if plain else None


def lists_in(shape: Shape, path: tuple[str, ...]) -> list[tuple[tuple[str, ...], Shape]]:
    found = []
    for name, part in shape.members.items():
        if part.kind == "list" and part.item is not None and part.item.kind != "value":
            found.append(((*path, name), part))
        elif name == "_embedded" and part.kind == "object":
            found += lists_in(part, (*path, name))
    return found


def expressible(path: tuple[str, ...]) -> bool:
    return bool(_HEAD.fullmatch(path[0])) and all(_STEP.fullmatch(step) for step in path)


def _dated(name: str, part: Shape) -> bool:
    told = name.lower() + part.text.lower()
    return any(word in told for word in ("date", "rq", "日期", "day", "datum", "time", "sj", "birth"))


def of_value(value: Any, depth: int = 0) -> Shape:
    """Return the shape of an example where a document has no schema."""
    if depth > 8 or value is None:
        return Shape()
    if isinstance(value, Mapping):
        members = {str(name): of_value(part, depth + 1) for name, part in list(value.items())[:200]}
        return Shape(kind="object", members=members)
    if isinstance(value, list):
        return Shape(kind="list", item=of_value(value[0], depth + 1) if value else Shape())
    kind = "boolean" if isinstance(value, bool) else "integer" if isinstance(value, int) else "string"
    kind = "number" if isinstance(value, float) else kind
    return Shape(kind="value", type=kind, example=value, has_example=True)
