"""Who sent a callback: the kinds of proof that `[callback]` declares. Whether it came before is asked elsewhere.

Every comparison takes constant time, every moment must lie within the allowed skew, and nothing in the message chooses
by what it is checked.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable, Mapping

from onestop.gateway.auth.digests import checker, decoded
from onestop.gateway.auth.http_signature import claimed, content_digest, is_genuine
from onestop.gateway.auth.keys import Secrets, accepted, naming
from onestop.gateway.auth.recipes import Attempt, Kitchen, Outgoing
from onestop.gateway.manifest import Callback, Manifest
from onestop.gateway.manifest_base import BadManifest

# (message, now) -> the nonce by which a repetition is known; None: not genuine
Genuine = Callable[[Outgoing, float], str | None]

_STAMP = re.compile(r"\d{1,13}")
_NONCE = re.compile(r"[!-~]{8,128}")
_MOST_SIGNATURE = 4096
_SIGNED_DIGEST = re.compile(r"(?:^|[ ,])sha-256=(:[A-Za-z0-9+/=]{44}:)(?:$|[ ,])")


def callback_check(manifest: Manifest, told: Secrets, config: Mapping[str, str] | None = None) -> Genuine | None:
    """Return what tells whether a callback is the department's own; None where none are awaited.

    Raises:
        BadManifest: a secret is missing or of the wrong kind, or the base names an unknown place.
    """
    rules = manifest.callback
    if rules is None:
        return None
    kinds = {"signed": _signed, "standard_webhooks": _webhooks, "http_signature": _message, "token": _token}
    with naming(manifest.id):
        return kinds[rules.kind](rules, Kitchen(told, config or {}))


def _signed(rules: Callback, kitchen: Kitchen) -> Genuine:
    base = kitchen.recipe(rules.base, "callback.base")
    if rules.encoding == "hex_upper" or not base.names:
        raise BadManifest("callback: `encoding` is hex, base64 or base64url, and `base` names what is signed")
    check = checker(rules.digest, kitchen.told, "callback_secret", "callback_key")
    names = rules.timestamp_header.lower(), rules.nonce_header.lower(), rules.signature_header.lower()
    encoding, skew_s = rules.encoding, rules.max_skew_s

    def genuine(message: Outgoing, now: float) -> str | None:
        stamp, nonce, signature = (message.header(name) for name in names)
        if not _in_time(_moment(stamp), now, skew_s) or _NONCE.fullmatch(nonce) is None:
            return None
        raw = decoded(encoding, signature) if len(signature) <= _MOST_SIGNATURE else None
        signed = base.fill(Attempt(message, nonce=nonce, stamp=stamp)).encode("utf-8", "surrogateescape")
        return nonce if raw is not None and check(signed, raw) else None

    return genuine


def _webhooks(rules: Callback, kitchen: Kitchen) -> Genuine:
    keys = [_webhook_key(text) for text in accepted(kitchen.told, "callback_secret")]

    def genuine(message: Outgoing, now: float) -> str | None:
        name, stamp = message.header("webhook-id"), message.header("webhook-timestamp")
        if not _in_time(_moment(stamp), now, rules.max_skew_s) or _NONCE.fullmatch(name) is None:
            return None
        signed = f"{name}.{stamp}.".encode() + message.body
        expected = [base64.b64encode(hmac.digest(key, signed, "sha256")) for key in keys]
        given = [part[3:].encode() for part in message.header("webhook-signature").split(" ")[:8] if part[:3] == "v1,"]
        return name if any(hmac.compare_digest(one, other) for one in expected for other in given) else None

    return genuine


def _webhook_key(text: str) -> bytes:
    try:
        return base64.b64decode(text.removeprefix("whsec_"), validate=True)
    except binascii.Error:
        raise BadManifest("the secret 'callback_secret' is no webhook secret (whsec_ and base64)") from None


def _message(rules: Callback, kitchen: Kitchen) -> Genuine:
    check = checker(rules.algorithm, kitchen.told, "callback_secret", "callback_key")
    needed = set(rules.components)
    if "content-digest" not in needed:
        raise BadManifest("callback.components leaves out content-digest: anybody could change the body")

    def genuine(message: Outgoing, now: float) -> str | None:
        claim = claimed(message.header("signature-input"), message.header("signature"))
        if claim is None or not needed <= set(claim.components) or not _body_is_whole(message):
            return None
        created, expires = claim.told.get("created", ""), claim.told.get("expires", "")
        if not _in_time(_moment(created), now, rules.max_skew_s) or (expires and not now <= (_moment(expires) or 0)):
            return None
        # What stands before us ends TLS, so the scheme they signed is known to them alone.
        host = message.host
        for origin in (f"https://{host}", f"http://{host}"):
            seen = Outgoing(message.method, origin, message.path, message.query, message.headers, message.body)
            if is_genuine(claim, seen, rules.algorithm, check):
                nonce = claim.told.get("nonce", "")
                return nonce if _NONCE.fullmatch(nonce) else hashlib.sha256(claim.signature).hexdigest()
        return None

    return genuine


def _body_is_whole(message: Outgoing) -> bool:
    """Tell whether the body is the one whose digest was sent; which digest was signed is `components`' matter."""
    told = _SIGNED_DIGEST.search(message.header("content-digest"))
    return told is not None and hmac.compare_digest(f"sha-256={told[1]}", content_digest(message.body))


def _token(rules: Callback, kitchen: Kitchen) -> Genuine:
    tokens = [text.encode() for text in accepted(kitchen.told, "callback_secret")]
    name, nonce_name = rules.signature_header.lower(), rules.nonce_header.lower()

    def genuine(message: Outgoing, now: float) -> str | None:
        given = message.header(name).encode("utf-8", "replace")
        if not any(hmac.compare_digest(token, given) for token in tokens):
            return None
        nonce = message.header(nonce_name)
        return nonce if _NONCE.fullmatch(nonce) else hashlib.sha256(message.body).hexdigest()

    return genuine


def _moment(stamp: str) -> float | None:
    if not stamp.isascii() or _STAMP.fullmatch(stamp) is None:
        return None
    return int(stamp) / 1000 if len(stamp) == 13 else float(stamp)


def _in_time(moment: float | None, now: float, skew_s: float) -> bool:
    return moment is not None and abs(now - moment) <= skew_s
