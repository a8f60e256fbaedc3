"""One operation of a manifest, compiled: values into a request, a reply into an answer."""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, unquote, urlencode, urlsplit

from onestop.gateway import facts
from onestop.gateway.answers import (
    OUTCOMES,
    Answer,
    AnswerKind,
    Heard,
    holds,
    kind_of_status,
    maybe,
    names_path,
    optional_text,
    sentence_of,
    text_of,
)  # fmt: skip
from onestop.gateway.auth.keys import naming
from onestop.gateway.bodies import codecs, forms, protection
from onestop.gateway.manifest import ErrorCase, Manifest, Operation
from onestop.gateway.mapping.language import (
    Compiler,
    Getter,
    MappingFailed,
    Value,
    check_size,
    expression,
    tree,
)
from onestop.gateway.mapping.values import MOST_PARTS, most_text, plain
from onestop.gateway.models import Outcome
from onestop.gateway.own_ids import asks_by_own_id, own_id_of
from onestop.gateway.paging import Pages, PageSpoiled, Turner, with_page
from onestop.gateway.representation import named_parties
from onestop.gateway.retry_after import retry_after_s
from onestop.gateway.steps import PreparedStep, steps_of
from onestop.outbound.decoding import decode_json
from onestop.outbound.errors import BadBody, BadMessage
from onestop.outbound.models import Limits, Reply

__all__ = ("Answer", "AnswerKind", "Heard", "Prepared", "prepare")

_Pairs = list[tuple[str, str]]


class Prepared:
    """An operation ready to be used many times."""

    def __init__(self, manifest: Manifest, operation: Operation, secrets: Mapping[str, str] | None = None) -> None:
        codes = manifest.codes
        self.spec = operation
        self.turner = Turner(operation.paging, codes) if operation.paging else None
        self.steps: tuple[PreparedStep, ...] = ()
        if operation.steps:
            self.steps = steps_of(manifest, operation, lambda own: Prepared(manifest, own, secrets))
        operation = with_page(operation)
        self._auth = str(manifest.auth.__struct_config__.tag)
        self.limits = Limits(wire_bytes=operation.max_reply_bytes, inflated_bytes=operation.max_reply_bytes)
        self._path = [(name, expression(source, codes)) for name, source in operation.request.path.items()]
        self._query = [(name, tree(source, codes)) for name, source in operation.request.query.items()]
        # SOAP 1.2 has no such header: the action stands in the Content-Type.
        headers = {
            name: source
            for name, source in operation.request.headers.items()
            if operation.request_codec != "soap12" or name.lower() != "soapaction"
        }
        self._headers = [(name, tree(source, codes)) for name, source in headers.items()]
        self._body = protection.writing(
            operation.request.protection, secrets, operation.request_codec, codecs.writer(operation, codes)
        )
        self._read = protection.reading(operation.reply.protection, secrets, codecs.reader(operation))
        kind = codecs.content_type(operation)
        self.fixed_target = not self._path and not self._query  # nothing of a call is in its path or query
        self._fixed = [("Accept", codecs.accept_type(operation))]
        if kind is not None:
            self._fixed.append(("Content-Type", kind))
        reply = operation.reply
        self._found = maybe(reply.found, codes)
        self._says_none = names_path(reply.found or ".")
        self._as_of = maybe(reply.as_of, codes)
        self._subject = maybe(reply.subject, codes)
        self._reference = maybe(reply.reference, codes)
        self._own_id = maybe(reply.own_id, codes)
        self.needs_own_id = asks_by_own_id(self.spec)
        self.parties = named_parties(self.spec)
        self._reason = maybe(reply.reason, codes)
        self._later = maybe(reply.later, codes)
        self.key = maybe(reply.key, codes)
        self.about = expression(operation.about or "subject.number", codes)
        self._outcome = maybe(reply.outcome.path if reply.outcome else None, codes)
        compiler = Compiler(codes)
        self._most_text = most_text(operation.max_reply_bytes)
        self._fields = compiler.counted(compiler.tree(reply.fields), self._most_text)
        self._leaves = compiler.leaves
        self._header_fields = [(name, header.lower().encode()) for name, header in reply.header_fields.items()]
        self._reference_header = reply.reference_header.lower().encode() if reply.reference_header else None
        self._errors = [(case, maybe(case.path, codes), maybe(case.reason, codes)) for case in operation.errors]

    def request(self, values: dict[str, Any]) -> tuple[str, str, list[tuple[str, str]], bytes]:
        """Return path, query, headers and body of a request; of the first page where none is told.

        Raises:
            MappingFailed: a value cannot be written as the manifest says.
            BadMessage: the body is larger than the department takes.
        """
        if self.turner is not None and "page" not in values:
            values = {**values, "page": self.turner.begin()}
        path = self.spec.path
        for name, get in self._path:
            path = path.replace("{" + name + "}", quote(_listed(get(values)), safe=""))
        query = urlencode(self._pairs(self._query, values, forms.pairs)) if self._query else ""
        headers = list(self._fixed)
        if self._headers:
            headers += self._pairs(self._headers, values, _in_one_line)
        body = self._body(values)
        if len(body) > self.spec.max_request_bytes:
            raise BadMessage("request_too_large", f"{len(body)} bytes, at most {self.spec.max_request_bytes}")
        return path, query, headers, body

    def _pairs(
        self, told: list[tuple[str, Getter]], values: dict[str, Any], several: Callable[[str, Value], _Pairs]
    ) -> _Pairs:
        """Return names with their values; `several` writes lists and tables."""
        spared = self.spec.request.omit_null
        # A cursor that is not there yet is no empty cursor.
        cursor = self.spec.paging.parameter if self.spec.paging is not None else None
        pairs: _Pairs = []
        for name, get in told:
            value = get(values)
            if spared and isinstance(value, dict):
                value = codecs.told_parts(value)
            if isinstance(value, (dict, list)):
                pairs += several(name, value)
            elif value is not None or not (spared or name == cursor):
                pairs.append((name, text_of(value)))
        return pairs

    def answer(self, reply: Reply, number: str | None) -> Answer:
        """Read a reply; what cannot be read, mapped or believed is a `bad_reply`, never an exception."""
        return self._answer(reply, number, None, {}) or Answer("bad_reply", reply)

    def page(self, reply: Reply, number: str | None, pages: Pages, values: dict[str, Any]) -> Answer | None:
        """Read one page; None: the next is to be asked for."""
        return self._answer(reply, number, pages, values)

    def _answer(self, reply: Reply, number: str | None, pages: Pages | None, values: dict[str, Any]) -> Answer | None:
        status = reply.status
        try:
            body = self._accepted(reply) if status in self.spec.accept else self._read_error(reply)
            found = self._error(status, body)
            if found is not None:
                case, answer = found[0], Answer(found[0].outcome, reply)
                answer.reason = found[1]
                answer.fact = facts.of_case(self.spec.errors.index(case) + 1, case.outcome, status, case.path)
                if pages is not None and pages.count and answer.kind == "not_found":
                    answer.kind = "bad_reply"  # the pages before it did hold something
            elif status not in self.spec.accept:
                answer = Answer(kind_of_status(status), reply)
                answer.fact = facts.of_status(reply, self.spec, self._auth)
            elif status == 204 and self._found is not None:
                return Answer("not_found", reply)  # no content is the department's word that there is none
            elif pages is None:
                return self.read(body, number, reply)
            else:
                return self._turned(reply, body, number, pages, values)
            answer.retry_after_s = retry_after_s(reply)
            return answer
        except (BadBody, MappingFailed) as fault:
            # A refusal may come without the protection of an answer; nothing else that it holds is believed.
            found = self._error(status, fault.outer) if isinstance(fault, protection.NotOpened) else None
            answer = Answer(found[0].outcome if found else "bad_reply", reply)
            if found is not None:
                answer.reason, answer.retry_after_s = found[1], retry_after_s(reply)
                return answer
            answer.reason = str(fault)
            answer.fact = facts.of_body(fault, self.spec)
            return answer

    def _turned(
        self, reply: Reply, body: Value, number: str | None, pages: Pages, values: dict[str, Any]
    ) -> Answer | None:
        """Take a page that was accepted; the whole is read after the last."""
        assert self.turner is not None  # who has pages has a turner
        if self._subject is not None and number is not None and pages.count and self._subject(body) != number:
            return self._somebody_else(reply)
        try:
            if self.turner.turn(pages, body, reply, values):
                return None
        except PageSpoiled as spoiled:
            answer = Answer("bad_reply", reply)
            answer.reason, answer.fact = str(spoiled), spoiled.fact
            return answer
        return self.read(self.turner.joined(pages), number, reply)

    def read_or_tell(self, body: Value, number: str | None = None) -> Answer:
        """Map an accepted body as `read` does; what cannot be mapped is a `bad_reply`."""
        try:
            return self.read(body, number)
        except MappingFailed as fault:
            answer = Answer("bad_reply")
            answer.reason, answer.fact = str(fault), facts.of_body(fault, self.spec)
            return answer

    def hear(self, body: bytes) -> Heard:
        """Decode what the department sends of itself, as far as is needed to know of what it speaks.

        Raises:
            BadBody: it is not what the operation's replies are.
            MappingFailed: what names the effect has not the form it needs.
        """
        value = self._read(body)
        key = self.key(value) if self.key else None
        reference = optional_text(self._reference(value)) if self._reference and self.key is None else None
        return Heard(key if isinstance(key, str) and key else None, reference, value)

    def said_later(self, value: Value) -> Answer:
        """Return what a body that was heard says; it counts as an accepted reply, for it has no status of its own.

        Raises:
            MappingFailed: a value has not the form it needs, or an error case tells no final word.
        """
        found = self._error(self.spec.accept[0], value)
        if found is None:
            answer = self.read(value)
            if answer.kind != "ok":
                raise MappingFailed(self.spec.reply.found or "reply", answer.kind, "needs a record")
            return answer
        case, reason = found
        if case.outcome not in ("declined", "correction"):
            raise MappingFailed(case.path or "errors", case.outcome, "needs a final word about what was sent")
        answer = Answer(case.outcome)
        answer.outcome, answer.reason, answer.body = case.outcome, reason, value
        return answer

    def called_back(self, body: bytes) -> tuple[str | None, Answer]:
        """Read what the department sends of itself whole; return our key that it names, None where it names none.

        Raises:
            As `hear` and `said_later`.
        """
        heard = self.hear(body)
        return heard.key, self.said_later(heard.value)

    def names_person(self, value: Value, number: str | None) -> bool:
        """Tell whether a body is about the person with that number; True where the manifest names nobody in it."""
        return self._subject is None or (number is not None and self._subject(value) == number)

    def _somebody_else(self, reply: Reply | None) -> Answer:
        answer = Answer("bad_reply", reply)
        answer.reason = "the reply is about somebody else"
        answer.fact = facts.fact("subject_mismatch", member=self.spec.reply.subject or "")
        return answer

    def read(self, body: Value, number: str | None = None, reply: Reply | None = None) -> Answer:
        """Map an accepted body.

        Raises:
            MappingFailed: a value has not the form its expression needs.
        """
        answer = Answer("ok", reply)
        about = self._subject(body) if self._subject is not None and number is not None else None
        if self._found is not None and self._found(body) in (None, "", [], {}):
            # A reply of another shape has no record either; it must not be read as the department's word for "none".
            known = self._says_none(body) or (about is not None and about == number)
            answer.kind = "not_found" if known else "bad_reply"
            if not known:
                answer.reason = "the reply holds neither a record nor a word that there is none"
                answer.fact = facts.missing(self.spec.reply.found or "", body)
            return answer
        if self._subject is not None and number is not None and about != number:
            return self._somebody_else(reply)
        answer.body = body
        answer.fields = self._fields(body)
        if reply is None or self.turner is not None or self._leaves * len(reply.body) > 2 * MOST_PARTS:
            # So many values of so long a reply could make more than one answer should be.
            check_size(answer.fields, self._most_text, "reply.fields")
        if self._as_of is not None:
            answer.as_of = self._as_of(body)
        if self._reference is not None:
            answer.reference = optional_text(self._reference(body))
        if self._own_id is not None:
            answer.own_id = own_id_of(self._own_id(body))
        if self._reason is not None:
            answer.reason = optional_text(self._reason(body))
        if self.spec.kind != "query":
            answer.outcome = self._outcome_of(body)
        if self._later is not None:
            answer.later = self._later(body)
        if reply is not None and (self._header_fields or self._reference_header):
            self._read_headers(answer, reply)
        return answer

    def _read_headers(self, answer: Answer, reply: Reply) -> None:
        """Take what stands in headers: fields, and the department's number; of an address its last part."""
        assert answer.fields is not None  # of an accepted reply
        for name, header in self._header_fields:
            told = reply.header(header)
            answer.fields[name] = told.decode("latin-1") if told is not None else None
        told = reply.header(self._reference_header) if self._reference_header else None
        if told is not None and answer.reference is None:
            text = told.decode("latin-1")
            if self._reference_header == b"location":
                text = unquote(urlsplit(text).path.rstrip("/").rpartition("/")[2])
            answer.reference = optional_text(text)

    def _outcome_of(self, body: Value) -> Outcome:
        rule = self.spec.reply.outcome
        if rule is None or self._outcome is None:
            return "completed" if self.spec.answer == "now" else "pending"
        said = text_of(self._outcome(body))
        mapped = rule.map.get(said, rule.default)
        if mapped not in OUTCOMES:
            raise MappingFailed(rule.path, said, f"needs one of {', '.join(rule.map)}")
        return mapped  # type: ignore[return-value]  # one of OUTCOMES

    def _accepted(self, reply: Reply) -> Value:
        """Read the body of an accepted reply."""
        received = reply.status == 202 and self.spec.answer != "now"  # its answer, which has a body, comes later
        if not reply.body and (received or reply.status in (204, 205)):
            return {}
        body = self._read(reply.body)
        if self.spec.response_codec == "binary":
            told = reply.header(b"content-type")
            body["content_type"] = told.decode("latin-1") if told is not None else None
        return body

    def _read_error(self, reply: Reply) -> Value:
        """Read the body of a refusal as far as it can be read: the status alone may already tell."""
        try:
            if self.spec.response_codec != "json" and codecs.says_json(reply):
                return decode_json(reply.body)
            return self._read(reply.body)
        except protection.NotOpened as fault:
            return fault.outer
        except BadBody:
            return None

    def _error(self, status: int, body: Value) -> tuple[ErrorCase, str | None] | None:
        for case, path, reason in self._errors:
            if case.status is not None and case.status != status:
                continue
            if case.status is None and path is None:
                continue
            try:
                if path is not None and not holds(case, path(body)):
                    continue
            except MappingFailed:
                continue  # what cannot be read there is not what this case waits for
            return case, sentence_of(reason, body)
        return None


def _listed(value: Value) -> str:
    """Return a value for a place that holds one text: a list as the URI and header standards write it, by commas."""
    if isinstance(value, list):
        return ",".join(map(plain, value))
    return plain(value) if isinstance(value, dict) else text_of(value)


def _in_one_line(name: str, value: Value) -> _Pairs:
    return [(name, _listed(value))]


def prepare(manifest: Manifest, secrets: Mapping[str, str] | None = None) -> dict[str, Prepared]:
    """Compile every operation of a manifest, by id; without secrets none that is protected can be read.

    Raises:
        BadManifest: an expression cannot be compiled, or a key is missing.
    """
    with naming(manifest.id):
        return {operation.id: Prepared(manifest, operation, secrets) for operation in manifest.operations}
