"""What a request shows, as text: its members and parameters, and what credentials are written in."""

import base64
import binascii
import hashlib
from typing import Any
from urllib.parse import parse_qsl, unquote

import msgspec

from onestop.gateway.manifest import Signed
from onestop.gateway.mapping.language import path_of
from onestop.onboarding.simulator_requests import Request
from onestop.onboarding.simulator_wire import flat


def members(request: Request) -> dict[str, str]:
    """Return the members of a form or JSON body, as text."""
    kind = request.headers.get("content-type", "")
    if "form" in kind:
        return dict(parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True))
    try:
        return flat(msgspec.json.decode(request.body)) if request.body[:1] == b"{" else {}
    except msgspec.DecodeError:
        return {}


def params_text(auth: Signed, request: Request) -> str:
    """Return the text {params}: every parameter in order of name."""
    rules = auth.params
    told: dict[str, str] = {}
    if "query" in rules.of:
        told |= request.query
    if "body" in rules.of:
        told |= members(request)
    own = {*auth.query, *auth.body}
    pairs = [
        (name, value)
        for name, value in sorted(told.items())
        if name not in rules.leave_out
        and not (rules.skip_empty and value == "")
        and ("auth" in rules.of or name not in own)
    ]
    return rules.join.join(rules.pair.replace("{name}", name).replace("{value}", value) for name, value in pairs)


def basic_pair(header: str) -> tuple[str, str]:
    """Return client and secret of a Basic header; empty where it cannot be read."""
    try:
        client, _, secret = base64.b64decode(header.removeprefix("Basic "), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return unquote(client), unquote(secret)


def ws_digest(nonce: str, created: str, password: str) -> str:
    """Return the PasswordDigest of the UsernameToken profile; empty where the nonce is no base64."""
    try:
        raw = base64.b64decode(nonce) + created.encode() + password.encode()
    except binascii.Error:
        return ""
    return base64.b64encode(hashlib.sha1(raw).digest()).decode()  # noqa: S324 - the profile's own


def unb64url(text: str) -> bytes:
    """Decode base64url without padding."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def grow(tree: dict[str, Any], source: str, value: Any) -> None:
    """Put a value into a tree where an expression's path reads it."""
    *parents, last = path_of(source) or [source]
    for step in parents:
        tree = tree.setdefault(step, {})
    tree[last] = value
