"""JWTs of our own: as bearer of a request, or as a client's assertion at a token endpoint."""

import uuid
from collections.abc import Callable
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, OctKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from onestop.gateway.auth.credentials import Credentials
from onestop.gateway.auth.keys import Secrets, jose_keys, secret
from onestop.gateway.auth.recipes import Attempt, Kitchen, Outgoing
from onestop.gateway.manifest_auth import SelfSigned
from onestop.gateway.manifest_base import BadManifest

_KIND: dict[str, type[Key]] = {"HS": OctKey, "RS": RSAKey, "PS": RSAKey, "ES": ECKey, "Ed": OKPKey}
_CURVE = {"ES256": "P-256", "ES384": "P-384", "EdDSA": "Ed25519"}
_NUMBERS = frozenset(("{timestamp}", "{timestamp_ms}"))


class OneAlgorithm(JWSRegistry):
    """joserfc's registry without its own opinion of the one algorithm that was declared."""

    def get_alg(self, name: str) -> Any:
        """Return the algorithm, where it is the declared one."""
        if name not in (self.allowed or ()):
            raise BadManifest(f"{name} is not the declared algorithm")
        return self.algorithms[name]


def fits(key: Key, algorithm: str) -> bool:
    """Tell whether a key can be used with a signature algorithm."""
    if not isinstance(key, _KIND[algorithm[:2]]):
        return False
    return algorithm not in _CURVE or getattr(key, "curve_name", None) == _CURVE[algorithm]


def jwt_signer(algorithm: str, told: Secrets, name: str) -> Callable[[dict[str, Any], dict[str, Any]], str]:
    """Return what makes a signed JWT of JOSE headers and claims; a key's own `kid` is named unless another is.

    Raises:
        BadManifest: the secret is missing or no key for the algorithm.
    """
    if algorithm.startswith("HS"):
        text = secret(told, name).encode()
        key: Key = OctKey(text, text)
    else:
        key = jose_keys({name: secret(told, name)}, name, private=True)[0]
    if not fits(key, algorithm):
        raise BadManifest(f"the secret {name!r} is not a key for {algorithm}")
    own = {"kid": key.kid} if key.kid else {}
    registry = OneAlgorithm(algorithms=[algorithm])
    try:
        jwt.encode({"alg": algorithm}, {}, key, registry=registry)
    except (JoseError, ValueError):
        raise BadManifest(f"the secret {name!r} is not a key for {algorithm}") from None
    return lambda headers, claims: jwt.encode({**own, **headers, "alg": algorithm}, claims, key, registry=registry)


class SelfSigning(Credentials):
    """A fresh JWT for each request."""

    def __init__(self, spec: SelfSigned, kitchen: Kitchen) -> None:
        self._sign = jwt_signer(spec.algorithm, kitchen.told, "jwt_key")
        self._claims = [
            (name, recipe, spec.claims[name] in _NUMBERS) for name, recipe in kitchen.table(spec.claims, "auth.claims")
        ]
        self._jose = kitchen.table(spec.headers, "auth.headers")
        self._life_s, self._header, self._prefix = spec.life_s, spec.header, spec.prefix

    def apply(self, out: Outgoing) -> None:
        at = Attempt(out)
        now = int(at.now)
        claims: dict[str, Any] = {"iat": now, "exp": now + self._life_s, "jti": at.uuid()}
        for name, recipe, number in self._claims:
            claims[name] = int(recipe.fill(at)) if number else recipe.fill(at)
        jose = {"typ": "JWT"} | {name: recipe.fill(at) for name, recipe in self._jose}
        out.headers.append((self._header, self._prefix + self._sign(jose, claims)))


def assertion(
    sign: Callable[[dict[str, Any], dict[str, Any]], str], client_id: str, audience: str, now: int
) -> dict[str, str]:
    """Return the members by which a client proves itself at a token endpoint (RFC 7523)."""
    claims = {
        "iss": client_id, "sub": client_id, "aud": audience, "iat": now, "exp": now + 60, "jti": str(uuid.uuid4()),
    }  # fmt: skip
    return {
        "client_id": client_id,
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": sign({"typ": "JWT"}, claims),
    }
