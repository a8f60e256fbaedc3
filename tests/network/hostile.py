"""What departments may answer to do harm, through the gateway's whole way: replies, bodies, wrappings, tokens."""

import json
from typing import Any

import msgspec

from tests.gateway import test_auth_protection as wrapped
from tests.outbound.hostile import BODIES, CUT_REPLIES, FLOODS, REPLIES, Handle, dripping, flooding, reply, saying

from .portal import MANIFEST

NUMBER, OTHER = "990102199203140221", "990102199008210351"
CANARY = "canary-of-somebody"
_XML = "application/xml"
_JSON = ('reply.subject = "data.id_number"', 'reply.as_of = "data.as_of | instant"')


class Case(msgspec.Struct, kw_only=True):
    """One way to answer, and what must come of it."""

    serve: Handle
    manifest: str
    outcomes: frozenset[str]
    state: str = "unavailable"
    secrets: dict[str, str] = {}
    token: Handle | None = None  # how the token endpoint answers, where there is one
    budget_s: float = 3.0


def manifest(*more: str, but: str = "") -> str:
    """Return the manifest of the department, with further lines of its operation, without one that says `but`."""
    text = MANIFEST.format(id="one", concurrency=16, total_s=3.0, late_s=3.0)
    return "\n".join(line for line in text.splitlines() if not but or but not in line) + "\n" + "\n".join(more) + "\n"


PLAIN = manifest()
LARGE = manifest("max_reply_bytes = 8388608")
XML = manifest('response_codec = "xml"')
SOAP = manifest('response_codec = "soap"')
GB = manifest('charset = "gb18030"')
WRAPPED = manifest('reply.protection = { kind = "jose", layers = ["jwe", "jws"] }')
TOKEN = '[auth]\nkind = "oauth2_client_credentials"\n'


def body(value: Any) -> bytes:
    return value if isinstance(value, bytes) else json.dumps(value, ensure_ascii=False).encode()


def record(**changes: Any) -> dict[str, Any]:
    told = {"id_number": NUMBER, "as_of": "2026-03-02T08:00:00+08:00", "answer": "42", "note": CANARY}
    return {"data": {**told, **changes}}


def case(serve: Handle, text: str = PLAIN, *outcomes: str, **more: Any) -> Case:
    return Case(serve=serve, manifest=text, outcomes=frozenset(outcomes or ("bad_reply",)), **more)


def said(value: Any, text: str = PLAIN, *outcomes: str, **more: Any) -> Case:
    return case(saying(reply(body(value), b"Content-Type: application/json")), text, *outcomes, **more)


def _deep_xml(depth: int) -> bytes:
    return b"<a>" * depth + CANARY.encode() + b"</a>" * depth


def _laughs() -> bytes:
    lines = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    return f'<?xml version="1.0"?><!DOCTYPE r [<!ENTITY l0 "{CANARY}">{lines}]><r>&l9;</r>'.encode()


def _soap(inner: str) -> bytes:
    space = "http://schemas.xmlsoap.org/soap/envelope/"
    return f'<s:Envelope xmlns:s="{space}">{inner}</s:Envelope>'.encode()


DOCUMENTS: dict[str, Case] = {
    "another person's record": said(record(id_number=OTHER)),
    "nobody's record": said(record(id_number=None)),
    "the number as a number": said(record(id_number=int(NUMBER))),
    "two people's records": said({"data": [record()["data"], record(id_number=OTHER)["data"]]}),
    "a record of another shape": said({"result": CANARY}),
    "a member that is a table": said(record(as_of={"year": CANARY})),
    "an instant that is none": said(record(as_of=CANARY)),
    "an instant of the year 10 000": said(record(as_of="10000-01-01T00:00:00Z")),
    "an instant as an endless number": said(body(record()).replace(b'"2026-03-02T08:00:00+08:00"', b"9" * 4000)),
    "a record a thousand years old": said(
        record(as_of="1026-03-02T08:00:00+08:00"), manifest("fresh_s = 60"), "ok", state="stale"
    ),
    "a key that comes twice, the second another's": said(
        body(record()).replace(b'"note"', b'"id_number": "%b", "note"' % OTHER.encode())
    ),
    "eight megabytes of one text": said(record(note="x" * 8_000_000), LARGE, "ok", state="ok"),
    "eight megabytes of small lists": said(b'{"data": [' + b"[]," * 2_700_000 + b"[]]}", LARGE),
    "eight megabytes of members": said(
        b'{"data": {' + b",".join(b'"%07d":1' % n for n in range(700_000)) + b"}}", LARGE
    ),
    "eight megabytes of backslashes": said(b'{"data": "' + b"\\\\" * 4_000_000 + b'"}', LARGE),
    "eight megabytes of quotes": said(b'{"data": [' + b'"",' * 2_600_000 + b'""]}', LARGE),
    "eight megabytes of digits": said(b'{"data": ' + b"9" * 8_000_000 + b"}", LARGE),
    "four million brackets": said(b"[" * 4_000_000 + b"]" * 4_000_000, LARGE),
    "GB 18030 that is none": said(b'{"data": "\x81\x20\xff\xff"}', GB),
    "GB 18030 cut in a letter": said('{"data": "云溪'.encode("gb18030")[:-1], GB),
    "UTF-8 where GB 18030 is declared": said("\ufeff" + json.dumps(record(), ensure_ascii=False), GB),
    "UTF-16": said(json.dumps(record()).encode("utf-16"), PLAIN),
    "a thousand million laughs": said(_laughs(), XML),
    "a file in an entity": said(b'<!DOCTYPE r [<!ENTITY f SYSTEM "file:///etc/passwd">]><r>&f;</r>', XML),
    "another host in an entity": said(b'<!DOCTYPE r SYSTEM "http://127.0.0.9:9/x.dtd"><r/>', XML),
    "a document type in UTF-7": said(b"+ADw-!DOCTYPE r+AD4-<r/>", XML),
    "XML 100 deep": said(_deep_xml(100), XML),
    "XML 300 000 deep": said(_deep_xml(300_000), manifest('response_codec = "xml"', "max_reply_bytes = 8388608")),
    "XML of a million elements": said(
        b"<r>" + b"<a/>" * 1_000_000 + b"</r>", manifest('response_codec = "xml"', "max_reply_bytes = 8388608")
    ),
    "XML of a hundred thousand attributes": said(
        b"<r " + b" ".join(b'a%d="x"' % n for n in range(110_000)) + b"/>",
        manifest('response_codec = "xml"', "max_reply_bytes = 8388608"),
    ),
    "XML of one text of eight megabytes": said(
        b"<r><data>" + b"x" * 8_000_000 + b"</data></r>",
        manifest('response_codec = "xml"', "max_reply_bytes = 8388608"),
    ),
    "XML with another encoding in its head": said('<?xml version="1.0" encoding="utf-16"?><r>云</r>'.encode(), XML),
    "XML cut short": said(b"<r><data>" + CANARY.encode(), XML),
    "XML with a name nobody declared": said(b"<x:r><data/></x:r>", XML),
    "XML of another's record": said(f"<r><data><id_number>{OTHER}</id_number></data></r>".encode(), XML),
    "SOAP without an envelope": said(f"<Body><data>{CANARY}</data></Body>".encode(), SOAP),
    "SOAP without a body": said(_soap("<s:Header/>"), SOAP),
    "SOAP with an empty body": said(_soap("<s:Body/>"), SOAP),
    "SOAP with a fault": said(_soap(f"<s:Body><s:Fault><faultstring>{CANARY}</faultstring></s:Fault></s:Body>"), SOAP),
    "JSON where SOAP is declared": said(record(), SOAP),
    "HTML where SOAP is declared": said(b"<html><body><p>Log in</body></html>", SOAP),
}
DOCUMENTS |= {f"a body: {name}": said(data) for name, (data, _) in BODIES.items()}

# Every reply, cut and flood that the door is tested with: here what becomes of it at the other end.
WIRE: dict[str, Case] = {f"a reply: {name}": case(saying(data)) for name, (data, _) in REPLIES.items()}
WIRE |= {f"cut: {name}": case(saying(data, then_close=True), PLAIN, "cut") for name, (data, _) in CUT_REPLIES.items()}
WIRE |= {f"a flood: {name}": case(flooding(first, block)) for name, (first, block, _) in FLOODS.items()}
WIRE |= {
    "a flood that is allowed to be large": case(flooding(*FLOODS["an endless chunked body"][:2]), LARGE),
    "a body that drips": case(
        dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n", b"x"), PLAIN, "timeout", budget_s=0.5
    ),
    "a redirect": case(
        saying(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.9:9/\r\nContent-Length: 0\r\n\r\n"), PLAIN
    ),
    "a refusal with a bomb": case(
        saying(reply(b"[" * 200_000, b"Content-Type: text/html").replace(b"200 OK", b"500 Oh")), PLAIN, "down"
    ),
}

_WRAPS = {name: text.encode("latin-1") for name, text in wrapped.HOSTILE.items()}
_WRAPS |= {
    "four million dots": b"." * 4_000_000,
    "a header that is deep": b".".join([wrapped.part({"alg": "x"}).encode()] + [b"W1tb" * 300_000] * 4),
    "a text of eight megabytes": b".".join([b"A" * 1_600_000] * 5),
}
PROTECTED: dict[str, Case] = {
    f"wrapped: {name}": said(
        text, WRAPPED.replace('layers = ["jwe", "jws"]', 'layers = ["jwe", "jws"]') + "max_reply_bytes = 8388608\n",
        secrets=dict(wrapped.TOLD),
    )
    for name, text in _WRAPS.items()
}  # fmt: skip


def _token(value: Any, *outcomes: str, status: bytes = b"200 OK") -> Case:
    answer = reply(body(value), b"Content-Type: application/json").replace(b"200 OK", status)
    return _of_token(saying(answer), *outcomes)


def _of_token(token: Handle, *outcomes: str, **more: Any) -> Case:
    text = PLAIN.replace("[limits]", TOKEN + "[limits]")
    secrets = {"client_id": "us", "client_secret": "hidden"}
    return case(saying(b""), text, *(outcomes or ("no_token",)), secrets=secrets, token=token, **more)


TOKENS: dict[str, Case] = {
    "a token of a megabyte": _token({"access_token": "x" * 1_000_000}),
    "a token with a line's end": _token({"access_token": "x\r\nX-Admin: yes"}, "unmappable", "no_token"),
    "a token in Chinese": _token({"access_token": "令牌"}, "unmappable", "no_token"),
    "no token": _token({"token": CANARY}),
    "a token of another kind": _token({"access_token": "x", "token_type": "mac"}),
    "a token that is a list": _token({"access_token": [CANARY]}),
    "a life that is no number": _token({"access_token": "x", "expires_in": CANARY}),
    "an answer 100 000 deep": _token(b'{"x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    "an answer 100 000 deep and cut": _token(b'{"access_token": "x", "y": ' + b"[" * 100_000),
    "an answer that is a page": _token(b"<html>log in</html>"),
    "an answer that is nothing": _token(b""),
    "an answer in UTF-16": _token(json.dumps({"access_token": "x"}).encode("utf-16")),
    "an endless answer": _of_token(flooding(*FLOODS["an endless chunked body"][:2])),
    "an endless header": _of_token(flooding(*FLOODS["an endless header"][:2])),
    "a gzip bomb": _of_token(saying(REPLIES["a gzip bomb"][0])),
    "a redirect": _token(b"", status=b"302 Found\r\nLocation: http://127.0.0.9:9/"),
    "a refusal": _token({"error": CANARY}, status=b"401 No"),
    "a token endpoint that drips": _of_token(
        dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", b"x", 1.0), "no_token", "timeout", budget_s=0.5
    ),
}
CASES: dict[str, Case] = {**DOCUMENTS, **WIRE, **PROTECTED, **{f"token: {name}": one for name, one in TOKENS.items()}}
