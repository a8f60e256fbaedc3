"""Operations of several calls, as the department sees them: each call is one of its own."""

import msgspec

from onestop.gateway.manifest import Lookup, Manifest, Operation, Reply, Step


def stepwise(manifest: Manifest) -> Manifest:
    """Return the manifest with every operation of several steps as one operation a step.

    The last step keeps the operation's own name, reply and examples; what the others save is what they must tell.
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
            "reply": Reply(fields=step.save),
            "examples": (),
            "schema": None,
        }
    return msgspec.structs.replace(operation, **changed)


def _as_lookup(operation: Operation, step: Step, lookup: Lookup) -> Operation:
    return msgspec.structs.replace(
        operation,
        id=f"{operation.id}_{step.id}_lookup"[:40],
        kind="lookup",
        method=lookup.method,
        path=lookup.path,
        request=lookup.request,
        request_codec=lookup.request_codec,
        reply=Reply(found=lookup.found, fields=lookup.save),
        examples=(),
        schema=None,
        steps=(),
    )
