"""What the provider publishes of itself (OpenID Connect Discovery, RFC 8414)."""

from typing import Any

from onestop.identity.signing import SigningKey
from onestop.identity.tokens import ALGORITHMS
from onestop.provider import rules
from onestop.provider.service_tokens import GRANTS

_AUTH_METHODS = ["private_key_jwt", "client_secret_basic", "tls_client_auth", "none"]
_CLAIMS = ["sub", "acr", "auth_time", "sid", "name", "id_number", "id_number_masked", "subject_kind"]


def document(issuer: str) -> dict[str, Any]:
    """Return the discovery document; `issuer` has no slash at its end."""
    algorithms = list(ALGORITHMS)
    return {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/oauth/authorize",
        "pushed_authorization_request_endpoint": f"{issuer}/oauth/par",
        "require_pushed_authorization_requests": False,
        "token_endpoint": f"{issuer}/oauth/token",
        "userinfo_endpoint": f"{issuer}/oauth/userinfo",
        "introspection_endpoint": f"{issuer}/oauth/introspect",
        "revocation_endpoint": f"{issuer}/oauth/revoke",
        "end_session_endpoint": f"{issuer}/oauth/end-session",
        "jwks_uri": f"{issuer}/oauth/jwks.json",
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": list(GRANTS),
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": [SigningKey.algorithm],
        "token_endpoint_auth_methods_supported": _AUTH_METHODS,
        "token_endpoint_auth_signing_alg_values_supported": algorithms,
        "introspection_endpoint_auth_methods_supported": _AUTH_METHODS[:3],
        "introspection_endpoint_auth_signing_alg_values_supported": algorithms,
        "revocation_endpoint_auth_methods_supported": _AUTH_METHODS,
        "revocation_endpoint_auth_signing_alg_values_supported": algorithms,
        "code_challenge_methods_supported": ["S256"],
        "dpop_signing_alg_values_supported": algorithms,
        "tls_client_certificate_bound_access_tokens": True,
        "acr_values_supported": [f"{rules.ACR}{level}" for level in rules.LEVELS],
        "scopes_supported": ["openid"],  # others are the codes of a client's purposes
        "claims_supported": _CLAIMS,
        "prompt_values_supported": ["none", "login", "consent", "select_account"],
        "ui_locales_supported": ["zh-CN", "en"],
        "claims_parameter_supported": False,
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,  # only those of the PAR endpoint, which RFC 9126 does not count
        "authorization_response_iss_parameter_supported": True,
        "backchannel_logout_supported": True,
        "backchannel_logout_session_supported": True,
    }
