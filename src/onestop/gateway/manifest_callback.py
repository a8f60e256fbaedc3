"""How a department answers later of itself: the manifest's `[callback]`."""

from typing import Annotated, Literal

from msgspec import Meta

from onestop.gateway.manifest_auth import Digest, Encoding, MessageAlgorithm
from onestop.gateway.manifest_base import Name, Recipe, Strict


class CallbackReply(Strict, frozen=True, kw_only=True):
    """What a department hears when its callback is on record, new or not."""

    status: Literal[200, 201, 202] = 200
    body: Annotated[str, Meta(min_length=1, max_length=4096)]  # word for word
    content_type: Annotated[str, Meta(pattern=r"^[a-z]+/[a-z0-9.+-]+(; ?charset=utf-8)?$")] = "application/json"


class ToldBy(Strict, frozen=True, kw_only=True):
    """Where a callback tells of which operation it speaks, before its body is read.

    path: the segment behind `/v1/callbacks/<adapter>/`. header, query: the value under `name`. It only chooses how the
    body is read; whether the effect that the body names is of that operation is looked at afterwards.
    """

    place: Literal["path", "header", "query"]
    name: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.-]{1,64}$")] | None = None  # of the header or of the query member
    values: dict[str, Name] = {}  # what stands there, and the operation it means; none: the operations' own ids


class Callback(Strict, frozen=True, kw_only=True):
    """How the department's own answers are known to be the department's, and which operations they answer.

    signed: over `base`, by `digest`; secret `callback_secret` (hmac-…) or `callback_key` (their public key: PEM,
    certificate, JWK or JWKS). standard_webhooks: headers `webhook-id`, `-timestamp`, `-signature`; `callback_secret`.
    http_signature: RFC 9421, by `algorithm`, covering `components`. token: `callback_secret` itself in
    `signature_header`, which proves least. Of a secret, `next_<its name>` is good as well while one replaces the other.
    """

    kind: Literal["signed", "standard_webhooks", "http_signature", "token"] = "signed"
    base: Recipe = "{timestamp}\n{nonce}\n{body}"
    digest: Digest = "hmac-sha256"
    encoding: Encoding = "hex"
    timestamp_header: str = "X-Timestamp"  # seconds, or milliseconds in 13 digits
    nonce_header: str = "X-Nonce"
    signature_header: str = "X-Signature"
    algorithm: MessageAlgorithm = "ecdsa-p256-sha256"
    components: tuple[str, ...] = ("@method", "@path", "content-digest")  # what must be covered at least
    max_skew_s: Annotated[int, Meta(ge=1, le=3600)] = 300
    operation: Name | None = None  # the one submission whose `reply` reads every callback; or
    operations: tuple[Name, ...] = ()  # those that are answered so, each reading its own (see its `heard_as`)
    told_by: ToldBy | None = None  # with `operations`; None: their bodies are read alike, and the effect tells
    reply: CallbackReply | None = None  # None: `{"received": true, "new": …}`
    replies: dict[str, CallbackReply] = {}  # by operation, where one must hear something else
