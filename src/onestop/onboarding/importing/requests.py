"""From what an operation takes to the manifest's `request`: every value gets an expression of ours, or is left out."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from onestop.onboarding.importing import soap
from onestop.onboarding.importing.drafts import Draft, best_media, media_kind
from onestop.onboarding.importing.filling import TemplateFiller
from onestop.onboarding.importing.interview import Interview
from onestop.onboarding.importing.models import Parameter, PersonalField, Shape, Spot
from onestop.onboarding.importing.notes import Notes, words
from onestop.onboarding.importing.rules_names import member, unique, words_of
from onestop.onboarding.importing.rules_paging import is_paging
from onestop.onboarding.importing.rules_personal import Match, recognise
from onestop.onboarding.importing.rules_styles import as_written
from onestop.onboarding.importing.shapes import as_elements
from onestop.onboarding.importing.vocabulary import known
from onestop.onboarding.importing.xml_shapes import nameable, qualified

BODIES: Final = ("json", "form", "multipart", "xml", "text", "csv")
_NEVER: Final = known("request.never")
KEY_HEADERS: Final = known("request.key_headers")
KEY_NAMES: Final = known("request.key_names")
_SIGNS: Final = known("request.signs")
_MAX_OPTIONAL: Final = 15
_MAX_MEMBERS: Final = 150
_MAX_DEPTH: Final = 7
_EXPRESSION: Final = 200
_LONGEST_ACTION: Final = 190


class RequestMaker:
    """Makes the `request` of one operation, and the values that an example of it needs."""

    def __init__(self, draft: Draft, interview: Interview, notes: Notes, spot: Any, spoken_for: set[str]) -> None:
        self.draft, self.interview, self.notes, self._spot = draft, interview, notes, spot
        self._spoken_for = spoken_for  # names of parameters that carry credentials
        self._left = _MAX_MEMBERS
        self._optional = False
        self._referred = False
        self.left_out: list[str] = []
        self._within: tuple[str, ...] = ()  # the list whose records are written now
        self._ours: dict[tuple[str, ...], dict[str, str]] = {}  # table of ours → member of theirs → ours

    def make(self) -> None:
        """Fill `request`, `request_codec` and `content_type` of the draft's table."""
        draft = self.draft
        request: dict[str, Any] = {}
        self._parameters(request)
        codec = "none"
        if draft.described.soap is not None:
            codec = self._soap(request)
        else:
            media = best_media(draft.described.bodies, BODIES)
            if media is not None and draft.described.method != "GET":
                codec = self._body(request, media.type, media.shape)
                draft.request_media = media
        if self._optional:
            request["omit_null"] = True
        draft.table["request_codec"] = codec
        draft.table["request"] = request

    # --- parameters -----------------------------------------------------------------------------------------------

    def _parameters(self, request: dict[str, Any]) -> None:
        optional = 0
        unknown = [p for p in self.draft.described.parameters if not self._is_credential(p.name, p.place)]
        signed = {p.name for p in unknown if "".join(words_of(p.name)) in _SIGNS}
        signed = (
            signed if len({"".join(words_of(n)) for n in signed} & {"sign", "signature"}) and len(signed) > 2 else set()
        )
        if signed:
            self._note("signed_guess", self.draft.described.pointer, "warning", names=", ".join(sorted(signed)))
        for parameter in self.draft.described.parameters:
            if parameter.place in ("form", "body") or parameter.name in signed or self._left_to_others(parameter):
                continue
            if not parameter.required:
                optional += 1
                if optional > _MAX_OPTIONAL or not self._wanted(parameter):
                    continue
            if parameter.place == "cookie":
                self._note("cookie", parameter.pointer, "warning", name=parameter.name)
                continue
            place = {"path": "path", "query": "query", "header": "headers"}[parameter.place]
            request.setdefault(place, {}).update(self._written(parameter))

    def _written(self, parameter: Parameter) -> dict[str, Any]:
        """Return the names that a parameter has in a request, each with its expression."""
        shape, style = parameter.shape, parameter.shape.style
        if shape.kind == "object" and shape.members and style in ("nested", "members"):
            self._optional = self._optional or not parameter.required
            table = self._table(shape, (parameter.name,), within=False, depth=1)
            return {parameter.name: table} if style == "nested" else table
        expression = self._parameter(parameter)
        self._optional = self._optional or (not parameter.required and not expression.startswith("'"))
        return {parameter.name: expression}

    def _left_to_others(self, parameter: Parameter) -> bool:
        name = parameter.name.lower()
        if parameter.place == "header" and name in _NEVER:
            return True
        if self._is_credential(name, parameter.place):
            return True
        if self.draft.paged and parameter.place == "query" and parameter.shape.kind == "object":
            return any((parameter.place, (member_,)) in self.draft.paged for member_ in parameter.shape.members)
        if (parameter.place, (parameter.name,)) in self.draft.paged:
            return True
        return parameter.place == "query" and is_paging(parameter.name) and not parameter.required

    def _is_credential(self, name: str, place: str) -> bool:
        return bool({name.lower(), f"{place}:{name.lower()}"} & self._spoken_for)

    def _wanted(self, parameter: Parameter) -> bool:
        """Tell whether an optional parameter is worth its place."""
        if self._is_key(parameter.name, parameter.place):
            return self.draft.kind in ("submit", "lookup")
        if self.draft.key_member == parameter.name:
            return True
        if parameter.place == "header":
            return len(parameter.shape.enum) == 1
        if parameter.shape.style == "json":
            return False  # what nobody hands over would be sent as the word null
        return self.draft.kind == "query" and parameter.place == "query"

    def _is_key(self, name: str, place: str) -> bool:
        plain = "".join(words_of(name))
        if place == "header" and (name == self.draft.key_header or name.lower() in KEY_HEADERS):
            return True
        return plain in KEY_NAMES

    def _parameter(self, parameter: Parameter) -> str:
        draft, shape = self.draft, parameter.shape
        match = recognise(parameter.name, shape)
        if match is None and parameter.text:
            match = recognise("", Shape(kind="value", text=parameter.text))
        self.recognised(parameter.name, match)
        expression = self.expression((parameter.name,), shape, match, place=parameter.place)
        expression += as_written(expression, shape)
        if expression.startswith("payload.") and parameter.required and draft.kind in ("query", "status", "lookup"):
            expression = self._asked(parameter, expression)
        draft.places.append((expression, shape))
        return expression

    def _asked(self, parameter: Parameter, expression: str) -> str:
        told = self.interview.ask(
            f"source.{self.draft.id}.{member(parameter.name)}",
            "text",
            about=parameter.pointer,
            default=expression,
            pattern=r"[^\x00-\x1f]{1,200}",
            say="source",
            name=parameter.name,
            operation=self.draft.id,
        )
        return str(told)

    def expression(
        self, path: tuple[str, ...], shape: Shape, match: Match | None, *, place: str = "body", within: bool = False
    ) -> str:
        """Return what of ours goes where `path` leads."""
        if len(shape.enum) == 1 and _literal(shape.enum[0]) is not None:
            return str(_literal(shape.enum[0]))
        draft, name = self.draft, path[-1]
        key = "key | uuid" if shape.format == "uuid" else "key"
        if draft.key_member is not None and (name == draft.key_member or ".".join(path) == draft.key_member):
            return key
        if draft.kind == "submit" and len(path) <= 2 and self._is_key(name, place) and not within:
            draft.key_member = draft.key_member or (".".join(path) if place != "header" else None)
            return key
        if draft.kind == "query" and not within and match is not None:
            if match.what == "id_number":
                return "subject.number"
            if match.what == "name" and len(words_of(name)) <= 2 and _whole_name(name):
                return "subject.name"
        if not within and self._is_reference(name, place, match):
            return "reference"
        steps = self._steps(path)
        if within and not steps[0].isascii():
            steps[0] = f"_{steps[0]}"  # an expression begins with a letter or a bar
        source = ".".join(steps if within else ["payload", *steps])
        if shape.kind == "value" and _eight_digits(shape):
            source += " | day(%Y%m%d)"
        return source[:_EXPRESSION]

    def _steps(self, path: tuple[str, ...]) -> list[str]:
        """Return what we call the steps to a value: two names of theirs never become one of ours."""
        steps: list[str] = []
        for step in path:
            known = self._ours.setdefault((*self._within, *steps), {})
            theirs = re.sub(r"[\s_.-]", "", step).lower()
            if theirs not in known:
                known[theirs] = step if step.isdigit() else unique(member(step), known.values())
            steps.append(known[theirs])
        return steps

    def _is_reference(self, name: str, place: str, match: Match | None) -> bool:
        """Tell whether a parameter or member of a state's or cancellation's request is the department's own number."""
        if self.draft.kind not in ("status", "cancel"):
            return False
        if self.draft.reference_name is not None:
            return name == self.draft.reference_name
        return place == "body" and match is None and self._refers(name)

    def _refers(self, name: str) -> bool:
        """Tell whether a member names what was submitted: the first that looks like a number of theirs."""
        plain = "".join(words_of(name))
        if self._referred or not plain.endswith(
            ("id", "no", "number", "reference", "code", "token", "编号", "单号", "流水号")
        ):
            return False
        self._referred = True
        return True

    # --- bodies ---------------------------------------------------------------------------------------------------

    def _body(self, request: dict[str, Any], type_: str, shape: Shape) -> str:
        codec = media_kind(type_)
        if codec == "binary":
            self._note("body_unusable", shape.pointer, "warning", type=type_)
            return "none"
        if codec == "xml":
            name = shape.xml_name or shape.pointer.rpartition("/")[2] or "request"
            told, unknown = qualified(shape)
            if unknown:
                self._note("xml_prefix", shape.pointer, "warning", names=", ".join(sorted(set(unknown))))
            elements, refused = nameable(as_elements(told), soap.is_name)
            for one in refused:
                self.notes.add("xml_name", self._spot(shape.pointer), "warning", name=one)
            name = name if soap.is_name(name) else "request"
            request["template"] = soap.template(name, told.namespace, elements, TemplateFiller(self, [elements]))
            return "xml"
        if codec == "text":
            request["body"] = {"text": "payload.text"}
            return "text"
        if shape.kind == "object":
            request["body"] = self._table(shape, (), within=False, depth=0)
        elif shape.kind == "list" and shape.item is not None and codec == "json":
            self._note("body_list", shape.pointer, "note")
            request["body"] = self._records(shape.item)
        else:
            request["body"] = {}
            self._note("body_unknown", shape.pointer or self.draft.described.pointer, "warning")
        plain = type_.partition(";")[0].strip()
        if codec == "json" and plain not in ("application/json", "*/*", "application/*", ""):
            self.draft.table["content_type"] = type_
        return codec

    def _records(self, item: Shape) -> dict[str, Any]:
        """Return a body that is a list: of records that are handed over, each written as one of theirs."""
        with self.inside(("items", "*")):
            fields = self._table(item, (), within=True, depth=1) if item.kind == "object" and item.members else "."
        return {"each": "payload.items", "fields": fields}

    def spend(self) -> bool:
        """Count one value of a template; False where there are too many."""
        self._left -= 1
        return self._left >= 0

    @contextmanager
    def inside(self, of: tuple[str, ...]) -> Iterator[None]:
        """Let names be those of the records of a list while this lasts."""
        outer, self._within = self._within, of
        yield
        self._within = outer

    def _table(self, shape: Shape, path: tuple[str, ...], *, within: bool, depth: int) -> dict[str, Any]:
        table: dict[str, Any] = {}
        for name, part in shape.members.items():
            self._left -= 1
            if part.read_only or self._left < 0 or (not path and self._is_credential(name, "body")):
                continue
            if ("body", (*path, name)) in self.draft.paged:
                continue
            self._optional = self._optional or name not in shape.required
            made = self._member(part, (*path, name), within=within, depth=depth)
            if made == {} and any(place == "body" and of[:-1] == (*path, name) for place, of in self.draft.paged):
                continue  # the gateway makes the table of what turns pages
            table[name] = made
        if self._left < 0:
            self._note("body_cut", shape.pointer, "warning", most=_MAX_MEMBERS)
        if set(table) == {"each", "fields"}:  # would be read as a list
            self._note("each_fields", shape.pointer, "warning")
            table.pop("each")
        return table

    def _member(self, part: Shape, path: tuple[str, ...], *, within: bool, depth: int) -> Any:
        owner = path[-2] if len(path) > 1 else ""
        if part.kind == "object" and part.members and depth < _MAX_DEPTH:
            return self._table(part, path, within=within, depth=depth + 1)
        if part.kind == "list" and part.item is not None and part.item.kind == "object" and part.item.members:
            if depth >= _MAX_DEPTH:
                return self.expression(path, part, None, within=within)
            each = self.expression(path, part, None, within=within)
            with self.inside((*self._within, *path, "*")):
                inner = self._table(part.item, (), within=True, depth=depth + 1)
            return {"each": each, "fields": inner}
        several = part.kind == "list" and part.item is not None and part.item.kind == "value"
        match = recognise(path[-1], part.item if several and part.item else part, owner)
        self.recognised(".".join(path), match)
        expression = self.expression(path, part, match, within=within)
        expression += as_written(expression, part)
        if not within:
            self.draft.places.append((expression, part))
        return [expression] if several and expression == "subject.number" else expression

    # --- SOAP -----------------------------------------------------------------------------------------------------

    def _soap(self, request: dict[str, Any]) -> str:
        told, draft = self.draft.described.soap, self.draft
        assert told is not None
        shape = draft.described.bodies[0].shape
        fill = TemplateFiller(self, [shape, told.header])
        if told.wrapper:
            request["template"] = soap.template(told.wrapper, told.namespace or shape.namespace, shape, fill)
        else:
            request["template"] = soap.elements(shape, fill)
        if told.header is not None:
            request["header_template"] = soap.elements(told.header, fill)
        if self.left_out:
            self._note("soap_left_out", draft.described.pointer, "note", names=", ".join(self.left_out[:12]))
            draft.whys["request"] = words_text("why.soap_left_out", names=", ".join(self.left_out[:12]))
        if told.version == "1.2":
            if told.action:
                draft.table["content_type"] = f'application/soap+xml; charset=utf-8; action="{told.action}"'
            return "soap12"
        if len(told.action) > _LONGEST_ACTION or "'" in told.action:
            self._note("soap_action", draft.described.pointer, "warning", action=told.action[:60])
            return "soap"
        request.setdefault("headers", {})["SOAPAction"] = f"'\"{told.action}\"'"
        return "soap"

    # --- notes ----------------------------------------------------------------------------------------------------

    def recognised(self, path: str, match: Match | None) -> None:
        """Note that a value is somebody's, and by what that was seen."""
        if match is not None:
            self.draft.personal.append(personal("request", path, match))

    def _note(self, code: str, pointer: str, level: Any, **params: object) -> None:
        spot: Spot = self._spot(pointer)
        self.notes.add(code, spot, level, operation=self.draft.id, **params)


def personal(place: Any, path: str, match: Match) -> PersonalField:
    """Return a recognised member as it is told, with the reason."""
    why = words(f"personal.{match.by}", what=match.what, evidence=match.evidence)
    return PersonalField(place=place, path=path, what=match.what, sensitivity=match.sensitivity, why=why)


def words_text(key: str, **params: object) -> str:
    """Return a reason in English, as comments in the manifest are written."""
    return words(key, **params).en


def _literal(value: Any) -> str | None:
    text = ("true" if value else "false") if isinstance(value, bool) else str(value)
    return f"'{text}'" if "'" not in text and "|" not in text and len(text) < 190 and "\n" not in text else None


def _whole_name(name: str) -> bool:
    return not re.search(
        r"(?i)first|last|given|family|middle|sur|voor|achter|cogn|geslacht|maiden|prenom|vorname|nachname", name
    )


def _eight_digits(shape: Shape) -> bool:
    """Tell whether a date is written without hyphens."""
    told = re.search(r"(?i)yyyy-?mm-?dd", shape.text)
    if told is not None and "-" not in told[0]:
        return True
    dated = any(word in shape.text.lower() for word in ("date", "日期", "datum")) or shape.format == "date"
    return dated and isinstance(shape.example, str) and bool(re.fullmatch(r"(19|20)\d{6}", shape.example))
