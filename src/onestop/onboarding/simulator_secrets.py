"""What a simulator believes where nobody told it: words, keys and constants by the names a manifest uses.

Anybody may know them. They are made from the adapter's id, so that every process of a portal makes the same; only RSA
keys are a process's own, which is enough where a signature's presence is all that is checked.
"""

import base64
import hashlib
from collections.abc import Callable
from functools import cache
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from onestop.gateway.auth.needs import needs
from onestop.gateway.auth.vouching import KEY
from onestop.gateway.line import Where
from onestop.gateway.manifest import ClientCredentials, HttpSignature, Jose, Manifest, OnestopToken, SelfSigned, Signed

_NAMES: Final = (
    *("api_key", "username", "password", "client_id", "client_secret", "app_key", "app_secret", "callback_secret"),
)
# A simulator speaks plain http on this host: there is nothing to show a certificate to.
_OF_TLS: Final = frozenset(("client_cert", "client_cert_key", "ca"))
_THEIRS: Final = frozenset(("verify_key", "encrypt_key", "callback_key"))  # public halves


def sandbox_place(manifest: Manifest, url: str) -> Where:
    """Return where a simulator listens, with all that a line to it must be told."""
    return Where(url, sandbox_secrets(manifest), sandbox_config(manifest))


def sandbox_config(manifest: Manifest) -> dict[str, str]:
    """Return the constants of the sandbox: those that recipes name as `{config.…}` and mappings as `config.…`."""
    return {name: _word(manifest, name) for name in sorted(needs(manifest).config)}


def sandbox_secrets(manifest: Manifest) -> dict[str, str]:
    """Return the secrets a simulator believes where nobody told it others.

    Those that a recipe names as `{secret.…}`, wherever in the manifest, are among them, and keys of the kind that the
    declared algorithm needs.
    """
    kinds = _kinds(manifest)
    names = {*_NAMES, *needs(manifest).secrets} - _OF_TLS
    if isinstance(manifest.auth, OnestopToken):
        names.add(KEY)  # nobody needs to be told it, but a simulator stands without a portal
    return {name: _secret(manifest, name, kinds.get(name)) for name in sorted(names)}


def _word(manifest: Manifest, name: str) -> str:
    return f"sandbox-{manifest.id}-{name.replace('_', '-')}"


def _secret(manifest: Manifest, name: str, kind: str | None) -> str:
    word = _word(manifest, name)
    if kind is None:
        return word
    if kind == "sm2-sm3":
        return _sm2(name)
    make = next((made for begins, made in _MAKE.items() if kind.startswith(begins)), _make_p256)
    return make(hashlib.sha512(f"{manifest.id} {name}".encode()).digest(), name in _THEIRS)


def _kinds(manifest: Manifest) -> dict[str, str]:
    """Return for every secret that no word can stand for which algorithm uses it."""
    found: dict[str, str] = {}
    match manifest.auth:
        case SelfSigned(algorithm=algorithm):
            found["jwt_key"] = algorithm
        case ClientCredentials(client_auth="private_key_jwt", algorithm=algorithm):
            found["client_key"] = algorithm
        case Signed(digest=digest):
            found |= {"sign_key": digest, "sign_public_key": digest}
        case HttpSignature(algorithm=algorithm):
            found["sign_key"] = algorithm
        case OnestopToken():
            found[KEY] = "ES256"
    if (rules := manifest.callback) is not None:
        found["callback_key"] = rules.algorithm if rules.kind == "http_signature" else rules.digest
        if rules.kind == "standard_webhooks":
            found |= {"callback_secret": "whsec"}
    for operation in manifest.operations:
        for spec, own, theirs in (
            (operation.reply.protection, "decrypt_key", "verify_key"),
            (operation.request.protection, "sign_key", "encrypt_key"),
        ):
            if isinstance(spec, Jose):
                reading = own == "decrypt_key"
                sealing, signing = spec.key_management[0], spec.algorithms[0]
                found |= {own: sealing, theirs: signing} if reading else {own: signing, theirs: sealing}
            elif spec is not None:
                found |= {"sm4_key": "sm4", "sm4_iv": "sm4"}
    return found


# --- keys -------------------------------------------------------------------------------------------------------------


def _pem(key: Any, public: bool) -> str:
    if public:
        half: bytes = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    else:
        half = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return half.decode()


@cache
def _rsa() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def _make_rsa(_: bytes, public: bool) -> str:
    return _pem(_rsa(), public)


def _make_p256(seed: bytes, public: bool) -> str:
    return _pem(ec.derive_private_key(int.from_bytes(seed[:31]) or 1, ec.SECP256R1()), public)


def _make_p384(seed: bytes, public: bool) -> str:
    return _pem(ec.derive_private_key(int.from_bytes(seed[:47]) or 1, ec.SECP384R1()), public)


def _make_ed25519(seed: bytes, public: bool) -> str:
    return _pem(ed25519.Ed25519PrivateKey.from_private_bytes(seed[:32]), public)


def _make_shared(seed: bytes, _: bool) -> str:
    return seed.hex()


_MAKE: Final[dict[str, Callable[[bytes, bool], str]]] = {  # by how an algorithm's name begins, the longer first
    "HS": _make_shared,
    "RS": _make_rsa,
    "PS": _make_rsa,
    "rsa": _make_rsa,
    "ES384": _make_p384,
    "EdDSA": _make_ed25519,
    "ed25519": _make_ed25519,
    "sm4": lambda seed, _: seed[:16].hex(),
    "whsec": lambda seed, _: "whsec_" + base64.b64encode(seed[:32]).decode(),
}


@cache
def _sm2_pair() -> tuple[bytes, bytes]:
    try:
        import gmssl_pyx
    except ImportError:  # the line will say what to install
        return b"", b""
    private, public = gmssl_pyx.sm2_key_generate()
    return bytes(private), bytes(public)


def _sm2(name: str) -> str:
    private, public = _sm2_pair()
    return private.hex() if name == "sign_key" else public.hex()
