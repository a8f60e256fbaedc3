"""The secrets of a simulator: words that anybody may know, by the names that a manifest uses."""

from onestop.gateway.auth.needs import needs
from onestop.gateway.manifest import Manifest

_NAMES = ("api_key", "username", "password", "client_id", "client_secret", "app_key", "app_secret", "callback_secret")
_KEYS = frozenset(
    (
        *("jwt_key", "client_key", "sign_key", "sign_public_key", "callback_key", "client_cert", "client_cert_key"),
        *("ca", "decrypt_key", "verify_key", "encrypt_key", "sm4_key", "sm4_iv"),
    )
)  # what no word can stand for


def sandbox_secrets(manifest: Manifest) -> dict[str, str]:
    """Return the secrets a simulator believes where nobody told it others; anybody may know them.

    Those that a recipe names as `{secret.…}` are among them; keys and certificates are not.
    """
    names = {*_NAMES, *needs(manifest).secrets} - _KEYS
    return {name: f"sandbox-{manifest.id}-{name.replace('_', '-')}" for name in sorted(names)}
