"""When a certificate that was refused as expired ended: asked for by a second handshake in which nothing is sent."""

import asyncio
import ssl

from cryptography import x509


async def ended_on(address: str, port: int, server_name: str, timeout_s: float = 1.0) -> str:
    """Return the day a server's certificate ended, as YYYY-MM-DD; empty where it cannot be read."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # the certificate is looked at, nothing is trusted to it
    try:
        async with asyncio.timeout(timeout_s):
            _, writer = await asyncio.open_connection(address, port, ssl=context, server_hostname=server_name)
    except (OSError, TimeoutError, ValueError):
        return ""
    try:
        shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        return x509.load_der_x509_certificate(shown).not_valid_after_utc.date().isoformat()
    except (ValueError, TypeError, AttributeError):
        return ""
    finally:
        writer.transport.abort()
