"""The TLS that a manifest's `[tls]` declares: whom we trust, who we are, and the oldest version we speak."""

import os
import ssl
import tempfile

from onestop.gateway.auth.keys import Secrets, naming, secret
from onestop.gateway.manifest import Manifest
from onestop.gateway.manifest_base import BadManifest

_OLDEST = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


def tls_context(manifest: Manifest, told: Secrets) -> ssl.SSLContext:
    """Return the context of all connections to one department.

    Raises:
        BadManifest: a certificate or a key is missing or cannot be used; says which.
    """
    with naming(manifest.id):
        return _context(manifest, told)


def _context(manifest: Manifest, told: Secrets) -> ssl.SSLContext:
    spec = manifest.tls
    if spec.trust == "system":
        context = ssl.create_default_context()
    else:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            context.load_verify_locations(cadata=secret(told, "ca"))
        except (ssl.SSLError, ValueError):
            raise BadManifest("the secret 'ca' holds no certificate (PEM)") from None
    context.minimum_version = _OLDEST[spec.minimum]
    if spec.client_certificate:
        _show(context, secret(told, "client_cert"), told.get("client_cert_key", ""))
    return context


def _show(context: ssl.SSLContext, certificate: str, key: str) -> None:
    # Python's ssl reads a client's certificate from files only.
    descriptor, path = _hidden_file()
    try:
        with os.fdopen(descriptor, "wb", closefd=False) as file:
            file.write(f"{certificate.strip()}\n{key.strip()}\n".encode())
        context.load_cert_chain(path, password=lambda: b"")
    except (ssl.SSLError, ValueError):
        raise BadManifest(
            "the secrets 'client_cert' and 'client_cert_key' are no certificate and its key (PEM)"
        ) from None
    finally:
        os.close(descriptor)
        if not path.startswith("/proc/"):
            os.unlink(path)


def _hidden_file() -> tuple[int, str]:
    """Open a file for nobody else: in memory where the system can, so that no key touches a disk."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("client", os.MFD_CLOEXEC)
        return descriptor, f"/proc/self/fd/{descriptor}"
    return tempfile.mkstemp()
