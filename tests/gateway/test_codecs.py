"""Bodies of every codec, over real sockets: what the department hears byte for byte, and what we read of its answer."""

import base64
import csv
import io
import json
from contextlib import asynccontextmanager
from email.parser import BytesParser
from email.policy import HTTP
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onestop.gateway.bodies import forms, multipart, tables
from onestop.gateway.line import CallFailed, Line, Where
from onestop.gateway.manifest import BadManifest, parse
from onestop.gateway.operations import prepare
from onestop.outbound.addresses import AllowList
from onestop.outbound.errors import BadBody
from tests.gateway.department import department, manifest_text

pytestmark = pytest.mark.anyio
LIN = "990102199203140221"
VALUES = {"subject": {"number": LIN, "name": "林<晓>舟"}, "payload": {"items": [{"n": 1}, {"n": 2}], "none": None}}


def manifest(keys, kind="query"):
    """The department of the tests, whose query has these keys instead of its own."""
    text = manifest_text("dep").decode()
    head, tail = text.split('\nid = "query"', 1)
    query, rest = tail.split("\n[[operations]]", 1)
    kept = [line for line in query.splitlines() if not line.startswith(("request.", "reply."))]
    query = "\n".join([*kept, *keys.strip().splitlines()]).replace('kind = "query"', f'kind = "{kind}"')
    return parse(f'{head}\nid = "query"{query}\n[[operations]]{rest}'.encode())


@asynccontextmanager
async def asking(keys, body=b"{}", status=200, headers=b""):
    """Yields what asks the operation once, and the department."""

    async def behave(*_):
        return status, body

    async with department(behave) as served:
        served.headers = headers
        line = Line(manifest(keys), Where(f"http://127.0.0.1:{served.port}", {}), AllowList(["127.0.0.0/8"]))

        async def ask(values=VALUES, number=None):
            return await line.ask("query", values, 2.0, number)

        yield ask, served
        await line.close()


async def sent(keys, values=VALUES):
    """Return the headers and the body that a department gets."""
    async with asking(keys) as (ask, served):
        await ask(values)
        return served.asked[0][1], served.asked[0][2]


async def read(keys, body, status=200, headers=b""):
    """Return the answer that is read of a reply."""
    async with asking(keys, body, status, headers) as (ask, _):
        return await ask()


# --- what is not sent -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ('max_request_bytes = 64\nrequest.body = { t = "payload.long" }', "request_too_large"),
        ('request_codec = "xml"\nrequest.template = "<a>{{ payload.nul }}</a>"', "XML can hold"),
        ('request_codec = "csv"\nrequest.body = { t = "payload.items" }', "cells"),
        ('request.body = { t = "payload.items | int" }', "whole number"),
        ('charset = "iso-8859-1"\nrequest_codec = "form"\nrequest.body = { t = "subject.name" }', "UnicodeEncodeError"),
        ('request_codec = "multipart"\nrequest.body = { f = { filename = "\'a\'" } }', "base64 or text"),
    ],
)
async def test_what_cannot_be_written_is_not_sent_and_says_why(keys, says):
    async with asking(keys) as (ask, served):
        with pytest.raises(CallFailed) as failed:
            await ask({**VALUES, "payload": {**VALUES["payload"], "long": "a" * 100, "nul": "\x01"}})
    assert (failed.value.kind, failed.value.sent, served.asked) == ("unmappable", False, [])
    assert says in str(failed.value.fact.params["reason"])


@pytest.mark.parametrize(
    "keys",
    [
        'request_codec = "soap"\nrequest.template = "<a><b></a>"',
        'request_codec = "soap12"\nrequest.template = "<a/>"\nrequest.header_template = "<h>"',
        'request_codec = "soap12"\nrequest.template = "<a/>"\nrequest.headers = { SOAPAction = "subject.name" }',
        'request_codec = "text"\nrequest.body = { words = "subject.name" }',
    ],
)
def test_what_could_never_be_written_is_refused_with_the_manifest(keys):
    with pytest.raises(BadManifest):
        prepare(manifest(keys))


# --- what is sent ---------------------------------------------------------------------------------------------------


async def test_members_without_a_value_are_null_or_left_out_as_the_manifest_says():
    body = 'request.body = { a = "subject.number", b = "payload.none" }'
    assert json.loads((await sent(body))[1]) == {"a": LIN, "b": None}
    assert json.loads((await sent(f"{body}\nrequest.omit_null = true"))[1]) == {"a": LIN}


async def test_another_kind_of_json_and_of_answer_can_be_asked_for():
    headers, _ = await sent(
        'content_type = "application/merge-patch+json"\n'
        'accept_type = "application/problem+json"\nrequest.body = { a = 1 }'
    )
    assert headers["content-type"] == "application/merge-patch+json"
    assert headers["accept"] == "application/problem+json"


async def test_a_form_is_nested_with_brackets_and_in_its_charset():
    _, body = await sent(
        'charset = "gb18030"\nrequest_codec = "form"\n'
        'request.body = { who = { name = "subject.name" }, items = "payload.items" }'
    )
    assert parse_qsl(body.decode(), encoding="gb18030") == [
        ("who[name]", "林<晓>舟"), ("items[0][n]", "1"), ("items[1][n]", "2"),
    ]  # fmt: skip


async def test_a_soap_envelope_has_its_header_and_its_values_escaped():
    headers, body = await sent(
        'request_codec = "soap"\nresponse_codec = "soap"\nrequest.headers = { SOAPAction = "\'urn:q\'" }\n'
        "request.header_template = \"<h:Case xmlns:h='urn:h'>{{ subject.number }}</h:Case>\"\n"
        'request.template = "<Q><N>{{ subject.name }}</N>{{#each payload.items}}<I>{{ n }}</I>{{/each}}</Q>"'
    )
    assert headers["content-type"] == "text/xml; charset=utf-8"
    assert headers["soapaction"] == "urn:q"
    text = body.decode()
    assert f"<soap:Header><h:Case xmlns:h='urn:h'>{LIN}</h:Case></soap:Header><soap:Body>" in text
    assert "<Q><N>林&lt;晓&gt;舟</N><I>1</I><I>2</I></Q></soap:Body></soap:Envelope>" in text
    assert "http://schemas.xmlsoap.org/soap/envelope/" in text


async def test_soap_1_2_names_its_action_in_the_content_type():
    headers, body = await sent(
        'request_codec = "soap12"\nrequest.headers = { SOAPAction = "\'urn:q\'" }\nrequest.template = "<Q/>"'
    )
    assert headers["content-type"] == 'application/soap+xml; charset=utf-8; action="urn:q"'
    assert "soapaction" not in headers
    assert b"http://www.w3.org/2003/05/soap-envelope" in body


async def test_multipart_carries_texts_and_files():
    keys = (
        'request_codec = "multipart"\n'
        'request.body = { name = "subject.name", file = { filename = "\'表\\".pdf\'", '
        "content_type = \"'application/pdf'\", "
        'base64 = "subject.name | b64" } }'
    )
    headers, body = await sent(keys)
    told = BytesParser(policy=HTTP).parsebytes(f"Content-Type: {headers['content-type']}\r\n\r\n".encode() + body)
    name, file = told.iter_parts()
    assert name.get_payload(decode=True).decode() == "林<晓>舟"
    assert (file.get_content_type(), file.get_payload(decode=True).decode()) == ("application/pdf", "林<晓>舟")


async def test_a_row_of_csv_holds_no_formula():
    headers, body = await sent('request_codec = "csv"\nrequest.body = { name = "payload.bad", n = "payload.n" }', {
        "payload": {"bad": '=HYPERLINK("x")', "n": -1}
    })  # fmt: skip
    assert headers["content-type"] == "text/csv; charset=utf-8"
    assert list(csv.reader(io.StringIO(body.decode()))) == [["name", "n"], ['\'=HYPERLINK("x")', "-1"]]


async def test_a_text_is_sent_as_it_is():
    headers, body = await sent('charset = "gb18030"\nrequest_codec = "text"\nrequest.body = { text = "subject.name" }')
    assert (headers["content-type"], body.decode("gb18030")) == ("text/plain; charset=gb18030", "林<晓>舟")


# --- what cannot be read --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("codec", "body"),
    [
        ("csv", b"a,b\r\n1\r\n"),
        ("csv", b"a,a\r\n1,2\r\n"),
        ("csv", b"a\r\n" + b"1\r\n" * 5_001),
        ("csv", b"a,b,c,d,e\r\n" + b"1,2,3,4,5\r\n" * 4_001),
        ("csv", b"<html></html>"),
        ("csv", b""),
        ("form", b"a=1&a[b]=2"),
        ("form", b"&".join(b"a=1" for _ in range(1001))),
        ("form", b"no form"),
        ("form", b"a=%ff"),
        ("text", b"\xff"),
        ("soap", b"<a/>"),
        ("xml", b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>"),
        ("json", b""),
    ],
)
async def test_what_is_not_of_the_declared_form_is_a_bad_reply(codec, body):
    answer = await read(f'response_codec = "{codec}"\nreply.fields = {{ all = "." }}', body)
    assert (answer.kind, answer.fields) == ("bad_reply", None)


async def test_a_mapping_that_would_make_too_much_is_a_bad_reply():
    keys = "\n".join(f'reply.fields.f{i} = "."' for i in range(60))
    answer = await read(keys, json.dumps(list(range(500))).encode())
    assert answer.kind == "bad_reply"
    assert "20000 parts" in answer.reason


# --- what is read ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("codec", "charset", "body", "wanted"),
    [
        ("json", "utf-8", b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        ("json", "gb18030", '{"a": "林"}'.encode("gb18030"), {"a": "林"}),
        ("json", "iso-8859-1", '{"a": "é"}'.encode("latin-1"), {"a": "é"}),
        ("xml", "utf-8", b"<r i='1'><a k='2'>x</a></r>", {"@i": "1", "a": "x", "a@k": "2"}),
        ("csv", "gb18030", "姓名,号\r\n林,1\r\n\r\n".encode("gb18030"), [{"姓名": "林", "号": "1"}]),
        ("form", "utf-8", b"a[b]=1&a[c]=2&d=3&d=4&e[]=5", {"a": {"b": "1", "c": "2"}, "d": ["3", "4"], "e": "5"}),
        ("text", "gb18030", "林".encode("gb18030"), {"text": "林"}),
        ("none", "utf-8", b"anything", {}),
    ],
)
async def test_an_answer_is_read_as_declared(codec, charset, body, wanted):
    answer = await read(f'response_codec = "{codec}"\ncharset = "{charset}"\nreply.fields = {{ all = "." }}', body)
    assert answer.fields == {"all": wanted}


async def test_bytes_are_handed_on_with_what_they_are():
    answer = await read(
        'response_codec = "binary"\nreply.fields = { all = "." }', b"\x00\xff", headers=b"Content-Type: image/png\r\n"
    )
    assert answer.fields == {"all": {"content_type": "image/png", "base64": "AP8=", "bytes": 2}}


FAULT_11 = (
    '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><s:Fault>'
    "<faultcode>s:Client.None</faultcode><faultstring>查无此人</faultstring><detail><c>7</c></detail></s:Fault></s:Body></s:Envelope>"
)
FAULT_12 = (
    '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body><s:Fault><s:Code>'
    '<s:Value>s:Client.None</s:Value></s:Code><s:Reason><s:Text xml:lang="zh">查无此人</s:Text></s:Reason>'
    "<s:Detail><c>7</c></s:Detail>"
    "</s:Fault></s:Body></s:Envelope>"
)


@pytest.mark.parametrize("body", [FAULT_11, FAULT_12], ids=["1.1", "1.2"])
@pytest.mark.parametrize("status", [200, 500])
async def test_a_fault_of_either_version_is_read_by_the_same_names(body, status):
    answer = await read(
        'response_codec = "soap"\nreply.fields = { a = "." }\n'
        'errors = [{ path = "Fault.detail.c | int", equals = 7, outcome = "not_found", reason = "Fault.faultstring" }]',
        body.encode(), status,
    )  # fmt: skip
    assert (answer.kind, answer.reason) == ("not_found", "查无此人")


async def test_a_business_error_inside_an_accepted_answer_comes_before_the_mapping():
    keys = (
        'response_codec = "xml"\nreply.fields = { n = "n | int" }\n'
        'errors = [{ path = "outcome", equals = "KO", outcome = "denied", reason = "fault.description" }]'
    )
    answer = await read(
        keys, "<r><outcome>KO</outcome><n>x</n><fault><description>无权</description></fault></r>".encode()
    )
    assert (answer.kind, answer.reason) == ("denied", "无权")


async def test_an_error_case_that_cannot_be_read_does_not_hide_the_next():
    keys = (
        'reply.fields = { n = "n" }\nerrors = [{ path = "code | int", one_of = [1, 2], outcome = "busy" }, '
        '{ path = "fault", exists = true, outcome = "down" }]'
    )
    assert (await read(keys, b'{"code": "x", "fault": "f"}')).kind == "down"
    assert (await read(keys, b'{"code": 2}')).kind == "busy"
    assert (await read(keys, b'{"code": 3, "n": 1}')).fields == {"n": 1}


async def test_problem_details_are_read_whatever_the_answers_are():
    keys = (
        'response_codec = "xml"\nreply.fields = { a = "a" }\n'
        'errors = [{ status = 422, path = "type", equals = "/p/none", outcome = "not_found", reason = "detail" }]'
    )
    body = json.dumps({"type": "/p/none", "detail": "查无此人"}).encode()
    answer = await read(keys, body, 422, b"Content-Type: application/problem+json\r\n")
    assert (answer.kind, answer.reason) == ("not_found", "查无此人")
    assert (await read(keys, body, 422)).kind == "invalid", "one that does not say so is not taken for JSON"


async def test_no_content_is_the_word_that_there_is_no_record():
    keys = 'accept = [200, 204]\nreply.found = "data"\nreply.fields = { a = "data.a" }'
    assert (await read(keys, b"", 204)).kind == "not_found"
    assert (await read(keys, b'{"data": {"a": 1}}')).fields == {"a": 1}
    assert (await read('accept = [204]\nreply.fields = { a = "a" }', b"", 204)).fields == {"a": None}


async def test_what_stands_in_headers_is_read():
    answer = await read(
        'accept = [201]\nreply.fields = { a = "a" }\nreply.header_fields = { etag = "ETag", gone = "X-None" }\n'
        'reply.reference_header = "Location"',
        b'{"a": 1}', 201, b'Location: https://other.example/v1/cases/A%2F7/\r\nETag: "v1"\r\n',
    )  # fmt: skip
    assert (answer.fields, answer.reference) == ({"a": 1, "etag": '"v1"', "gone": None}, "A/7")


# --- general truths -------------------------------------------------------------------------------------------------

cells = st.text(st.characters(codec="utf-8", exclude_characters="\x00\ufeff"), max_size=12)
leaves = st.dictionaries(st.from_regex(r"[a-z]{1,5}", fullmatch=True), cells, min_size=1, max_size=4)
nested = st.recursive(leaves, lambda inner: st.dictionaries(st.sampled_from("abc"), inner, min_size=1), max_leaves=6)


@given(nested)
def test_a_form_survives_the_way_there_and_back(made):
    assert forms.read(forms.write(made, "utf-8"), "utf-8") == made


@given(st.lists(st.fixed_dictionaries({"a": cells, "b": cells}), min_size=1, max_size=5))
def test_no_cell_begins_a_formula_and_rows_stay_rows(rows):
    read_back = tables.read(tables.write(rows, "utf-8"), "utf-8")
    assert len(read_back) == len(rows)
    for row, wrote in zip(read_back, rows, strict=True):
        for name, cell in row.items():
            assert not cell.startswith(("=", "+", "-", "@", "\t"))
            assert cell.removeprefix("'") == wrote[name].removeprefix("'") or cell == wrote[name]


@given(cells, cells, st.binary(max_size=200))
def test_no_part_breaks_out_of_a_multipart_body(text, filename, content):
    file = {"filename": filename, "base64": base64.b64encode(content).decode()}
    body = multipart.write({"t": text, "f": file}, "onestop-mark", "utf-8")
    assert body.count(b"--onestop-mark") == 3
    assert body.split(b"\r\n--onestop-mark")[1].endswith(b"\r\n\r\n" + content)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(body):
    for read_body in (forms.read, tables.read):
        try:
            read_body(body, "utf-8")
        except BadBody as refused:
            reason = refused.reason
        else:
            reason = "read"
        assert reason
