"""Rules about authentication and protection: recipes that cannot be filled, weak ones, and secrets in the file."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from onestop.gateway.auth.recipes import PLACES
from onestop.gateway.lint.findings import Hit, Path, Subject, hit
from onestop.gateway.lint.requests import sent
from onestop.gateway.manifest import ApiKey, ClientCredentials, Jose, Login, SelfSigned, Signed, Sm4, WsSecurity
from onestop.outbound.message import RESERVED

_PLACE: Final = re.compile(r"\{([^{}\n]*)\}")
_PLACES: Final = {*PLACES, "app_key", "secret"} - {"signature"}
_SECRET: Final = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY|eyJ[\w-]{10,}\.eyJ|\b(?:sk|ak|pk|key|token)[-_][A-Za-z0-9]{16,}\b"
    r"|(?<![\w./-])(?=[A-Za-z0-9+/_-]*\d)(?=[A-Za-z0-9+/_-]*[A-Za-z])[A-Za-z0-9+_-]{32,}={0,2}(?![\w.-])"
)
_NAMES_SECRET: Final = re.compile(r"(?:secret|password|passwd|pwd|token|api_?key|app_?key|private_key)$", re.I)
_NAMES: Final = ("id", "want", "lookup", "operation", "path")  # long ones, as documents have them, are no secrets
_WEAK: Final = {
    "rsa-sha1": "SHA-1", "sha1": "SHA-1", "hmac-sha1": "SHA-1", "md5": "MD5", "hmac-md5": "MD5",
}  # fmt: skip
_KEY_MANAGEMENT: Final = frozenset((
    "ECDH-ES", "ECDH-ES+A128KW", "ECDH-ES+A192KW", "ECDH-ES+A256KW", "RSA-OAEP", "RSA-OAEP-256", "A128KW", "A192KW",
    "A256KW", "dir", "A128GCMKW", "A192GCMKW", "A256GCMKW", "RSA1_5",
))  # fmt: skip
_CONTENT: Final = frozenset((
    "A128GCM", "A192GCM", "A256GCM", "A128CBC-HS256", "A192CBC-HS384", "A256CBC-HS512",
))  # fmt: skip


def _recipes(s: Subject) -> Iterator[tuple[Path, str]]:
    """Yield every recipe of the file with where it stands, but for the text a signature is made over."""
    auth, always = s.manifest.auth, s.manifest.always
    groups: list[tuple[Path, Mapping[str, str]]] = [
        (("always", "headers"), always.headers), (("always", "query"), always.query),
    ]  # fmt: skip
    for name in ("headers", "query", "body", "request_headers", "request_query", "request_body", "claims"):
        group = getattr(auth, name, None)
        if isinstance(group, dict):
            groups.append((("auth", name), group))
    for path, group in groups:
        for name, recipe in group.items():
            yield (*path, name), recipe


def recipes(s: Subject) -> Iterator[Hit]:
    """Places that no recipe has; signatures that are made and never sent."""
    auth = s.manifest.auth
    told = list(_recipes(s))
    if isinstance(auth, Signed):
        told.append((("auth", "base"), auth.base))
        carried = [recipe for group in (auth.headers, auth.query, auth.body) for recipe in group.values()]
        if not any("{signature}" in recipe for recipe in carried):
            yield hit("ADP-085", ("auth",))
    for path, recipe in told:
        for place in _PLACE.findall(recipe):
            if not _is_place(place, signed=isinstance(auth, Signed) and path != ("auth", "base")):
                yield hit("ADP-084", path, place="{" + place + "}")


def _is_place(place: str, *, signed: bool) -> bool:
    if place == "signature":
        return signed
    if re.fullmatch(r"(?:secret|config)\.[A-Za-z_][\w-]*|time(?:_utc)?\(.+\)", place):
        return True
    return place in _PLACES


def signatures(s: Subject) -> Iterator[Hit]:
    """Signatures that do not hold what they should: body, time, secret; and weak ones."""
    auth = s.manifest.auth
    if not isinstance(auth, Signed):
        return
    if auth.digest in _WEAK:
        yield hit("ADP-083", ("auth", "digest"), digest=auth.digest, why=_WEAK[auth.digest])
    changes = any(one.method != "GET" for one in sent(s))
    if changes and not re.search(r"\{body|\{params\}", auth.base):
        yield hit("ADP-086", ("auth", "base"))
    dated = auth.base + "".join(auth.body.values()) + "".join(auth.query.values())
    if not re.search(r"\{timestamp|\{time\(|\{nonce\}|\{uuid\}", dated):
        yield hit("ADP-087", ("auth", "base"))
    plain = not auth.digest.startswith(("hmac", "rsa", "ecdsa", "ed25519", "sm2"))
    if plain and "{secret" not in auth.base:
        yield hit("ADP-088", ("auth", "base"), digest=auth.digest)


def tokens(s: Subject) -> Iterator[Hit]:
    """A login whose token is never sent; a certificate asked for that is not there; keys in bodies that are none."""
    auth, codecs = s.manifest.auth, {one.codec for one in sent(s) if one.method != "GET"}
    if isinstance(auth, Login):
        carried = [recipe for group in (auth.headers, auth.query, auth.body) for recipe in group.values()]
        if not any("{token}" in recipe for recipe in carried):
            yield hit("ADP-089", ("auth",))
    if isinstance(auth, ClientCredentials) and auth.client_auth == "tls" and not s.manifest.tls.client_certificate:
        yield hit("ADP-092", ("auth", "client_auth"))
    if isinstance(auth, WsSecurity) and not codecs <= {"soap", "soap12"}:
        yield hit("ADP-093", ("auth", "kind"), kind="ws_security", codecs="soap soap12")
    if isinstance(auth, ApiKey) and auth.place in ("form", "json") and not codecs <= {auth.place}:
        yield hit("ADP-093", ("auth", "place"), kind=f"api_key {auth.place}", codecs=auth.place)
    if auth.__struct_config__.tag != "none":
        for path, operation in s.operations():
            if not operation.authenticate and operation.sensitivity != "public":
                yield hit("ADP-097", (*path, "authenticate"), name=operation.id)


def protections(s: Subject) -> Iterator[Hit]:
    """Encrypted messages by names that are no algorithm, or by weak ones."""
    for path, operation in s.operations():
        for part, told in (("request", operation.request.protection), ("reply", operation.reply.protection)):
            where: Path = (*path, part, "protection")
            if isinstance(told, Sm4) and told.mode == "ecb":
                yield hit("ADP-091", (*where, "mode"), what="SM4-ECB")
            if isinstance(told, Jose):
                for name, known in (("key_management", _KEY_MANAGEMENT), ("content_encryption", _CONTENT)):
                    for word in getattr(told, name):
                        if word not in known:
                            yield hit("ADP-090", (*where, name), word=word, allowed=" ".join(sorted(known)))
                if "RSA1_5" in told.key_management:
                    yield hit("ADP-091", (*where, "key_management"), what="RSA1_5")


def headers(s: Subject) -> Iterator[Hit]:
    """Cookies, and headers that onestop writes itself."""
    told = [path for path, _ in _recipes(s) if "headers" in str(path[-2])]
    auth = s.manifest.auth
    told += [("auth", "headers", auth.name)] if isinstance(auth, ApiKey) and auth.place == "header" else []
    told += [(*one.where, "request", "headers", name) for one in sent(s) for name in one.request.headers]
    told += [
        (*path, "steps", i, *of, "save_headers", name, header)
        for path, operation in s.operations()
        for i, step in enumerate(operation.steps)
        for of, saver in (((), step), (("lookup",), step.lookup))
        if saver is not None
        for name, header in saver.save_headers.items()
    ]
    for path in told:
        name = str(path[-1]).lower()
        if name in ("cookie", "cookie2", "set-cookie"):
            yield hit("ADP-082", path, name=str(path[-1]))
        elif name in RESERVED and "save_headers" not in path:
            yield hit("ADP-094", path, name=str(path[-1]))


def secrets_told(s: Subject) -> Iterator[Hit]:
    """What looks like a secret and belongs into the environment file."""
    for path, value in _texts(s.raw, ()):
        name = str(path[-1])
        constant = path[0] in ("auth", "always") and "{" not in value and len(path) > 2 and path[1] != "params"
        if _SECRET.search(value) and path[0] in ("auth", "always", "operations", "callback") and "{{" not in value:
            if _is_schema_or_text(path) or path[-1] in _NAMES:
                continue
            yield hit("ADP-080", path, name=name)
        elif constant and _NAMES_SECRET.search(name) and value:
            yield hit("ADP-080", path, name=name)


def _is_schema_or_text(path: Path) -> bool:
    return any(part in ("schema", "purpose", "basis", "title", "examples", "errors", "fields") for part in path)


def _texts(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(value, str) and path:
        yield path, value
    elif isinstance(value, dict):
        for name, part in value.items():
            yield from _texts(part, (*path, name))
    elif isinstance(value, list):
        for i, part in enumerate(value):
            yield from _texts(part, (*path, i))


def callbacks(s: Subject) -> Iterator[Hit]:
    """A callback's signature that does not hold its time, its nonce or its body; a clock that may be far off."""
    rules = s.manifest.callback
    if rules is None:
        return
    for place in ("timestamp", "nonce", "body"):
        if not any(found.startswith(place) for found in _PLACE.findall(rules.base)):
            yield hit("ADP-095", ("callback", "base"), place="{" + place + "}")
    if rules.max_skew_s > 900:
        yield hit("ADP-096", ("callback", "max_skew_s"), seconds=rules.max_skew_s)
    for place in _PLACE.findall(rules.base):
        if place not in ("timestamp", "nonce", "body", "body_sha256", "method", "path"):
            yield hit("ADP-084", ("callback", "base"), place="{" + place + "}")


def claims(s: Subject) -> Iterator[Hit]:
    """A JWT of our own that anybody with the shared secret could have made, for more than a few minutes."""
    auth = s.manifest.auth
    if isinstance(auth, SelfSigned) and auth.life_s > 900:
        yield hit("ADP-087", ("auth", "life_s"))


RULES = (recipes, signatures, tokens, protections, headers, secrets_told, callbacks, claims)
