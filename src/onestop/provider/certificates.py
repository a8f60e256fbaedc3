"""The certificate a caller showed at TLS (RFC 8705): of the connection itself, or told by a proxy that is trusted.

A header is believed only from an address in `trusted_proxies`; anybody else could write it.
"""

import base64
import binascii
import ipaddress
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from onestop.settings import Settings

_MOST: Final = 16_384


class Certificates:
    """Reads certificates out of requests, as this installation is set up."""

    def __init__(self, settings: Settings) -> None:
        """Raises BadSettings: `trusted_proxies` holds something else than addresses."""
        header = settings.client_certificate_header
        self._header = None if header is None else header.lower().encode()
        self._proxies = settings.proxies()

    def shown(self, scope: Mapping[str, Any]) -> bytes | None:
        """Return the certificate behind a request as DER; None where none was shown, or none that may be believed."""
        chain = ((scope.get("extensions") or {}).get("tls") or {}).get("client_cert_chain") or ()
        if chain:
            return _of_pem(chain[0].encode())
        if self._header is None or not self._trusted(scope.get("client")):
            return None
        told = [value for name, value in scope["headers"] if name == self._header]
        return _read(told[0]) if len(told) == 1 and len(told[0]) <= _MOST else None

    def _trusted(self, client: Any) -> bool:
        try:
            address = ipaddress.ip_address(client[0])
        except (TypeError, ValueError, IndexError):
            return False
        return any(address in network for network in self._proxies)


def _read(told: bytes) -> bytes | None:
    """Read a header as RFC 9440 writes it (`:base64:`), or as proxies do that escape the PEM form."""
    if told.startswith(b":") and told.endswith(b":"):
        try:
            return base64.b64decode(told[1:-1], validate=True)
        except binascii.Error:
            return None
    return _of_pem(unquote_to_bytes(told))


def _of_pem(pem: bytes) -> bytes | None:
    try:
        return x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)
    except ValueError:
        return None
