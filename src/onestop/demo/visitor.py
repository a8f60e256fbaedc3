"""Somebody from outside: plain HTTP from the standard library, with a browser's cookies and nothing of onestop's own.

What the tour finds true through this, any client finds true.
"""

import http.client
import json
import time
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urljoin, urlsplit

_REDIRECTS = (301, 302, 303, 307)


class Answer:
    """One reply, whole."""

    def __init__(self, url: str, status: int, headers: http.client.HTTPMessage, body: bytes) -> None:
        self.url = url
        self.status = status
        self.headers = headers
        self.body = body

    def json(self) -> Any:
        """Return the body as JSON; None where it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    def __str__(self) -> str:
        problem = self.json()
        code = problem.get("code") if isinstance(problem, dict) else None
        return f"{self.status} {code or ''}".strip()


class Unreachable(Exception):
    """Nobody answers at the address."""


class Visitor:
    """One client with its own cookies, language and, perhaps, bearer token."""

    def __init__(self, url: str, *, lang: str = "zh-CN", token: str | None = None, timeout_s: float = 15.0) -> None:
        self.url = url
        self._lang = lang
        self._token = token
        self._timeout_s = timeout_s
        self._cookies: dict[str, dict[str, str]] = {}  # host:port → name → value

    def get(self, path: str, **headers: str) -> Answer:
        """GET without following redirects; header names are given with underscores."""
        return self.send("GET", path, None, headers)

    def post(self, path: str, body: Any = None, **headers: str) -> Answer:
        """POST a JSON body."""
        return self.send("POST", path, body, headers)

    def patch(self, path: str, body: Any, **headers: str) -> Answer:
        """PATCH with a JSON body."""
        return self.send("PATCH", path, body, headers)

    def put(self, path: str, body: Any, **headers: str) -> Answer:
        """PUT a JSON body."""
        return self.send("PUT", path, body, headers)

    def send(self, method: str, path: str, body: Any, headers: Mapping[str, str]) -> Answer:
        """Send one request and read the whole answer.

        Raises:
            Unreachable: nobody answers there.
        """
        url = urljoin(self.url, path)
        connection, reply = self._open(method, url, body, headers)
        try:
            answer = Answer(url, reply.status, reply.headers, reply.read())
        except (OSError, http.client.HTTPException) as fault:
            raise Unreachable(f"{url}: {fault}") from fault
        finally:
            connection.close()
        self._keep_cookies(url, reply)
        return answer

    def follow(self, answer: Answer, most: int = 8) -> Answer:
        """Go where redirects lead, as a browser does, and return the page that is no redirect."""
        for _ in range(most):
            location = answer.headers.get("location")
            if answer.status not in _REDIRECTS or not location:
                return answer
            answer = self.send("GET", urljoin(answer.url, location), None, {})
        return answer

    def events(self, path: str, *, patience_s: float, last_id: str | None = None) -> Iterator[dict[str, Any]]:
        """Yield server-sent events as `id`, `event` and decoded `data` until the stream or the patience ends."""
        headers = {"accept": "text/event-stream"} | ({"last_event_id": last_id} if last_id else {})
        url = urljoin(self.url, path)
        connection, reply = self._open("GET", url, None, headers)
        until = time.monotonic() + patience_s
        fields: dict[str, str] = {}
        try:
            if reply.status != 200:
                raise Unreachable(f"{url}: {reply.status}")
            while time.monotonic() < until:
                if connection.sock is not None:
                    connection.sock.settimeout(max(0.1, until - time.monotonic()))
                line = reply.readline().decode()
                if not line:
                    return
                name, _, value = line.rstrip("\r\n").partition(":")
                if line.strip():
                    if name:
                        fields[name] = value.removeprefix(" ")
                    continue
                if "data" in fields:
                    yield {**fields, "data": json.loads(fields["data"])}
                fields = {}
        except TimeoutError:
            return
        except (OSError, http.client.HTTPException) as fault:
            raise Unreachable(f"{url}: {fault}") from fault
        finally:
            connection.close()

    def _open(
        self, method: str, url: str, body: Any, headers: Mapping[str, str]
    ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        parts = urlsplit(url)
        sent = {"Accept-Language": self._lang, "Accept": "application/json"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        if self._token and parts.netloc == urlsplit(self.url).netloc:
            sent["Authorization"] = f"Bearer {self._token}"
        if cookies := self._cookies.get(parts.netloc):
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
            sent.setdefault("Origin", f"{parts.scheme}://{parts.netloc}")  # as a browser says from a page of this site
        data = None
        if isinstance(body, bytes):
            data = body
        elif body is not None:
            data = json.dumps(body, ensure_ascii=False).encode()
            sent.setdefault("Content-Type", "application/json")
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=self._timeout_s)
        target = parts.path or "/"
        try:
            connection.request(method, target + (f"?{parts.query}" if parts.query else ""), data, sent)
            return connection, connection.getresponse()
        except (OSError, http.client.HTTPException) as fault:
            connection.close()
            raise Unreachable(f"{url}: {fault}") from fault

    def _keep_cookies(self, url: str, reply: http.client.HTTPResponse) -> None:
        kept = self._cookies.setdefault(urlsplit(url).netloc, {})
        for line in reply.headers.get_all("set-cookie") or ():
            pair, *attributes = line.split(";")
            name, _, value = pair.strip().partition("=")
            gone = any(a.strip().lower() in ("max-age=0", 'max-age="0"') for a in attributes)
            if gone or not value:
                kept.pop(name, None)
            else:
                kept[name] = value
