"""What a manifest needs to be told: the names of its secrets and constants, for whoever fills an environment."""

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from onestop.gateway.manifest import Callback, Manifest, Operation
from onestop.gateway.manifest_auth import (
    ApiKey,
    Auth,
    Basic,
    ClientCredentials,
    HttpSignature,
    Jose,
    Protection,
    SelfSigned,
    Signed,
    Tls,
    WsSecurity,
)

_PLACE = re.compile(r"\{\{|\}\}|\{(?:(secret|config)\.([^{}]+)|(app_key|secret))\}")
# Of an expression: `config.office`; what stands between quotes is a text, and `x.config.y` is a member.
_CONSTANT = re.compile(r"(?<![\w.'\"])config\.([A-Za-z_]\w*)")
_SHORT = {"app_key": "app_key", "secret": "app_secret"}


class Needs(msgspec.Struct, frozen=True):
    """Names in the adapter's table of the environment file, and in its `config`."""

    secrets: frozenset[str]
    config: frozenset[str]


def needs(manifest: Manifest) -> Needs:
    """Return what must be told for a line to open; of the client's certificate, the key may be in one with it."""
    declared = msgspec.to_builtins((manifest.auth, manifest.always, manifest.callback))
    named = [found for text in _texts(declared) for found in _named(text)]
    secrets = {name for kind, name in named if kind == "secret"}
    secrets |= {*_of_auth(manifest.auth), *_of_tls(manifest.tls), *_of_callback(manifest.callback)}
    config = {name for kind, name in named if kind == "config"}
    for operation in manifest.operations:
        secrets |= set(_of_protection(operation.reply.protection, ("decrypt_key", "verify_key")))
        secrets |= set(_of_protection(operation.request.protection, ("encrypt_key", "sign_key")))
        config |= {name for text in _asked(operation) for name in _CONSTANT.findall(text)}
    return Needs(frozenset(secrets), frozenset(config))


def _asked(operation: Operation) -> Iterator[str]:
    """Return the texts of which an operation's requests are made: there constants are named without braces."""
    requests = [operation.request, *(step.request for step in operation.steps)]
    requests += [step.lookup.request for step in operation.steps if step.lookup is not None]
    yield from _texts(msgspec.to_builtins(requests))
    yield from (step.skip_when for step in operation.steps if step.skip_when)


def _texts(tree: Any) -> Iterator[str]:
    if isinstance(tree, str):
        yield tree
    elif isinstance(tree, (dict, list, tuple)):
        for value in tree.values() if isinstance(tree, dict) else tree:
            yield from _texts(value)


def _named(text: str) -> Iterator[tuple[str, str]]:
    for kind, name, short in _PLACE.findall(text):
        if short:
            yield "secret", _SHORT[short]
        elif kind:
            yield kind, name


def _by_digest(digest: str, shared: str, own: str) -> tuple[str, ...]:
    if digest.startswith("hmac-"):
        return (shared,)
    return () if digest in ("sha256", "sha1", "sha512", "md5", "sm3") else (own,)


def _of_auth(auth: Auth) -> tuple[str, ...]:
    match auth:
        case ApiKey():
            return ("api_key",)
        case Basic() | WsSecurity():
            return ("username", "password")
        case SelfSigned():
            return ("jwt_key",)
        case ClientCredentials(client_auth=way):
            proof = {"private_key_jwt": ("client_key",), "tls": ()}
            return ("client_id", *proof.get(way, ("client_secret",)))
        case Signed(digest=digest):
            public = ("sign_public_key",) if digest == "sm2-sm3" else ()
            return (*_by_digest(digest, "app_secret", "sign_key"), *public)
        case HttpSignature(algorithm=algorithm):
            return _by_digest(algorithm, "app_secret", "sign_key")
    return ()


def _of_tls(tls: Tls) -> tuple[str, ...]:
    shown = ("client_cert", "client_cert_key") if tls.client_certificate else ()
    return (*shown, *(("ca",) if tls.trust == "own" else ()))


def _of_callback(rules: Callback | None) -> tuple[str, ...]:
    if rules is None:
        return ()
    if rules.kind in ("standard_webhooks", "token"):
        return ("callback_secret",)
    digest = rules.digest if rules.kind == "signed" else rules.algorithm
    return _by_digest(digest, "callback_secret", "callback_key")


def _of_protection(spec: Protection | None, keys: tuple[str, str]) -> tuple[str, ...]:
    if spec is None:
        return ()
    if isinstance(spec, Jose):
        return tuple(name for layer, name in zip(("jwe", "jws"), keys, strict=True) if layer in spec.layers)
    return ("sm4_key", "sm4_iv") if spec.mode == "cbc" and spec.iv == "secret" else ("sm4_key",)
