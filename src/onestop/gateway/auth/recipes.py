"""Recipes: texts with {places}, compiled once when a line is opened and filled for every attempt.

The places are a closed list; what the environment tells ({secret.x}, {config.x}) is put in when compiling, so filling
only looks up what changes. `{{` and `}}` stand for the braces themselves.
"""

import hashlib
import re
import secrets
import time
import uuid
from base64 import b64encode
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, timezone
from email.utils import formatdate
from functools import partial
from typing import Any

from onestop.gateway.auth.digests import sm3
from onestop.gateway.auth.keys import Secrets, secret
from onestop.gateway.manifest_base import BadManifest
from onestop.gateway.manifest_operations import Operation

Headers = list[tuple[str, str]]

_CST = timezone(timedelta(hours=8))
_PLACE = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_CLOCK = re.compile(r"(time|time_utc)\(([^()]{1,40})\)")
# Older names of two secrets.
_SHORT = {"app_key": "app_key", "secret": "app_secret"}


class Outgoing:
    """A request before it is written: what credentials may add to, each attempt anew."""

    __slots__ = ("body", "headers", "method", "operation", "origin", "path", "query", "values")

    def __init__(
        self,
        method: str,
        origin: str,
        path: str,
        query: str,
        headers: Headers,
        body: bytes,
        operation: Operation | None = None,
        values: Mapping[str, Any] = {},
    ) -> None:
        self.method, self.origin, self.path, self.query = method, origin, path, query  # origin: scheme and host
        self.headers, self.body = headers, body
        self.operation, self.values = operation, values  # whose call it is; None: no operation's, such as a login

    @property
    def host(self) -> str:
        """Host, with its port where that is not the usual one."""
        return self.origin.partition("://")[2]

    @property
    def target(self) -> str:
        """Path and query."""
        return f"{self.path}?{self.query}" if self.query else self.path

    def header(self, name: str) -> str:
        """Return the value of a header, several joined as one; empty where there is none."""
        return ", ".join(value.strip() for told, value in self.headers if told.lower() == name)

    def add_query(self, more: str) -> None:
        """Append an encoded query."""
        self.query = f"{self.query}&{more}" if self.query and more else self.query or more


class Attempt:
    """What the places of one attempt stand for: one moment and one nonce, whatever asks for them how often."""

    __slots__ = ("_nonce", "_uuid", "now", "out", "params", "signature", "stamp", "token")

    def __init__(self, out: Outgoing, token: str = "", nonce: str = "", stamp: str = "") -> None:
        self.out, self.token, self.stamp = out, token, stamp  # stamp: the moment as somebody else wrote it
        self.now = time.time()
        self._nonce = nonce
        self._uuid = self.params = self.signature = ""

    def nonce(self) -> str:
        """Return 24 hex digits."""
        if not self._nonce:
            self._nonce = secrets.token_hex(12)
        return self._nonce

    def uuid(self) -> str:
        """Return a random UUID."""
        if not self._uuid:
            self._uuid = str(uuid.uuid4())
        return self._uuid


Part = str | Callable[[Attempt], str]

# Bytes that are no UTF-8 go into a base text, and out of it again, as what they are.
PLACES: dict[str, Callable[[Attempt], str]] = {
    "timestamp": lambda at: at.stamp or str(int(at.now)),
    "timestamp_ms": lambda at: str(int(at.now * 1000)),
    "date": lambda at: formatdate(at.now, usegmt=True),
    "nonce": Attempt.nonce,
    "uuid": Attempt.uuid,
    "method": lambda at: at.out.method,
    "method_lower": lambda at: at.out.method.lower(),
    "path": lambda at: at.out.path,
    "query": lambda at: at.out.query,
    "target": lambda at: at.out.target,
    "host": lambda at: at.out.host,
    "url": lambda at: at.out.origin + at.out.path,
    "body": lambda at: at.out.body.decode("utf-8", "surrogateescape"),
    "body_sha256": lambda at: hashlib.sha256(at.out.body).hexdigest(),
    "body_sha256_b64": lambda at: b64encode(hashlib.sha256(at.out.body).digest()).decode(),
    "body_md5": lambda at: hashlib.md5(at.out.body).hexdigest(),  # noqa: S324 - what older platforms ask for
    "body_md5_b64": lambda at: b64encode(hashlib.md5(at.out.body).digest()).decode(),  # noqa: S324 - likewise
    "body_sm3": lambda at: sm3(at.out.body).hex(),
    "params": lambda at: at.params,
    "token": lambda at: at.token,
    "signature": lambda at: at.signature,
}
# Places that only some recipes have.
_SPECIAL = frozenset(("params", "token", "signature"))


class Recipe:
    """A compiled text; `fill` gives it for one attempt."""

    __slots__ = ("fill", "names")

    def __init__(self, parts: list[Part], names: frozenset[str]) -> None:
        self.fill = _filling(parts)
        self.names = names  # of the places that are filled at each attempt


class Kitchen:
    """Compiles the recipes of one manifest with what one environment tells."""

    def __init__(self, told: Secrets, config: Mapping[str, str]) -> None:
        self.told, self._config = told, config

    def recipe(self, text: str, where: str, special: frozenset[str] = frozenset()) -> Recipe:
        """Compile one recipe; `where` names it for whoever must mend it.

        Raises:
            BadManifest: a place is unknown, not had here, or not told by the environment; says which.
        """
        parts: list[Part] = []
        names: set[str] = set()
        end = 0
        for found in _PLACE.finditer(text):
            parts.append(text[end : found.start()])
            end = found.end()
            if found[1] is None:
                if len(found[0]) == 1:
                    raise BadManifest(f"{where}: a brace stands alone; write it twice where it means itself")
                parts.append(found[0][0])
            else:
                parts.append(self._place(found[1], where, special, names))
        parts.append(text[end:])
        return Recipe(_joined(parts), frozenset(names))

    def table(
        self, recipes: Mapping[str, str], where: str, special: frozenset[str] = frozenset()
    ) -> list[tuple[str, Recipe]]:
        """Compile a table of recipes, in its order."""
        return [(name, self.recipe(text, f"{where}.{name}", special)) for name, text in recipes.items()]

    def _place(self, name: str, where: str, special: frozenset[str], names: set[str]) -> Part:
        kind, _, rest = name.partition(".")
        if kind == "secret" and rest:
            return secret(self.told, rest)
        if name in _SHORT:
            return secret(self.told, _SHORT[name])
        if kind == "config" and rest:
            if rest not in self._config:
                raise BadManifest(f"{where}: the environment file lacks {rest!r} in this adapter's config table")
            return self._config[rest]
        clock = _CLOCK.fullmatch(name)
        if clock is not None:
            names.add(name)
            return partial(_clock, UTC if clock[1] == "time_utc" else _CST, clock[2])
        if name not in PLACES or (name in _SPECIAL and name not in special):
            raise BadManifest(f"{where}: there is no place {{{name}}} here")
        names.add(name)
        return PLACES[name]


def _filling(parts: list[Part]) -> Callable[[Attempt], str]:
    """Return what joins the parts; most recipes are one text or one place."""
    if not parts:
        return lambda _: ""
    first = parts[0]
    if len(parts) == 1:
        return (lambda _: first) if isinstance(first, str) else first
    return lambda at: "".join([part if part.__class__ is str else part(at) for part in parts])  # type: ignore[operator]


def _clock(zone: timezone, form: str, at: Attempt) -> str:
    return datetime.fromtimestamp(at.now, zone).strftime(form)


def _joined(parts: list[Part]) -> list[Part]:
    """Join the literal pieces that stand side by side."""
    joined: list[Part] = []
    for part in parts:
        if isinstance(part, str) and joined and isinstance(joined[-1], str):
            joined[-1] += part
        elif part != "":
            joined.append(part)
    return joined
