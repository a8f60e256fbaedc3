"""How onestop proves to a provider that it is the client it says: a secret, or a signature (RFC 7523)."""

from authlib.common.urls import add_params_to_qs
from authlib.oauth2.auth import ClientAuth
from authlib.oauth2.rfc7523 import private_key_jwt_sign

from onestop.identity import client_keys
from onestop.identity.models import Provider

_FORM = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_ASSERTION_S = 60


def fault(provider: Provider) -> str | None:
    """Return what is wrong with a provider's keys and secrets, None where nothing is; no secret is repeated."""
    try:
        if provider.auth_method == "private_key_jwt":
            client_keys.read_signing(provider.client_key)
        elif not provider.client_secret:
            return "client_secret is missing"
        if provider.id_token_key:
            client_keys.read_decrypting(provider.id_token_key)
    except ValueError as wrong:
        return str(wrong)
    return None


class ClientProof:
    """One provider's client authentication."""

    def __init__(self, provider: Provider) -> None:
        self._client_id = provider.client_id
        signs = provider.auth_method == "private_key_jwt"
        self._key = client_keys.read_signing(provider.client_key) if signs else None
        self._secret = None if signs else ClientAuth(provider.client_id, provider.client_secret, provider.auth_method)

    def prepare(self, url: str, issuer: str, body: str) -> tuple[str, dict[str, str], str]:
        """Return address, headers and body of a request that proves the client; a signature is good for one minute.

        The assertion is made out to the issuer, as FAPI 2.0 has it: an endpoint's address would let another take it on.
        """
        if self._secret is not None:
            return self._secret.prepare("POST", url, dict(_FORM), body)  # type: ignore[no-any-return]  # no types
        key = self._key
        assert key is not None
        assertion = private_key_jwt_sign(
            key,
            self._client_id,
            issuer,
            alg=client_keys.algorithm(key),
            header={"kid": client_keys.kid(key)},
            expires_in=_ASSERTION_S,
        )
        proof = [("client_assertion_type", _ASSERTION_TYPE), ("client_assertion", assertion)]
        told = proof if "client_id=" in body else [("client_id", self._client_id), *proof]
        return url, dict(_FORM), add_params_to_qs(body, told)
