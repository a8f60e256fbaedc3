"""The process that is lured: `python -m tests.network.luring`, with the ports it may call and may not.

It goes the gateway's own ways with every trick as an address, an answer or a document, and says how often it went.
Somebody outside watches where it really connects to.
"""

import contextlib
import json
import socket
import sys
from types import SimpleNamespace
from typing import Any

import uvloop

from onestop.cli.importing import _fetch
from onestop.gateway.call import CallFailed
from onestop.gateway.line import Line, Where
from onestop.gateway.manifest import BadManifest, parse
from onestop.onboarding import service_secrets
from onestop.onboarding.errors import PlaceNotAllowed
from onestop.onboarding.importing.errors import DocumentUnusable
from onestop.onboarding.importing.service import import_document
from onestop.outbound import pool
from onestop.outbound.addresses import AllowList
from onestop.outbound.errors import Unreachable
from onestop.outbound.transport import open_client

from .portal import MANIFEST

# Our own answers of a name server: a name that leads inside, one that changes its mind, and what is no address at all.
ANSWERS: dict[str, list[list[str]]] = {
    "inside.example": [["127.0.0.2"]],
    "both.example": [["127.0.0.2", "::1"]],
    "rebind.example": [["127.0.0.1"], ["127.0.0.2"], ["::1"]],
    "mapped.example": [["::ffff:127.0.0.2"]],
    "compatible.example": [["::127.0.0.2"]],
    "nat64.example": [["64:ff9b::7f00:2"]],
    "sixtofour.example": [["2002:7f00:2::1"]],
    "zone.example": [["fe80::1%lo"]],
    "unspecified.example": [["0.0.0.0"], ["::"]],
    "metadata.google.internal": [["169.254.169.254"]],
    "hex.example": [["0x7f000002"]],
    "octal.example": [["0177.0.0.2"]],
    "garbage.example": [["no address"]],
    "empty.example": [[]],
    "localhost": [["127.0.0.1", "::1"]],
}
HOSTS = (
    "127.0.0.2", "127.0.0.2.", "127.0.2", "127.2", "2130706434", "0x7f000002", "0x7f.0.0.2", "0177.0.0.2", "0177.0.2",
    "017700000002", "127.0.0.02", "00127.0.0.2", "127.0.0.2%00", "127.0.0.2%2e", "[::1]", "[0:0:0:0:0:0:0:1]",
    "[::ffff:127.0.0.2]", "[::ffff:7f00:2]", "[::127.0.0.2]", "[64:ff9b::7f00:2]", "[64:ff9b:1::7f00:2]",
    "[2002:7f00:2::]", "[2001:0:7f00:2::]", "[fe80::1%25lo]", "[fe80::1%lo]", "[::1%25lo]", "[::]", "[::ffff:0:0]",
    "0", "0.0.0.0", "0x0", "127。0。0。2", "127．0．0．2", "①②⑦.⓪.⓪.②", "１２７.0.0.2", "xn--127-0-0-2",
    "local\u00adhost",
    "LOCALHOST", "localhost.", "user@127.0.0.2", "user:word@127.0.0.2", "127.0.0.1:80@127.0.0.2",
    "127.0.0.1@127.0.0.2",
    "169.254.169.254", "100.100.100.200", "192.0.0.192", "224.0.0.1", "255.255.255.255", " 127.0.0.2", "127.0.0.2\t",
    *ANSWERS,
)  # fmt: skip
FORMS = (
    "http://127.0.0.1:{forbidden}", "http://127.0.0.1:{allowed}@127.0.0.2:{forbidden}", "http://127.0.0.1",
    "https://127.0.0.1",
    "http://127.0.0.1:{allowed}\\@127.0.0.2:{forbidden}", "http://127.0.0.2:{forbidden}#@127.0.0.1:{allowed}",
    "http://127.0.0.2:{forbidden}?@127.0.0.1:{allowed}/", "http://127.0.0.1:0{forbidden}", "http://127.0.0.1:-1",
    "http://127.0.0.1:99999", "http://127.0.0.1:+{forbidden}", "http://127.0.0.1:{allowed}:{forbidden}",
    "http://127.0.0.1:",
    "http:///127.0.0.2:{forbidden}/", "http:127.0.0.2:{forbidden}", "//127.0.0.2:{forbidden}", "127.0.0.2:{forbidden}",
    "ftp://127.0.0.2:{forbidden}", "gopher://127.0.0.2:{forbidden}", "file:///etc/passwd", "unix:///run/postgresql",
    "jar:http://127.0.0.2:{forbidden}!/", "dict://127.0.0.2:{forbidden}", "http://[127.0.0.2]:{forbidden}",
    "http://[:{forbidden}",
    "http://127.0.0.2:{forbidden}\r\nHost: 127.0.0.1", "HTTP://127.0.0.2:{forbidden}", "http+unix://x", "data:,x", "",
)  # fmt: skip
MANIFEST_ONE = MANIFEST.format(id="one", concurrency=4, total_s=1.0, late_s=1.0)
_TOKEN = MANIFEST_ONE.replace("[limits]", '[auth]\nkind = "oauth2_client_credentials"\n[limits]')
_XSD = "http://www.w3.org/2001/XMLSchema"
_WSDL = '<definitions xmlns="http://schemas.xmlsoap.org/wsdl/">{}</definitions>'
_CREDENTIALS = {"client_id": "us", "client_secret": "word"}


def tricks(allowed: int, forbidden: int) -> list[str]:
    """Return every address that leads somewhere forbidden, or nowhere."""
    forms = [form.format(allowed=allowed, forbidden=forbidden) for form in FORMS]
    return [*forms, *(f"http://{host}:{port}" for host in HOSTS for port in (forbidden, allowed))]


async def _look_up(host: str, _: int) -> list[str]:
    told = ANSWERS.get(host.rstrip(".").lower())
    if told is not None:
        return told.pop(0) if len(told) > 1 else told[0]
    with contextlib.suppress(OSError, UnicodeError):  # the forms a C library still reads as addresses; no name server
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
        return [str(entry[4][0]) for entry in found]
    raise Unreachable("name_unknown")


async def _asked(where: Where, text: str, allow: AllowList, times: int = 1) -> None:
    with contextlib.suppress(BadManifest):
        line = Line(parse(text.encode()), where, allow)
        for _ in range(times):
            with contextlib.suppress(CallFailed):
                await line.ask("query", {"subject": {"number": "990102199203140221"}}, 1.0, "990102199203140221")
        await line.close()


async def lured(allowed: int, forbidden: int, answers: int) -> dict[str, int]:
    """Go every way with every trick; return how often each way was gone."""
    allow, here = AllowList([f"127.0.0.1:{allowed}"]), f"http://127.0.0.1:{allowed}"
    gone = dict.fromkeys(("place", "replica", "token_url", "place by API", "client", "import", "document", "answer"), 0)
    life: Any = SimpleNamespace(settings=SimpleNamespace(outbound_allow=(f"127.0.0.1:{allowed}",)))
    for url in tricks(allowed, forbidden):
        await _asked(Where(url, {}), MANIFEST_ONE, allow, 3 if "rebind" in url else 1)
        await _asked(Where(url, {}, replicas=(url,)), MANIFEST_ONE, allow)
        await _asked(Where(here, _CREDENTIALS, token_url=url), _TOKEN, allow)
        with contextlib.suppress(PlaceNotAllowed, UnicodeError):
            await service_secrets.check_place(life, url)
        async with open_client(allow=allow, timeout_s=1.0) as client:
            with contextlib.suppress(Exception):  # httpx refuses some forms by errors of its own
                await client.get(url)
        with contextlib.suppress(Exception):
            await _fetch(url)
        for name in ("place", "replica", "token_url", "place by API", "client", "import"):
            gone[name] += 1
    evil = f"http://127.0.0.2:{forbidden}/x"
    for document in (
        json.dumps({"openapi": "3.0.0", "info": {"title": "x", "version": "1"}, "paths": {"/a": {"$ref": evil}}}),
        f'<!DOCTYPE d SYSTEM "{evil}"><d/>',
        _WSDL.format(f'<import location="{evil}" namespace="n"/>'),
        _WSDL.format(f'<types><schema xmlns="{_XSD}"><include schemaLocation="{evil}"/></schema></types>'),
    ):
        with contextlib.suppress(DocumentUnusable):
            import_document(document.encode(), "d.json" if document[0] == "{" else "d.wsdl", {})
        gone["document"] += 1
    for nth in range(answers):
        text = MANIFEST_ONE.replace('path = "/query"', f'path = "/{nth}"')
        await _asked(Where(here, {}), text, allow)
        async with open_client(allow=allow, timeout_s=1.0) as client:
            with contextlib.suppress(Exception):
                await client.get(f"{here}/{nth}")
        gone["answer"] += 1
    return gone


if __name__ == "__main__":
    pool.Pool.__init__.__kwdefaults__["lookup"] = _look_up
    service_secrets.look_up = _look_up  # type: ignore[assignment]
    print(json.dumps(uvloop.run(lured(*map(int, sys.argv[1:4])))))
