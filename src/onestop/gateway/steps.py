"""An operation of several calls: which one is next, what each saved for the later ones, and the answer at the end.

It knows no wire: a call drives it for a query, the effect ledger's dispatcher for a submission.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec

from onestop.gateway.manifest import ErrorCase, Manifest, Operation, Reply, Step
from onestop.gateway.mapping.language import Getter, MappingFailed, Value, expression, tree

if TYPE_CHECKING:
    from onestop.gateway.operations import Answer, Prepared

Saved = dict[str, dict[str, Value] | None]  # by step; None: it was left out

LEDGER_KINDS: Final = ("submit", "cancel")  # they are effects: gone on with after a failure
_MOST_SAVED: Final = 65_536  # bytes of JSON: what later steps need is names and numbers, not documents


class PreparedStep:
    """One step, compiled."""

    def __init__(
        self, manifest: Manifest, operation: Operation, step: Step, make: "Callable[[Operation], Prepared]"
    ) -> None:
        codes = manifest.codes
        self.spec = step
        own = msgspec.structs.replace(
            operation,
            method=step.method,
            path=step.path,
            request=step.request,
            request_codec=step.request_codec or operation.request_codec,
            response_codec=step.response_codec or operation.response_codec,
            accept=step.accept or operation.accept,
            idempotent=step.idempotent,
            total_s=step.total_s or operation.total_s,
            errors=(*step.errors, *operation.errors),
            reply=Reply(protection=operation.reply.protection),  # each answer is opened, or nothing of it is believed
            steps=(),
            answer="now",
        )
        self.prepared = make(own)
        self._skip_when = expression(step.skip_when, codes) if step.skip_when else None
        self._save = tree(step.save, codes)
        self._headers = _named(step.save_headers)
        self.lookup: Prepared | None = None
        if step.lookup is not None:
            find = step.lookup
            asked = msgspec.structs.replace(
                own, method=find.method, path=find.path, request=find.request, request_codec=find.request_codec,
                idempotent="safe", errors=(*find.errors, *_refusals(own.errors)), accept=tuple({*own.accept, 200}),
            )  # fmt: skip
            self.lookup = make(asked)
            self._found = expression(find.found, codes)
            self._save_found = tree(find.save, codes)  # its own: the look-up's body has another shape
            self._headers_found = _named(find.save_headers)

    def left_out(self, values: Mapping[str, Any]) -> bool:
        """Tell whether what the step would bring is there already."""
        return self._skip_when is not None and self._skip_when(values) not in (None, "", [], {}, False)

    def saved(self, answer: "Answer") -> dict[str, Value]:
        """Return what a step's answer saves.

        Raises:
            MappingFailed: a value has not the form its expression needs.
        """
        return _told(answer, self._save, self._headers, self.spec.id)

    def found(self, answer: "Answer") -> dict[str, Value] | None:
        """Return what a look-up that was answered saves; None: the step never arrived.

        Raises:
            MappingFailed: a value has not the form its expression needs.
        """
        if answer.kind != "ok" or self._found(answer.body) in (None, "", [], {}):
            return None
        return _told(answer, self._save_found, self._headers_found, self.spec.id)


class Walk:
    """One way through an operation's steps; `saved` may come from an earlier, interrupted one."""

    def __init__(self, operation: "Prepared", saved: Saved | None = None) -> None:
        self._operation = operation
        self.saved: Saved = saved or {}
        self.body: Value = None  # of the last step that was taken
        self.at: PreparedStep | None = None

    def next(self, values: dict[str, Any]) -> PreparedStep | None:
        """Return the step to take now, None after the last; `values` then holds what it reads."""
        values["steps"] = self.saved
        for step in self._operation.steps:
            if step.spec.id in self.saved:
                continue
            if step.left_out(values):
                self.saved[step.spec.id] = None
                continue
            values["step_key"] = f"{values.get('key', '')}.{step.spec.id}"
            self.at = step
            return step
        self.at = None
        return None

    def took(self, step: PreparedStep, answer: "Answer") -> None:
        """Take a step's answer.

        Raises:
            MappingFailed: what it saves cannot be read.
        """
        self.saved[step.spec.id] = step.saved(answer)
        self.body = answer.body

    def acted(self) -> list[str]:
        """Return the steps that have done something there."""
        safe = {step.spec.id for step in self._operation.steps if step.spec.idempotent == "safe"}
        return [name for name, saved in self.saved.items() if name not in safe and saved is not None]

    def answer(self, number: str | None = None) -> "Answer":
        """Return the whole operation's answer, mapped from everything that was saved; of a question, from the last
        step's body too.

        A submission's last step may be found by its look-up instead, and the answer must be the same either way.
        """
        told: dict[str, Value] = {}
        if self._operation.spec.kind not in LEDGER_KINDS:
            told = self.body if isinstance(self.body, dict) else {"body": self.body}
        return self._operation.read_or_tell({**told, "steps": self.saved}, number)


def steps_of(
    manifest: Manifest, operation: Operation, make: "Callable[[Operation], Prepared]"
) -> tuple[PreparedStep, ...]:
    """Compile an operation's steps, in order; `make` compiles one call.

    Raises:
        BadManifest: an expression cannot be compiled.
    """
    return tuple(PreparedStep(manifest, operation, step, make) for step in operation.steps)


def _refusals(errors: tuple[ErrorCase, ...]) -> tuple[ErrorCase, ...]:
    """Return what a look-up takes over of its step's cases: what they call not found is not the step."""
    return tuple(case for case in errors if case.outcome != "not_found")


def _named(headers: Mapping[str, str]) -> list[tuple[str, bytes]]:
    return [(name, header.lower().encode()) for name, header in headers.items()]


def _told(answer: "Answer", save: Getter, headers: list[tuple[str, bytes]], step: str) -> dict[str, Value]:
    saved: dict[str, Value] = save(answer.body)
    for name, header in headers:
        told = answer.reply.header(header) if answer.reply is not None else None
        saved[name] = told.decode("latin-1") if told is not None else None
    if len(msgspec.json.encode(saved)) > _MOST_SAVED:
        raise MappingFailed(f"steps.{step}", saved, f"saves more than {_MOST_SAVED} bytes")
    return saved
