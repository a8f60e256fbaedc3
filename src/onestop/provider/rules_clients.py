"""What a client must be to be registered."""

import ipaddress
from typing import Final
from urllib.parse import urlsplit

from onestop.identity.tokens import Keyring
from onestop.provider.errors import BadClient
from onestop.provider.models import NewClient
from onestop.settings import Profile

_RESERVED: Final = frozenset(("openid", "offline_access"))
_SECRET: Final = frozenset(("d", "p", "q", "dp", "dq", "qi", "oth", "k"))


def check_client(new: NewClient, profile: Profile) -> str:
    """Check a client to be registered and return its sector.

    Rule: RFC 6749, 3.1.2 and RFC 8252: no fragment, no user, https; http only to this machine, not in production.

    Raises:
        BadClient: `reason` says what is wrong.
    """
    for uri in (*new.redirect_uris, *new.logout_uris, *([new.backchannel_logout] if new.backchannel_logout else [])):
        _check_uri(uri, profile)
    codes = [purpose.code for purpose in new.purposes]
    if len(set(codes)) != len(codes) or _RESERVED & set(codes):
        raise BadClient("purposes")
    _check_proof(new)
    return new.sector or _sector(new)


def _check_uri(uri: str, profile: Profile) -> None:
    try:
        parts = urlsplit(uri)
        host, _ = parts.hostname, parts.port
    except ValueError as cause:
        raise BadClient("uri") from cause
    if not host or parts.fragment or "#" in uri or "@" in parts.netloc or "*" in uri or "\\" in uri:
        raise BadClient("uri")
    plain = parts.scheme == "http" and profile != "production" and _loopback(host)
    if parts.scheme != "https" and not plain:
        raise BadClient("uri_scheme")


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False  # `localhost` is whatever a resolver says it is


def _check_proof(new: NewClient) -> None:
    """Check that the client can prove itself in the way it says, and in that way only."""
    if (new.keys is not None) != (new.auth_method == "private_key_jwt"):
        raise BadClient("keys")
    if (new.tls_subject is not None) != (new.auth_method == "tls_client_auth"):
        raise BadClient("tls_subject")
    if new.keys is not None:
        _check_keys(new.keys)
    if new.binding == "tls" and new.auth_method == "none":
        raise BadClient("binding")


def _check_keys(keys: dict[str, object]) -> None:
    entries = keys.get("keys")
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise BadClient("keys")
    if any(_SECRET & entry.keys() for entry in entries):
        raise BadClient("private_key")  # whoever sent it has shown it to the world: it is not to be used
    try:
        usable = Keyring.read(keys)
    except ValueError as cause:
        raise BadClient("keys") from cause
    if not usable or len(usable) != len(entries):
        raise BadClient("keys")


def _sector(new: NewClient) -> str:
    hosts = {urlsplit(uri).hostname or "" for uri in new.redirect_uris}
    if len(hosts) != 1:
        raise BadClient("sector")  # OpenID Connect Core, 8.1: with several hosts it must be told
    return hosts.pop()
