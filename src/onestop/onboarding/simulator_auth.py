"""Whether a request shows the credentials that a manifest declares, checked as the department would.

Keys, passwords, tokens and signatures with a shared secret are checked whole. Of signatures by private keys, whose
public halves the sandbox does not hold, it is checked that they are there and where they must be.
"""

import base64
import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from onestop.gateway.auth.digests import signer
from onestop.gateway.auth.vouching import KEY
from onestop.gateway.manifest import (
    ApiKey,
    Basic,
    ClientCredentials,
    HttpSignature,
    Login,
    Manifest,
    NoAuth,
    OnestopToken,
    SelfSigned,
    Signed,
    WsSecurity,
)
from onestop.gateway.manifest_base import BadManifest
from onestop.identity import tokens
from onestop.identity.errors import BadToken
from onestop.onboarding.simulator_requests import Difference, Request
from onestop.onboarding.simulator_shown import basic_pair, grow, members, params_text, unb64url, ws_digest
from onestop.provider.service_exchange import audience_of

_PLACE = re.compile(r"\{\{|\}\}|\{([^{}]*)\}")
_SKEW_S = 300
_OF_ACCESS: frozenset[str | None] = frozenset(("at+jwt",))
_LONGEST_S = 300  # of a token of the portal
TOKEN_LIFE_S = 600
_MOST_TOKENS = 1000
_SHARED = frozenset(("hmac-sha256", "hmac-sha1", "hmac-sha512", "hmac-md5", "hmac-sm3"))
_PLAIN = frozenset(("sha256", "sha1", "sha512", "md5", "sm3"))


class Guard:
    """Checks credentials and gives out tokens; the tokens live as long as the simulator."""

    def __init__(self, manifest: Manifest, told: Mapping[str, str], config: Mapping[str, str] | None = None) -> None:
        self._manifest, self._told, self._config = manifest, told, config or {}
        self._tokens: dict[str, float] = {}
        self.token_path = self._token_path()

    def _token_path(self) -> str | None:
        auth = self._manifest.auth
        if isinstance(auth, ClientCredentials):
            return auth.token_path
        return auth.path if isinstance(auth, Login) else None

    def faults(self, request: Request) -> list[Difference]:
        """Return what is missing or wrong in a request's credentials; empty: they are good."""
        auth = self._manifest.auth
        checks: dict[type, Callable[[Any, Request], list[Difference]]] = {
            ApiKey: self._api_key,
            Basic: self._basic,
            ClientCredentials: lambda _, asked: self._bearer("header.authorization", asked),
            Login: self._login,
            SelfSigned: self._jwt,
            Signed: self._signed,
            HttpSignature: self._message,
            WsSecurity: self._ws_security,
            OnestopToken: self._vouched,
        }
        if isinstance(auth, NoAuth):
            return []
        return checks[type(auth)](auth, request)

    def always_faults(self, request: Request) -> list[Difference]:
        """Return what is missing or wrong of what every request carries, with credentials or without."""
        always = self._manifest.always
        return self._tables(request, (("header", always.headers), ("query", always.query)))[0]

    def _tables(
        self, request: Request, tables: Iterable[tuple[str, Mapping[str, str]]]
    ) -> tuple[list[Difference], dict[str, str]]:
        """Hold what was sent against recipes; returns what differs, and what their open places stand for."""
        wrong: list[Difference] = []
        found: dict[str, str] = {}
        shown = {"header": request.headers, "query": request.query, "body": members(request)}
        for place, table in tables:
            for name, recipe in table.items():
                pattern, names = self._pattern(recipe)
                sent = shown[place].get(name.lower() if place == "header" else name)
                match = pattern.fullmatch(sent) if sent is not None else None
                if match is None:
                    told = None if sent is None else "another value"
                    wrong.append(Difference(where=f"{place}.{name.lower()}", sent=told, expected=recipe))
                else:
                    found |= {called: match[group] for called, group in names.items()}
        return wrong, found

    # ---- what is sent as it is

    def _api_key(self, auth: ApiKey, request: Request) -> list[Difference]:
        if auth.place == "header":
            where, sent = f"header.{auth.name.lower()}", request.headers.get(auth.name.lower())
        elif auth.place == "query":
            where, sent = f"query.{auth.name}", request.query.get(auth.name)
        else:
            where, sent = f"body.{auth.name}", members(request).get(auth.name)
        return self._equal(where, sent, auth.prefix + self._told.get("api_key", ""), "the secret api_key")

    def _basic(self, _: Basic, request: Request) -> list[Difference]:
        pair = f"{self._told.get('username', '')}:{self._told.get('password', '')}"
        expected = "Basic " + base64.b64encode(pair.encode()).decode()
        return self._equal(
            "header.authorization", request.headers.get("authorization"), expected, "Basic, both secrets"
        )

    def _equal(self, where: str, sent: str | None, expected: str, words: str) -> list[Difference]:
        if sent is not None and hmac.compare_digest(sent.encode(), expected.encode()):
            return []
        return [Difference(where=where, sent=None if sent is None else "another value", expected=f"<{words}>")]

    # ---- tokens

    def token(self, request: Request) -> tuple[int, dict[str, Any]]:
        """Answer a request for a token: status and body."""
        auth = self._manifest.auth
        if isinstance(auth, ClientCredentials):
            fault = self._client_fault(auth, request)
            if fault is not None:
                return 401, {"error": "invalid_client", "error_description": fault}
            return 200, {"access_token": self._give(), "token_type": "Bearer", "expires_in": TOKEN_LIFE_S}
        assert isinstance(auth, Login)  # nobody else has a token endpoint
        shown = {**request.query, **members(request), **request.headers}
        wrong = self._login_faults(auth, shown)
        if wrong:
            return 401, {"error": "login_refused", "differences": wrong}
        answer: dict[str, Any] = {}
        grow(answer, auth.token, self._give())
        if auth.expires_in:
            grow(answer, auth.expires_in, TOKEN_LIFE_S)
        return 200, answer

    def _give(self) -> str:
        if len(self._tokens) >= _MOST_TOKENS:
            self._tokens.clear()
        token = "sim-" + secrets.token_urlsafe(24)
        self._tokens[token] = time.monotonic() + TOKEN_LIFE_S
        return token

    def _client_fault(self, auth: ClientCredentials, request: Request) -> str | None:
        form = members(request)
        if form.get("grant_type") != "client_credentials":
            return "grant_type must be client_credentials"
        if auth.client_auth in ("private_key_jwt", "tls", "client_secret_jwt"):
            proof = "client_id" if auth.client_auth == "tls" else "client_assertion"
            return None if form.get(proof) else f"{proof} is missing"
        client, secret = form.get("client_id", ""), form.get("client_secret", "")
        if auth.client_auth == "basic":
            client, secret = basic_pair(request.headers.get("authorization", ""))
        good = client == self._told.get("client_id") and secret == self._told.get("client_secret")
        return None if good else f"client_id or client_secret is another one than told, by {auth.client_auth}"

    def _login_faults(self, auth: Login, shown: Mapping[str, str]) -> list[str]:
        wrong = []
        for place, table in (
            ("header", auth.request_headers),
            ("query", auth.request_query),
            ("body", auth.request_body),
        ):
            for name, recipe in table.items():
                pattern, _ = self._pattern(recipe)
                sent = shown.get(name.lower() if place == "header" else name)
                if sent is None or not pattern.fullmatch(sent):
                    wrong.append(f"{place}.{name}")
        return wrong

    def _bearer(self, where: str, request: Request) -> list[Difference]:
        sent = request.headers.get("authorization")
        if sent is not None and self._good(sent.removeprefix("Bearer ")):
            return []
        expected = f"<Bearer and a token of {self.token_path}, at most {TOKEN_LIFE_S} s old>"
        return [Difference(where=where, sent=None if sent is None else "another value", expected=expected)]

    def _good(self, token: str) -> bool:
        return self._tokens.get(token, 0) > time.monotonic()

    def _login(self, auth: Login, request: Request) -> list[Difference]:
        wrong: list[Difference] = []
        for place, table in (("header", auth.headers), ("query", auth.query), ("body", auth.body)):
            for name, recipe in table.items():
                faults, found = self._tables(request, ((place, {name: recipe}),))
                if not faults and "token" in found and not self._good(found["token"]):
                    faults = [Difference(where=f"{place}.{name.lower()}", sent="another value", expected=recipe)]
                wrong += faults
        return wrong

    def _jwt(self, auth: SelfSigned, request: Request) -> list[Difference]:
        where, sent = f"header.{auth.header.lower()}", request.headers.get(auth.header.lower())
        parts = (sent or "").removeprefix(auth.prefix).split(".")
        expected = f"<{auth.prefix}a JWT by {auth.algorithm}, not yet over>"
        try:
            head, claims = (msgspec.json.decode(unb64url(part)) for part in parts[:2])
            good = (
                len(parts) == 3 and head.get("alg") == auth.algorithm and claims.get("exp", 0) > time.time() - _SKEW_S
            )
            if good and auth.algorithm.startswith("HS") and "jwt_key" in self._told:
                mac = hmac.digest(
                    self._told["jwt_key"].encode(), ".".join(parts[:2]).encode(), f"sha{auth.algorithm[2:]}"
                )
                good = hmac.compare_digest(mac, unb64url(parts[2]))
            good = good and self._told_in(head, auth.headers) and self._told_in(claims, auth.claims)
        except (ValueError, AttributeError, TypeError, msgspec.DecodeError):
            good = False
        return (
            [] if good else [Difference(where=where, sent=None if sent is None else "another value", expected=expected)]
        )

    def _vouched(self, auth: OnestopToken, request: Request) -> list[Difference]:
        """Check a token of the portal as a department does: with a published key, type, audience and times."""
        where, sent = f"header.{auth.header.lower()}", request.headers.get(auth.header.lower())
        expected = f"<{auth.prefix}a token of the portal for {audience_of(self._manifest.id)}, not yet over>"
        try:
            key = ECKey.import_key(self._told[KEY]).as_dict(private=False)
            ring = tokens.Keyring.read({"keys": [key]})
            claims = tokens.open_signed((sent or "").removeprefix(auth.prefix), ring, _OF_ACCESS)
            tokens.check_lifetime(claims)
            good = claims["aud"] == audience_of(self._manifest.id) and claims["exp"] - claims["iat"] <= _LONGEST_S
        except (BadToken, JoseError, KeyError, TypeError, ValueError):
            good = False
        return (
            [] if good else [Difference(where=where, sent=None if sent is None else "another value", expected=expected)]
        )

    def _told_in(self, shown: Mapping[str, Any], table: Mapping[str, str]) -> bool:
        """Tell whether claims or JOSE headers are filled as their recipes say."""
        return all(self._pattern(recipe)[0].fullmatch(str(shown.get(name, ""))) for name, recipe in table.items())

    # ---- signatures

    def _signed(self, auth: Signed, request: Request) -> list[Difference]:
        tables = (("header", auth.headers), ("query", auth.query), ("body", auth.body))
        wrong, found = self._tables(request, tables)
        if wrong:
            return wrong
        stale = self._stale(found)
        return stale or self._recomputed(auth, request, found)

    def _stale(self, found: Mapping[str, str]) -> list[Difference]:
        stamp = found.get("timestamp", "")
        seconds = (
            float(stamp)
            if stamp.isdigit()
            else float(found["timestamp_ms"]) / 1000
            if found.get("timestamp_ms", "").isdigit()
            else None
        )
        if seconds is None or abs(seconds - time.time()) <= _SKEW_S:
            return []
        return [Difference(where="timestamp", sent=stamp[:20], expected=f"<within {_SKEW_S} s of now>")]

    def _recomputed(self, auth: Signed, request: Request, found: Mapping[str, str]) -> list[Difference]:
        sent = found.get("signature")
        if sent is None or auth.digest not in {*_SHARED, *_PLAIN}:
            return []
        base = self._fill(auth, request, found)
        raw = self._digest(auth.digest, base.encode("utf-8", "surrogateescape")) if base is not None else None
        if raw is None:
            return []  # the base names something only both ends of a real line know
        encoded = {"hex": raw.hex(), "hex_upper": raw.hex().upper(), "base64": base64.b64encode(raw).decode()}
        expected = encoded.get(auth.encoding, base64.urlsafe_b64encode(raw).decode().rstrip("="))
        if hmac.compare_digest(expected.encode(), sent.encode()):
            return []
        told = f"<{auth.digest} in {auth.encoding} over {len(base or '')} characters: {auth.base!r}>"
        return [Difference(where="signature", sent="another value", expected=told)]

    def _digest(self, digest: str, base: bytes) -> bytes | None:
        try:
            return signer(digest, self._told)(base)
        except BadManifest:
            return None

    def _fill(self, auth: Signed, request: Request, found: Mapping[str, str]) -> str | None:
        body = request.body
        places: dict[str, str] = {
            **found,
            "method": request.method,
            "method_lower": request.method.lower(),
            "path": request.whole_path,
            "query": request.raw_query,
            "target": f"{request.whole_path}?{request.raw_query}" if request.raw_query else request.whole_path,
            "host": request.host,
            "body": body.decode("utf-8", "surrogateescape"),
            "body_sha256": hashlib.sha256(body).hexdigest(),
            "body_sha256_b64": base64.b64encode(hashlib.sha256(body).digest()).decode(),
            "body_md5": hashlib.md5(body).hexdigest(),  # noqa: S324 - what older platforms ask for
            "body_md5_b64": base64.b64encode(hashlib.md5(body).digest()).decode(),  # noqa: S324 - likewise
            "params": params_text(auth, request),
        }
        missing = False

        def fill(match: "re.Match[str]") -> str:
            nonlocal missing
            if match[1] is None:
                return match[0][0]
            value = self._known(match[1]) or places.get(match[1])
            missing = missing or value is None
            return value or ""

        base = _PLACE.sub(fill, auth.base)
        return None if missing else base

    def _known(self, place: str) -> str | None:
        short = {"app_key": "app_key", "secret": "app_secret"}.get(place)
        if short is not None or place.startswith("secret."):
            return self._told.get(short or place[7:])
        return self._config.get(place[7:]) if place.startswith("config.") else None

    def _pattern(self, recipe: str) -> tuple["re.Pattern[str]", dict[str, str]]:
        """Return what a filled recipe looks like, and the group of each place in it."""
        parts: list[str] = []
        names: dict[str, str] = {}
        end = 0
        for found in _PLACE.finditer(recipe):
            parts.append(re.escape(recipe[end : found.start()]))
            end = found.end()
            known = self._known(found[1]) if found[1] is not None else found[0][0]
            if known is not None:
                parts.append(re.escape(known))
            elif found[1] in names:
                parts.append(f"(?P={names[found[1]]})")
            else:
                names[found[1]] = f"g{len(names)}"
                parts.append(f"(?P<{names[found[1]]}>.+?)")
        return re.compile("".join([*parts, re.escape(recipe[end:])]), re.DOTALL), names

    def _message(self, auth: HttpSignature, request: Request) -> list[Difference]:
        needed = {"header.signature-input": auth.label + "=(", "header.signature": auth.label + "=:"}
        if request.body and "content-digest" in auth.components:
            digest = base64.b64encode(hashlib.sha256(request.body).digest()).decode()
            needed["header.content-digest"] = f"sha-256=:{digest}:"
        wrong = [
            Difference(where=where, sent=request.headers.get(where[7:]), expected=f"<{begins}…>")
            for where, begins in needed.items()
            if not request.headers.get(where[7:], "").startswith(begins)
        ]
        named = re.search(r';keyid="([^"]*)"', request.headers.get("signature-input", ""))
        if not wrong and not self._pattern(auth.key_id)[0].fullmatch(named[1] if named else ""):
            wrong = [Difference(where="header.signature-input", sent="another keyid", expected=auth.key_id)]
        return wrong

    def _ws_security(self, auth: WsSecurity, request: Request) -> list[Difference]:
        text = request.body.decode("utf-8", "replace")
        user = re.search(r"<(?:\w+:)?Username>([^<]*)<", text)
        password = re.search(r"<(?:\w+:)?Password[^>]*>([^<]*)<", text)
        nonce, created = (
            re.search(r"<(?:\w+:)?Nonce[^>]*>([^<]*)<", text),
            re.findall(r"<(?:\w+:)?Created>([^<]*)<", text),
        )
        expected = self._told.get("password", "")
        if auth.password == "digest" and nonce and created:  # noqa: S105 - a word, not a secret
            expected = ws_digest(nonce[1], created[-1], expected)
        if user and user[1] == self._told.get("username", "") and password and password[1] == expected:
            return []
        sent = "another value" if user or password else None
        return [
            Difference(
                where="soap header UsernameToken", sent=sent, expected=f"<username, password as {auth.password}>"
            )
        ]
