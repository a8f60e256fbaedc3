"""A department played from its manifest alone: every example it documents, its refusals, its memory, its bad days."""

import hashlib
import re
import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

import msgspec
import structlog

from onestop.clock import CHINA
from onestop.gateway.callback_rules import reader_of
from onestop.gateway.manifest import Manifest, Operation
from onestop.gateway.operations import prepare
from onestop.onboarding.simulator_auth import Guard
from onestop.onboarding.simulator_bodies import written_moment
from onestop.onboarding.simulator_examples import Book, Recorded, inline, read_folder, reading
from onestop.onboarding.simulator_memory import Memory, Remembered
from onestop.onboarding.simulator_paths import place_of
from onestop.onboarding.simulator_people import SLOW_S, STALE, Wish, real_numbers, wish_of
from onestop.onboarding.simulator_requests import Difference, Form, Request, nearest_path
from onestop.onboarding.simulator_scenario import Fault, Scenario
from onestop.onboarding.simulator_secrets import sandbox_config, sandbox_secrets
from onestop.onboarding.simulator_steps import stepwise
from onestop.onboarding.simulator_wire import exchange, flat, put, write_reply
from onestop.outbound.errors import BadBody

log = structlog.get_logger(__name__)

_PREFER = re.compile(r"\s*([a-z]+)\s*=\s*\"?([\w.-]+)\"?\s*")
_MOST_DELAY_S = 60.0
Ending = Literal["answer", "hang", "cut"]


class Told(msgspec.Struct, kw_only=True):
    """What the simulator answers, and how: after a delay, not at all, or cut off."""

    status: int
    headers: dict[str, str]
    body: bytes
    delay_s: float = 0.0
    ending: Ending = "answer"
    callback: "Owed | None" = None


class Owed(msgspec.Struct, frozen=True, kw_only=True):
    """A callback that the simulator will make."""

    operation: str
    key: str


class Prefer(msgspec.Struct, frozen=True, kw_only=True):
    """What a caller ordered by the header `Prefer`."""

    code: int | None = None
    example: str | None = None
    delay_s: float = 0.0


class Simulator:
    """One department, as one version of its manifest describes it."""

    def __init__(
        self,
        manifest: Manifest,
        *,
        examples: Path | None = None,
        told: Mapping[str, str] | None = None,
        config: Mapping[str, str] | None = None,
        scenario: Scenario | None = None,
        port: int | None = None,
    ) -> None:
        self.manifest = stepwise(manifest)
        self.secrets = dict(told) if told else sandbox_secrets(manifest)
        self.config = dict(config) if config else sandbox_config(manifest)
        self.guard = Guard(manifest, self.secrets, self.config)
        self.scenario = scenario or Scenario()
        self.memory = Memory()
        self.port = port  # where it listens, where it knows that
        prepared = prepare(self.manifest, self.secrets)
        self.books: dict[str, Book] = {}
        for operation in self.manifest.operations:
            book = Book(self.manifest, operation, prepared[operation.id], Form(self.manifest, operation))
            self.books[operation.id] = book
            for example in operation.examples:
                book.add(inline(book, example))
        self.callbacks = read_folder(examples, self.books) if examples is not None else {}
        self._forms = [book.form for book in self.books.values()]

    # ---- one request

    def answer(self, request: Request) -> Told:
        """Answer one request as the department would; never raises."""
        if real_numbers(request):
            return self._refused("sandbox.real_identity", 422, [], "only test persons, numbers beginning with 99")
        if request.path == self.guard.token_path and request.method in ("POST", "GET"):
            status, body = self.guard.token(request)
            return Told(status=status, headers={"content-type": "application/json"}, body=msgspec.json.encode(body))
        if self.manifest.probe is not None and request.path == self.manifest.probe.path:
            return Told(status=self.manifest.probe.accept[0], headers={}, body=b"")
        found = self._find(request)
        if isinstance(found, Told):
            return found
        book, facts = found
        told = self._play(book, request, facts)
        return self._with_faults(told, effect=book.operation.kind in ("submit", "cancel"))

    def _find(self, request: Request) -> tuple[Book, dict[str, str]] | Told:
        """Return the operation that is asked, or a refusal that says why it is none."""
        port = request.host.rpartition(":")[2]
        if self.port is not None and port.isdigit() and int(port) != self.port:
            return self._miss(None, None, [Difference(where="port", sent=port, expected=str(self.port))])
        fitting = [form for form in self._forms if form.fits(request) is not None]
        if not fitting:
            form, parts = nearest_path(self._forms, request)
            return self._miss(form.operation, None, parts)
        tried: list[tuple[int, Form, list[Difference], dict[str, str]]] = []
        for form in fitting:
            try:
                facts = form.facts(request)
                parts = form.differences(request, facts)
            except BadBody as fault:
                facts, expected = {}, f"<{form.operation.request_codec}, {form.operation.charset}>"
                parts = [Difference(where="body", sent=str(fault)[:80], expected=expected)]
            tried.append((form.weight(parts), form, parts, facts))
        _, form, parts, facts = min(tried, key=lambda one: one[0])
        book = self.books[form.operation.id]
        wrong = self.guard.always_faults(request)
        if wrong or (form.operation.authenticate and (wrong := self.guard.faults(request))):
            return self._unauthenticated(book, wrong)
        if parts:
            return self._miss(form.operation, book.nearest(facts).name, parts)
        return book, facts

    def _play(self, book: Book, request: Request, facts: dict[str, str]) -> Told:
        operation, values = book.operation, book.form.values(facts)
        prefer = read_prefer(request.headers.get("prefer", ""))
        if prefer.code is not None or prefer.example is not None:
            return self._preferred(book, prefer, values)
        wish = wish_of(operation, values, facts, self.memory)
        if wish.ending != "answer":
            return Told(status=200, headers={}, body=b"", ending=wish.ending)
        if operation.kind == "submit":
            told = self._submit(book, values, facts, wish)
        elif operation.kind in ("status", "lookup", "cancel"):
            told = self._ask_again(book, values, facts)
        else:
            told = self._query(book, values, facts, wish)
        told.delay_s += prefer.delay_s
        return told

    def _preferred(self, book: Book, prefer: Prefer, values: dict[str, str]) -> Told:
        example = book.named(prefer.example, prefer.code)
        if example is None and prefer.example is None and prefer.code is not None:
            made = write_reply(book.operation, {"message": f"Prefer: code={prefer.code}"})
            example = Recorded(operation=book.operation.id, name="made", status=prefer.code, headers={}, body=made)
        if example is None:
            names = ", ".join(f"{e.name} ({e.status})" for e in book.examples) or "none"
            part = Difference(where="header.prefer", sent=f"{prefer.example or ''} {prefer.code or ''}", expected=names)
            return self._miss(book.operation, None, [part])
        told = self._told(book, example, values)
        told.delay_s = prefer.delay_s
        return told

    def _query(self, book: Book, values: dict[str, str], facts: dict[str, str], wish: Wish) -> Told:
        if wish.word is not None:
            example = book.saying(wish.word)
            if example is None:
                return self._no_word(book, wish)
        else:
            example = book.nearest(facts)
        told = self._told(book, example, values, stale=wish.stale)
        if book.operation.paging is not None:
            from onestop.onboarding.simulator_pages import page_of

            told.body = page_of(book.operation, told.body, facts)
        if wish.malformed:
            told.body = told.body[: max(1, len(told.body) // 2)]
        told.delay_s = SLOW_S if wish.slow else 0.0
        return told

    # ---- effects

    def _submit(self, book: Book, values: dict[str, str], facts: dict[str, str], wish: Wish) -> Told:
        key = values.get("key") or self._own_key(book.operation, facts)
        before = self.memory.by_key(key)
        if before is not None and before.operation == book.operation.id:
            return msgspec.structs.replace(before.told, delay_s=0.0, callback=None)
        word, later = wish.word, None
        example = book.nearest(facts) if word is None else book.saying(word)
        if example is None and word is not None:
            if not self._can_say_later(book, word):
                return self._no_word(book, wish)
            example, later = book.saying("pending"), word
            if example is None:
                return self._no_word(book, wish)
        assert example is not None  # `nearest` always has one
        told = self._effect(book, example, values, key, later)
        if wish.malformed:
            told.body = told.body[: max(1, len(told.body) // 2)]
        told.delay_s = SLOW_S if wish.slow else 0.0
        return told

    def _effect(self, book: Book, example: Recorded, values: dict[str, str], key: str, later: str | None) -> Told:
        """Do an effect, unless the answer is a refusal, and remember it by its key."""
        done = example.reads_as in ("completed", "pending", "extended", "transferred", "ok")
        said = example.reads_as if example.reads_as != "ok" else "completed"
        if not done and book.operation.reply.outcome is None:
            return self._told(book, example, values)
        reference = self._reference(example, key)
        told = self._told(book, example, {**values, **({"reference": reference} if reference else {})})
        refused_by_error = not done and example.reads_as not in book.operation.reply.outcome.map.values()  # type: ignore[union-attr]
        if refused_by_error:
            return told
        final = later or ("completed" if said in ("pending", "extended") else said)
        if book.operation.answer == "callback":
            told.callback = Owed(operation=book.operation.id, key=key)
        self.memory.keep(
            Remembered(
                operation=book.operation.id,
                key=key,
                reference=reference,
                values=dict(values),
                told=told,
                now=said,
                final=final,
                polls=0,
            )
        )
        return told

    def _own_key(self, operation: Operation, facts: dict[str, str]) -> str:
        """Return what the department itself knows an effect by, where our key is not told to it.

        What may be repeated without a key (PUT) is the same effect when everything about it is the same.
        """
        if operation.idempotent == "key":
            told = repr((operation.id, sorted(facts.items())))
            return hashlib.sha256(told.encode()).hexdigest()
        return self.memory.next_key()

    def _reference(self, example: Recorded, key: str) -> str | None:
        told = example.values.get("reference")
        return None if told is None or told == example.values.get("key") else self.memory.next_reference(told)

    def _can_say_later(self, book: Book, word: str) -> bool:
        return book.operation.answer != "now" and any(
            other.saying(word) is not None for other in self._that_tell(book.operation)
        )

    def _that_tell(self, operation: Operation) -> list[Book]:
        """Return the operations that can tell what became of a submission, the callback's reading among them."""
        names = [operation.poll.operation if operation.poll else None, operation.lookup]
        if operation.answer == "callback":
            names.insert(0, reader_of(self.manifest, operation.id))
        return [self.books[name] for name in names if name in self.books]

    def _ask_again(self, book: Book, values: dict[str, str], facts: dict[str, str]) -> Told:
        """Answer a status, a look-up or a cancellation from memory; from the examples where they were recorded so."""
        effect = self.memory.find(values.get("key"), values.get("reference"))
        if effect is not None:
            word = effect.ask(self.scenario.polls) if book.operation.kind != "cancel" else "ok"
            example = book.saying(word) or book.saying("ok")
            if example is not None:
                known = {"key": effect.key, "reference": effect.reference or ""}
                return self._told(book, example, {**effect.values, **known})
        recorded = [e for e in book.examples if e.good and self._is_about(e, values)]
        if recorded:
            return self._told(book, min(recorded, key=lambda e: e.reads_as == "pending"), values)
        wish = Wish(word="not_found")
        example = book.saying("not_found")
        return self._told(book, example, values) if example is not None else self._no_word(book, wish)

    def _is_about(self, example: Recorded, values: dict[str, str]) -> bool:
        return any(name in values and example.values.get(name) == values[name] for name in ("key", "reference"))

    def callback_body(self, owed: Owed) -> bytes | None:
        """Return what the department says in a callback about an effect; None where it is forgotten."""
        effect, reader = self.memory.by_key(owed.key), reader_of(self.manifest, owed.operation)
        if effect is None or reader is None:
            return None
        book = self.books[reader]
        effect.settle()
        recorded = self.callbacks.get(owed.operation)
        example = book.saying(effect.final)
        body = recorded if recorded is not None and effect.final == "completed" else example.body if example else None
        if body is None:
            return None
        values = {**effect.values, "key": effect.key, "reference": effect.reference or ""}
        return exchange(book.operation, body, _exchanged(book.told_by(body), values))

    # ---- wording

    def _told(self, book: Book, example: Recorded, values: dict[str, str], *, stale: bool = False) -> Told:
        """Return an example with the caller's values and today's dates in the places of the recorded ones."""
        body = self._dated(book, example.body, stale) if example.reads_as not in _REFUSALS else example.body
        body = exchange(book.operation, body, _exchanged(example.values, values))
        headers = {**_headers_read(book.operation, example, values), **example.headers}
        headers["simulator-example"] = f"{book.operation.id}.{example.name}"
        number = values.get("subject.number")
        headers["simulator-reads-as"] = reading(book.prepared, example.status, headers, body, number)
        return Told(status=example.status, headers=headers, body=body)

    def _dated(self, book: Book, body: bytes, stale: bool) -> bytes:
        operation, source = book.operation, book.operation.reply.as_of
        place = place_of(source)
        if source is None or place is None or not body:
            return body
        age = (
            timedelta(seconds=2 * operation.fresh_s) if stale and operation.fresh_s else STALE if stale else timedelta()
        )
        moment = datetime.now(CHINA).replace(microsecond=0) - age
        written = written_moment(source, moment)
        if _DAY.fullmatch(flat(book.tree(body)).get(place, "")):
            written = moment.date().isoformat()  # a department that tells days goes on telling days
        try:
            return put(operation, body, {place: written})
        except (BadBody, ValueError):
            return body

    def _unauthenticated(self, book: Book, wrong: list[Difference]) -> Told:
        example = book.saying("denied")
        told = self._refused("sandbox.credentials", 401, wrong, "the credentials are not what the manifest declares")
        if example is not None and (
            example.status != 401 or not example.made or book.operation.response_codec != "json"
        ):
            told = Told(status=example.status, headers={**example.headers, **told.headers}, body=example.body)
            told.headers["content-type"] = example.headers.get("content-type", "application/json")
        return told

    def _miss(self, operation: Operation | None, example: str | None, parts: list[Difference]) -> Told:
        nearest = f"{operation.id}.{example}" if operation and example else operation.id if operation else None
        return self._refused("sandbox.no_match", 404, parts, "no example fits this request", nearest)

    def _no_word(self, book: Book, wish: Wish) -> Told:
        part = Difference(
            where=f"manifest operations.{book.operation.id}",
            sent=wish.word,
            expected="<an example, an error case or an outcome that is read so>",
        )
        return self._refused("sandbox.no_such_outcome", 501, [part], f"the manifest has no word for {wish.word}")

    def _refused(
        self, code: str, status: int, parts: list[Difference], sentence: str, nearest: str | None = None
    ) -> Told:
        log.info(
            "simulator_refused", adapter=self.manifest.id, code=code, nearest=nearest, where=[p.where for p in parts]
        )
        body = {
            "code": code,
            "sentence": sentence,
            "adapter": self.manifest.id,
            "nearest": nearest,
            "differences": parts,
        }
        where = ", ".join(part.where for part in parts)
        headers = {"content-type": "application/json", "simulator-refusal": f"{code}; {where}".rstrip("; ")}
        headers = {name: value.encode("ascii", "replace").decode() for name, value in headers.items()}
        return Told(status=status, headers=headers, body=msgspec.json.encode(body))

    def _with_faults(self, told: Told, *, effect: bool) -> Told:
        """Let the bad day that was ordered happen to an answer; the effect stands."""
        fault: Fault | None = self.scenario.draw(time.monotonic())
        told.delay_s = min(told.delay_s + self.scenario.latency_ms / 1000, _MOST_DELAY_S)
        if fault == "timeout":
            told.ending = "hang"
        elif fault == "reset" or (fault == "cut-after-effect" and effect):
            told.ending = "cut"
        elif fault == "garbage":
            told.body = b"<html><head><title>502</title></head><body>maintenance</body></html>"
        elif fault == "error":
            told.status, told.body = 500, b"{}"
        elif fault == "slow":
            told.delay_s += SLOW_S
        return told


_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_REFUSALS = frozenset(("not_found", "denied", "invalid", "declined", "correction", "busy", "down", "bad_reply"))


def _headers_read(operation: Operation, example: Recorded, values: Mapping[str, str]) -> dict[str, str]:
    """Return the headers that the manifest reads from an answer and no example shows.

    A header of one name says the same of one effect, in a step's answer and in its look-up's.
    """
    if example.reads_as in _REFUSALS:
        return {}
    shown = {name.lower() for name in example.headers}
    of = values.get("key") or repr(sorted(values.items()))
    names = {header.lower() for header in operation.reply.header_fields.values()} - shown
    return {name: hashlib.sha256(f"{name}\n{of}".encode()).hexdigest()[:16] for name in sorted(names)}


def _exchanged(recorded: Mapping[str, str], values: Mapping[str, str]) -> dict[str, str]:
    """Return the recorded texts with what stands in their places now."""
    return {old: values[name] for name, old in recorded.items() if values.get(name)}


def read_prefer(header: str) -> Prefer:
    """Read what a caller ordered: `code=404`, `example=name`, `delay=1.5`; what is not understood is left out."""
    found = {m[1]: m[2] for part in re.split("[,;]", header[:200]) if (m := _PREFER.fullmatch(part))}
    code, delay = found.get("code", ""), found.get("delay", "")
    seconds = float(delay) if re.fullmatch(r"\d{1,3}(\.\d{1,3})?", delay) else 0.0
    status = int(code) if re.fullmatch(r"[1-5]\d\d", code) else None
    return Prefer(code=status, example=found.get("example"), delay_s=min(seconds, _MOST_DELAY_S))


__all__ = ("Owed", "Prefer", "Simulator", "Told", "read_prefer")
