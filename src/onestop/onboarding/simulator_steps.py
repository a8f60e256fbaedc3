"""Operations of several calls, as the department sees them: each call is one of its own."""

import re
from typing import Any, Final

import msgspec

from onestop.gateway.manifest import Lookup, Manifest, Operation, Reply, Step
from onestop.gateway.steps import LEDGER_KINDS

_SAVED: Final = re.compile(r"\s*steps\.(\w+)\.([\w-]+)")


def stepwise(manifest: Manifest) -> Manifest:
    """Return the manifest with every operation of several steps as one operation a step.

    The last step keeps the operation's own name, reply and examples; what the others save is what they must tell. A
    submission's reply reads what was saved: it is put back to where the last step reads that from.
    """
    operations: list[Operation] = []
    for operation in manifest.operations:
        if not operation.steps:
            operations.append(operation)
            continue
        *before, last = operation.steps
        operations += [_as_operation(operation, step, last=False) for step in before]
        operations.append(_as_operation(operation, last, last=True))
        operations += [_as_lookup(operation, step, step.lookup) for step in operation.steps if step.lookup is not None]
    return msgspec.structs.replace(manifest, operations=operations)


def _as_operation(operation: Operation, step: Step, *, last: bool) -> Operation:
    changed = {
        "method": step.method,
        "path": step.path,
        "request": step.request,
        "request_codec": step.request_codec or operation.request_codec,
        "response_codec": step.response_codec or operation.response_codec,
        "accept": step.accept or operation.accept,
        "errors": (*step.errors, *operation.errors),
        "steps": (),
    }
    if not last:
        changed |= {
            "id": f"{operation.id}_{step.id}"[:40],
            "kind": "query",
            "reply": Reply(fields=step.save, header_fields=step.save_headers, protection=operation.reply.protection),
            "examples": (),
            "schema": None,
        }
    elif operation.kind in LEDGER_KINDS:
        changed["reply"] = _of_last(operation.reply, step)
    return msgspec.structs.replace(operation, **changed)


def _of_last(reply: Reply, last: Step) -> Reply:
    """Return the reply as the last step's body tells it; what other steps saved is no part of that."""
    told = {name: _unsaved(getattr(reply, name), last) for name in ("found", "as_of", "reference", "reason", "later")}
    path = _unsaved(reply.outcome.path, last) if reply.outcome is not None else None
    outcome = msgspec.structs.replace(reply.outcome, path=path) if reply.outcome is not None and path else None
    fields = {name: source for name, part in reply.fields.items() if (source := _unsaved(part, last)) is not None}
    headers = {**reply.header_fields, **last.save_headers}
    return msgspec.structs.replace(
        reply, **told, outcome=outcome, fields={**last.save, **fields}, header_fields=headers
    )


def _unsaved(source: Any, last: Step) -> str | None:
    """Return an expression over the last step's body; None where it reads none of what that saves from there."""
    found = _SAVED.match(source) if isinstance(source, str) else None
    saved = last.save.get(found[2]) if found is not None and found[1] == last.id else None
    return f"{saved}{source[found.end() :]}" if found is not None and isinstance(saved, str) else None


def _as_lookup(operation: Operation, step: Step, lookup: Lookup) -> Operation:
    return msgspec.structs.replace(
        operation,
        id=f"{operation.id}_{step.id}_lookup"[:40],
        kind="lookup",
        method=lookup.method,
        path=lookup.path,
        request=lookup.request,
        request_codec=lookup.request_codec,
        reply=Reply(
            found=lookup.found,
            fields=lookup.save,
            header_fields=lookup.save_headers,
            protection=operation.reply.protection,
        ),
        examples=(),
        schema=None,
        steps=(),
    )
