"""Whether a manifest reads the document's own example: the sandbox plays it, conformance asks for it."""

from onestop.gateway.manifest import Manifest, Operation
from onestop.gateway.operations import Prepared
from onestop.onboarding.importing.drafts import Draft
from onestop.onboarding.simulator_bodies import made_body
from onestop.onboarding.simulator_examples import as_reply
from onestop.onboarding.simulator_wire import media_type


def put_right(manifest: Manifest, draft: Draft) -> str:
    """Replace the good answer of an operation's examples where it cannot be read; return why it could not, else "".

    What is put in its place is made from schema and mapping, as the sandbox makes it where there is no example.
    """
    told = next((one for one in draft.table["examples"] if one["name"] == "ok"), None)
    operation = manifest.operation(draft.id)
    if told is None or operation.response_codec in ("none", "binary"):
        return ""
    why = _unread(manifest, operation, told["status"], told["body"].encode(operation.charset))
    if why:
        made = made_body(manifest, operation)
        if _unread(manifest, operation, told["status"], made):
            draft.table["examples"].remove(told)
        else:
            told["body"] = made.decode(operation.charset)
    return why


def _unread(manifest: Manifest, operation: Operation, status: int, body: bytes) -> str:
    answer = Prepared(manifest, operation).answer(as_reply(status, {"content-type": media_type(operation)}, body), None)
    return (answer.reason or "bad reply") if answer.kind == "bad_reply" else ""
