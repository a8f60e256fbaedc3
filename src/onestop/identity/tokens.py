"""The one module that checks tokens, over joserfc: providers' ID tokens, onestop's own tokens, clients' assertions.

Nothing in a token chooses how it is checked: algorithms are a fixed list, a key is taken by its id from a set that was
fetched or made beforehand, and a header member that is not listed here refuses the token (`crit`, `jwk`, `jku`, `x5u`,
`x5c`, `b64`, `zip`, `enc` and any other). A proof of possession (RFC 9449) alone brings its key along, and proves no
more than that it was made with it. Every size is bounded before anything is decoded, and JSON is read strictly: a
member that stands twice refuses the token.
"""

import base64
import binascii
import hashlib
import hmac
import re
import time
from collections.abc import Callable, Iterable
from typing import Any, Final, TypeVar

import msgspec
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey

from onestop.http import body
from onestop.http.errors import BadBody
from onestop.identity.errors import BadToken

AUDIENCE: Final = "onestop"  # of our own bearer tokens
MAX_TOKEN: Final = 8 * 1024
MAX_KEYS: Final = 32
LEEWAY_S: Final = 30  # how far two clocks may differ
MAX_AGE_S: Final = 600  # an ID token is checked moments after it was made

# Algorithm → the hash its at_hash is made with.
ALGORITHMS: Final[dict[str, Callable[[bytes], Any]]] = {
    "ES256": hashlib.sha256,
    "RS256": hashlib.sha256,
    "PS256": hashlib.sha256,
    "Ed25519": hashlib.sha512,
    "EdDSA": hashlib.sha512,  # the older name of the same thing; Ed25519 keys only
}
_BY_KEY: Final = {"EC": ("ES256",), "RSA": ("RS256", "PS256"), "OKP": ("Ed25519", "EdDSA")}
_KINDS: Final[dict[str, type[ECKey | RSAKey | OKPKey]]] = {"EC": ECKey, "RSA": RSAKey, "OKP": OKPKey}
_CURVES: Final = {"EC": "P-256", "OKP": "Ed25519"}
_SEGMENT = re.compile(r"[A-Za-z0-9_-]+")

# msgspec lets bytes that are no UTF-8 out as what they are.
_UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError)
# Members that only a private or a shared key has (RFC 7518, 6.2.2, 6.3.2, 6.4).
_SECRET_MEMBERS: Final = frozenset(("d", "p", "q", "dp", "dq", "qi", "oth", "k"))
_RSA_BYTES: Final = 2048 // 8

Claims = dict[str, Any]


class _Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    alg: str
    kid: str | None = None
    typ: str | None = None
    # Names of certificates some providers add; they choose nothing here.
    x5t: str | None = None
    x5t_s256: str | None = msgspec.field(default=None, name="x5t#S256")


class _ProofHeader(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    alg: str
    typ: str
    jwk: dict[str, Any]


class _Registered(msgspec.Struct, frozen=True):
    """The claims every token must have, and those that are checked where they are present."""

    iss: str
    sub: str
    aud: str | list[str]
    exp: int | float
    iat: int | float
    nbf: int | float | None = None
    azp: str | None = None
    nonce: str | None = None
    at_hash: str | None = None
    c_hash: str | None = None
    sid: str | None = None
    role: str | None = None
    auth_time: int | float | None = None


_AnyHeader = TypeVar("_AnyHeader", _Header, _ProofHeader)


class AccessClaims(msgspec.Struct, frozen=True):
    """What onestop's own bearer token says."""

    sub: str
    sid: str
    role: str
    exp: float  # seconds since 1970


class UnknownKey(BadToken):
    """The token names a key that is not in the set: fetching the set anew may help."""


class _Registry(jws.JWSRegistry):
    """joserfc's registry without its own choices: only the algorithm given, and no warning for an older name."""

    max_header_length = 1024
    max_payload_length = MAX_TOKEN
    max_signature_length = 1024

    def get_alg(self, name: str) -> Any:
        if name not in (self.allowed or ()):
            raise BadToken("algorithm")
        return self.algorithms[name]


class _ProofRegistry(_Registry):
    """The same for a header that brings a key along: of RSA with 4096 bits it is longer."""

    max_header_length = 2048


class Keyring:
    """The public keys of one issuer."""

    def __init__(self, keys: Iterable[tuple[str | None, tuple[str, ...], Key]]) -> None:
        self._keys = tuple(keys)

    @classmethod
    def read(cls, document: bytes | dict[str, Any]) -> "Keyring":
        """Read a JWK set; keys that are secret, weak, not for signing or of another kind are left out.

        Raises:
            ValueError: not a JWK set, or more than 32 keys.
        """
        try:
            tree = msgspec.json.decode(document) if isinstance(document, bytes) else document
        except _UNREADABLE as cause:
            raise ValueError("not JSON") from cause
        entries = tree.get("keys") if isinstance(tree, dict) else None
        if not isinstance(entries, list) or len(entries) > MAX_KEYS:
            raise ValueError("not a JWK set, or too many keys")
        return cls(found for entry in entries if (found := _usable(entry)) is not None)

    def __len__(self) -> int:
        return len(self._keys)

    def find(self, header: _Header) -> Key:
        """Return the one key the header means; without a key id there must be only one that fits."""
        fitting = [
            key for kid, algs, key in self._keys if header.alg in algs and (header.kid is None or kid == header.kid)
        ]
        if len(fitting) != 1:
            raise UnknownKey("unknown_key" if not fitting else "ambiguous_key")
        return fitting[0]


def _usable(entry: Any) -> tuple[str | None, tuple[str, ...], Key] | None:
    if not isinstance(entry, dict) or entry.get("use", "sig") != "sig":
        return None
    kty = entry.get("kty")
    if kty not in _KINDS or ("crv" in entry and entry["crv"] != _CURVES.get(kty)):
        return None
    told = entry.get("alg")
    algs = tuple(alg for alg in _BY_KEY[kty] if told is None or told == alg)
    kid = entry.get("kid")
    try:
        # Only the public members: a set that publishes a private key is not made worse by us.
        wanted = {"EC": ("crv", "x", "y"), "RSA": ("n", "e"), "OKP": ("crv", "x")}[kty]
        if kty == "RSA" and len(decoded(entry["n"]).lstrip(b"\0")) < _RSA_BYTES:
            return None
        key = _KINDS[kty].import_key({"kty": kty, **{name: entry[name] for name in wanted}})
    except (JoseError, KeyError, TypeError, ValueError):
        return None
    return (kid if isinstance(kid, str) else None, algs, key) if algs else None


def check_id_token(
    token: str,
    keys: Keyring,
    *,
    issuer: str,
    client_id: str,
    nonce: str,
    access_token: str | None = None,
    code: str | None = None,
    max_age_s: int | None = None,
) -> Claims:
    """Return the claims of a provider's ID token (OpenID Connect Core 3.1.3.7).

    `max_age_s`: how long ago the person may have proved who they are, where the request asked for that.

    Raises:
        UnknownKey: the key it names is not in `keys`.
        BadToken: anything else; `reason` says what.
    """
    header, claims, told = _open(token, keys)
    if header.typ is not None and header.typ.upper() != "JWT":
        raise BadToken("typ")
    _check_times(told, max_age_s=MAX_AGE_S)
    if told.iss != issuer:
        raise BadToken("iss")
    audience = [told.aud] if isinstance(told.aud, str) else told.aud
    # Nobody else is trusted with a token for us, so nobody else may be named in it (3.1.3.7, 3).
    if set(audience) != {client_id}:
        raise BadToken("aud")
    if told.azp is not None and told.azp != client_id:
        raise BadToken("azp")
    if max_age_s is not None and (told.auth_time is None or told.auth_time < time.time() - max_age_s - LEEWAY_S):
        raise BadToken("auth_time")
    if told.auth_time is not None and told.auth_time > time.time() + LEEWAY_S:
        raise BadToken("auth_time")
    if told.nonce is None or not hmac.compare_digest(told.nonce.encode(), nonce.encode()):
        raise BadToken("nonce")
    if told.at_hash is not None and (access_token is None or told.at_hash != half_hash(access_token, header.alg)):
        raise BadToken("at_hash")
    if told.c_hash is not None and (code is None or told.c_hash != half_hash(code, header.alg)):
        raise BadToken("c_hash")
    return claims


def check_access_token(token: str, keys: Keyring, *, issuer: str, audience: str) -> AccessClaims:
    """Return what one of onestop's own bearer tokens says; whether its session still lives is for the caller to ask.

    Raises:
        UnknownKey, BadToken: as `check_id_token`.
    """
    header, _, told = _open(token, keys)
    if header.typ is None or header.typ.lower() not in ("at+jwt", "application/at+jwt"):
        raise BadToken("typ")
    _check_times(told)
    if told.iss != issuer:
        raise BadToken("iss")
    if told.aud != audience:
        raise BadToken("aud")
    if told.sid is None or told.role is None:
        raise BadToken("claims")
    return AccessClaims(told.sub, told.sid, told.role, told.exp)


def half_hash(text: str, alg: str) -> str:
    """Return the left half of the algorithm's hash, as `at_hash` holds it."""
    digest = ALGORITHMS[alg](text.encode()).digest()
    return base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()


def open_signed(token: str, keys: Keyring, types: frozenset[str | None]) -> Claims:
    """Return the claims of a token whose signature holds; every claim is for the caller to judge.

    `types` are the lower-case values of `typ` that are taken, None where it may lack.

    Raises:
        UnknownKey: the key it names is not in `keys`.
        BadToken: anything else; `reason` says what.
    """
    header = _read_header(token, _Header)
    if (None if header.typ is None else header.typ.lower()) not in types:
        raise BadToken("typ")
    return _verified(token, header.alg, keys.find(header))


def open_proof(token: str) -> tuple[str, Claims]:
    """Return the thumbprint (RFC 7638) of the key that a proof of possession brings along, and the proof's claims.

    Rule: RFC 9449, 4.3: the type, a listed algorithm, a public key only, and a signature made with it.

    Raises:
        BadToken: it does not hold; `reason` says what.
    """
    header = _read_header(token, _ProofHeader, _ProofRegistry.max_header_length)
    if header.typ != "dpop+jwt":
        raise BadToken("typ")
    if _SECRET_MEMBERS & header.jwk.keys():
        raise BadToken("private_key")
    usable = _usable({name: value for name, value in header.jwk.items() if name != "kid"})
    if usable is None or header.alg not in usable[1]:
        raise BadToken("key")
    return usable[2].thumbprint(), _verified(token, header.alg, usable[2], _ProofRegistry)


def peek_issuer(token: str) -> str | None:
    """Return whom a token says it is of, to look that one's keys up; nothing is checked, so nothing may be believed."""
    parts = token.split(".") if token.isascii() and len(token) <= MAX_TOKEN else []
    if len(parts) != 3 or not is_canonical(parts[1]):
        return None
    try:
        told = _members(decoded(parts[1]), "claims").get("iss")
    except BadToken:
        return None
    return told if isinstance(told, str) else None


def check_lifetime(claims: Claims, *, max_age_s: float | None = None) -> None:
    """Check `exp`, `iat` and `nbf` of claims that `open_signed` returned.

    Raises:
        BadToken: expired, not yet valid, older than `max_age_s`, or without these claims.
    """
    try:
        told = msgspec.convert(claims, _Registered)
    except msgspec.ValidationError as cause:
        raise BadToken("claims") from cause
    _check_times(told, max_age_s=max_age_s)


def _open(token: str, keys: Keyring) -> tuple[_Header, Claims, _Registered]:
    """Check size, form, header and signature; only then read the claims."""
    header = _read_header(token, _Header)
    claims = _verified(token, header.alg, keys.find(header))
    try:
        told = msgspec.convert(claims, _Registered)
    except msgspec.ValidationError as cause:
        raise BadToken("claims") from cause
    if not 0 < len(told.sub) <= 255:
        raise BadToken("claims")
    return header, claims, told


def _verified(token: str, alg: str, key: Key, registry: type[_Registry] = _Registry) -> Claims:
    try:
        payload = jws.deserialize_compact(token, key, registry=registry(algorithms=[alg])).payload
    except (JoseError, ValueError, TypeError, RecursionError) as cause:
        raise BadToken("signature") from cause
    return _members(payload, "claims")


def _members(raw: bytes, what: str) -> Claims:
    """Read a JSON object strictly: no member twice, no NaN, no depth."""
    try:
        return msgspec.convert(read_json(raw), Claims)
    except _UNREADABLE as cause:
        raise BadToken(what) from cause


def _read_header(token: str, kind: type[_AnyHeader], most: int = _Registry.max_header_length) -> _AnyHeader:
    if not token.isascii() or len(token) > MAX_TOKEN:
        raise BadToken("size")
    parts = token.split(".")
    if len(parts) != 3 or not all(map(is_canonical, parts)):
        raise BadToken("form")
    if len(parts[0]) > most:
        raise BadToken("size")
    members = _members(decoded(parts[0]), "header")
    try:
        header = msgspec.convert(members, kind)
    except msgspec.ValidationError as cause:
        raise BadToken("header") from cause
    if header.alg not in ALGORITHMS:
        raise BadToken("algorithm")
    return header


def read_json(content: bytes) -> Any:
    """Return the value of a JSON text in a token; a member that stands twice makes it unreadable.

    Raises:
        ValueError: not JSON that onestop takes.
    """
    try:
        return body.read_json(content)
    except BadBody as cause:
        raise ValueError("not JSON") from cause


def decoded(segment: str) -> bytes:
    """Return the bytes of a base64url segment that `is_canonical`."""
    return base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))


def is_canonical(segment: str) -> bool:
    """Tell whether the segment is base64url and the only spelling of its bytes."""
    if not _SEGMENT.fullmatch(segment):
        return False
    try:
        # Spare bits sit in the last four characters: decoding those and back shows them.
        tail = segment[-(len(segment) % 4 or 4) :]
        return base64.urlsafe_b64encode(decoded(tail)).rstrip(b"=").decode() == tail
    except binascii.Error:
        return False


def _check_times(told: _Registered, *, max_age_s: float | None = None) -> None:
    # The real clock: a sandbox that moves legal time does not move its providers.
    now = time.time()
    if told.exp <= now - LEEWAY_S:
        raise BadToken("expired")
    if told.iat > now + LEEWAY_S or told.exp <= told.iat:
        raise BadToken("iat")
    if max_age_s is not None and told.iat < now - max_age_s:
        raise BadToken("iat")
    if told.nbf is not None and told.nbf > now + LEEWAY_S:
        raise BadToken("nbf")
