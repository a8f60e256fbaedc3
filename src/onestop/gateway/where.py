"""Where a department's system is, and the secrets for it, as the environment file tells."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import SplitResult, urlsplit

import msgspec

from onestop.gateway.manifest import BadManifest


class Where(msgspec.Struct, frozen=True):
    """Where a department's system is in this environment, and the secrets for it."""

    url: str
    secrets: dict[str, str]
    config: dict[str, str] = {}  # constants of this environment, for recipes and mappings; msgspec copies the default
    token_url: str | None = None  # the token endpoint, where it is on another host
    replicas: tuple[str, ...] = ()  # further addresses that do the same

    def __repr__(self) -> str:
        """Name the address and no secret."""
        return f"Where({self.url!r}, {len(self.secrets)} secrets)"


def address(text: str) -> SplitResult | None:
    """Take an http address apart; None where it is none, or names a user."""
    try:
        url = urlsplit(text)
        _ = url.port
    except ValueError:
        return None
    return url if url.scheme in ("http", "https") and url.hostname and url.username is None else None


def environment(data: Mapping[str, Any]) -> dict[str, Where]:
    """Read the environment file's `[adapters.<id>]` tables: url, replicas, token_url, config; all else is a secret.

    Raises:
        BadManifest: a table stands where a secret or a constant should.
    """
    return {name: _where(name, entry) for name, entry in data.get("adapters", {}).items()}


_NO_SECRETS = ("url", "replicas", "token_url", "config")


def _where(name: str, entry: Mapping[str, Any]) -> Where:
    told = {key: value for key, value in entry.items() if key not in _NO_SECRETS}
    config = entry.get("config", {})
    for key, value in {**told, **(config if isinstance(config, dict) else {"config": []})}.items():
        if isinstance(value, (dict, list)):
            raise BadManifest(f"environment file, [adapters.{name}]: {key} is no text")
    constants = {key: str(value) for key, value in config.items()}
    secrets = {key: str(value) for key, value in told.items()}
    replicas = tuple(str(url) for url in entry.get("replicas", ()))
    token_url = str(entry["token_url"]) if entry.get("token_url") else None
    return Where(str(entry.get("url", "")), secrets, constants, token_url, replicas)
