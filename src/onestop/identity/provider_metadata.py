"""What a provider publishes of itself, read and checked before anything is sent where it says."""

from typing import Any

import msgspec
from authlib.common.security import is_secure_transport
from authlib.oauth2.rfc9207 import AuthorizationServerMetadata as IssParameterMetadata
from authlib.oidc import rpinitiated
from authlib.oidc.discovery import OpenIDProviderMetadata


class Metadata(msgspec.Struct, frozen=True):
    """What onestop uses of a provider's discovery document."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None = None
    end_session_endpoint: str | None = None
    pushed_authorization_request_endpoint: str | None = None
    require_pushed_authorization_requests: bool = False
    authorization_response_iss_parameter_supported: bool = False
    code_challenge_methods_supported: list[str] | None = None


class _CheckedMetadata(OpenIDProviderMetadata):  # type: ignore[misc]  # authlib has no types
    """authlib's checks of those members that onestop uses; RS256 need not be among a provider's algorithms."""

    REGISTRY_KEYS = [  # noqa: RUF012 - authlib's name and type
        "issuer",
        "authorization_endpoint",
        "token_endpoint",
        "jwks_uri",
        "response_types_supported",
        "code_challenge_methods_supported",
    ]


def read(document: dict[str, Any], issuer: str) -> Metadata:
    """Return the metadata of the provider that calls itself `issuer`.

    Raises:
        ValueError: a member is missing, of a wrong type, another issuer's, or leads where things go in the clear.
    """
    try:
        checked = _CheckedMetadata(document)
        checked.validate(metadata_classes=[IssParameterMetadata, rpinitiated.OpenIDProviderMetadata])
        metadata = msgspec.convert(document, Metadata)
    except (TypeError, AttributeError) as cause:  # authlib on members of a wrong type
        raise ValueError(str(cause)) from cause
    if metadata.issuer != issuer:
        raise ValueError("another issuer")
    # authlib knows the names of these members but does not look at them.
    for endpoint in (metadata.userinfo_endpoint, metadata.pushed_authorization_request_endpoint):
        if endpoint is not None and not is_secure_transport(endpoint):
            raise ValueError("an endpoint in the clear")
    return metadata
