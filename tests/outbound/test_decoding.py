"""Bodies are read as declared, or not at all. The hostile ones are in `hostile.BODIES`."""

import json
import time
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from onestop.outbound.decoding import decode_json, decode_text, decode_xml
from onestop.outbound.errors import BadBody


class Person(msgspec.Struct):
    name: str
    age: int


def refused(call: Any, *args: Any, **options: Any) -> tuple[str, str]:
    with pytest.raises(BadBody) as caught:
        call(*args, **options)
    return caught.value.reason, caught.value.detail


def test_text_is_read_by_the_declared_charset_and_no_other() -> None:
    assert decode_text("云溪市".encode()) == "云溪市"
    assert decode_text("㐂镕€𠮷".encode("gb18030"), "gbk") == "㐂镕€𠮷"
    assert refused(decode_text, "云溪市".encode("gb18030"))[0] == "charset"
    assert refused(decode_text, b"\xff", "gb18030")[0] == "charset"
    assert decode_text(b"+ADw-script+AD4-") == "+ADw-script+AD4-"


def test_a_byte_order_mark_is_dropped_from_utf_8_only() -> None:
    assert decode_text(b"\xef\xbb\xbf{}") == "{}"
    assert decode_json(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}
    assert refused(decode_text, "\ufeff{}".encode("gb18030"), "gb18030")[0] == "byte_order_mark"


def test_json_in_gb_18030_is_read_though_its_bytes_hold_brackets_and_quotes() -> None:
    value = {"name": "俒乕乗乣亅儀" * 20, "note": '张\\三"[{'}
    assert decode_json(json.dumps(value, ensure_ascii=False).encode("gb18030"), charset="gb18030") == value


def test_a_wrong_shape_tells_the_path_and_never_the_value() -> None:
    body = '{"name": "张三", "age": "990100199001011234"}'.encode()
    assert refused(decode_json, body, Person) == ("json_shape", "$.age")
    assert refused(decode_json, b"[]", Person) == ("json_shape", "$")
    assert decode_json('{"name": "张三", "age": 3}'.encode(), Person) == Person("张三", 3)
    with pytest.raises(BadBody) as caught:
        decode_json(body, Person)
    assert caught.value.__cause__ is None
    assert "9901" not in f"{caught.value!s} {caught.value!r}"


def test_numbers_are_bounded_and_long_serials_in_strings_are_not_numbers() -> None:
    serial = "9" * 64
    assert decode_json(f'["{serial}", "\\"{serial}", "\\\\", "{serial}"]'.encode())[0] == serial
    assert decode_json(b"[9223372036854775807, -9223372036854775808]") == [2**63 - 1, -(2**63)]
    assert decode_json(b"[0.12345678901234567890123]") == [0.12345678901234568]
    for number in (b"9223372036854775808", b"-9223372036854775809", b"1" * 20, b"0." + b"1" * 50, b"1" * 400 + b"e1"):
        assert refused(decode_json, b'{"a\\"": ' + number + b"}")[0] == "number"


def test_nesting_is_counted_outside_strings() -> None:
    assert decode_json(b"[" * 32 + b"]" * 32)
    assert decode_json(b'["' + b"[{" * 500 + b'", "\\"' + b"[" * 99 + b'"]')
    assert refused(decode_json, b"[" * 33 + b"]" * 33)[0] == "too_deep"
    assert refused(decode_json, b'{"a":' * 40 + b"1" + b"}" * 40)[0] == "too_deep"
    assert refused(decode_json, b"[[[]]]", max_depth=2)[0] == "too_deep"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(alphabet='[]{}"\\/,:0a云\n', max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=40,
)


def depth(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max((depth(item) for item in inner), default=0)


def has_nul(value: Any) -> bool:
    return "\\u0000" in json.dumps(value).replace("\\\\", "")


@given(JSON, st.integers(1, 6), st.booleans())
def test_every_honest_document_within_the_depth_is_read_and_every_deeper_one_refused(
    value: Any, most: int, ascii_: bool
) -> None:
    body = json.dumps(value, ensure_ascii=ascii_).encode("utf-8", "surrogatepass")
    if has_nul(value):
        assert refused(decode_json, body, max_depth=most)[0] == "nul"
    elif depth(value) > most:
        assert refused(decode_json, body, max_depth=most)[0] == "too_deep"
    else:
        assert decode_json(body, max_depth=most) == value


@given(st.binary(max_size=100) | st.text(alphabet='[]{}"\\,:09.eE-a<>&;', max_size=60).map(str.encode))
def test_garbage_is_read_or_refused_and_nothing_else_escapes(garbage: bytes) -> None:
    for decode in (decode_json, decode_xml, decode_text):
        for charset in ("utf-8", "gb18030"):
            with suppress(BadBody):
                decode(garbage, charset=charset)  # type: ignore[operator]


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 2000000 + b"]" * 2000000,
        b'"' * 4000000,
        b"\\" * 4000000,
        b"[1" + b"1" * 4000000 + b"]",
        b'[{"' * 1000000,
        b"[" + (b"1" * 19 + b" ") * 200000,
        b'"\\u0000' * 500000,
        b" " * 4000000,
    ],
)
def test_the_largest_bad_document_is_refused_in_a_moment(body: bytes) -> None:
    started = time.process_time()
    refused(decode_json, body)
    assert time.process_time() - started < 0.3


def test_xml_is_read_by_the_declared_charset_whatever_it_says_of_itself() -> None:
    for said in ("GB18030", "UTF-16", "rot13", "utf-7"):
        root = decode_xml(f'<?xml version="1.0" encoding="{said}"?><税 a="1">款</税>'.encode())
        assert (root.tag, root.text, root.get("a")) == ("税", "款", "1")
    root = decode_xml('<?xml version="1.0" encoding="UTF-8"?><a>款</a>'.encode("gb18030"), charset="gb18030")
    assert root.text == "款"
    assert refused(decode_xml, "<a>款</a>".encode("gb18030"))[0] == "charset"


def test_comments_and_instructions_do_not_split_text() -> None:
    assert decode_xml(b"<a>1<!-- x -->2<?x y?>3</a>").text == "123"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b"{}", "xml_malformed"),
        (b"<a>", "xml_malformed"),
        (b"<a></b>", "xml_malformed"),
        (b"<html><body><p>Log in</body></html>", "xml_malformed"),
        (b"<a>&unknown;</a>", "xml_malformed"),
        (b"<a>&#0;</a>", "xml_malformed"),
        (b'<n:a xmlns:n="the office"><b></n:a>', "xml_malformed"),
        (b'<n:a xmlns:n="the office" n:b="1" n:b="2"/>', "xml_malformed"),
        (b'<a xmlns="the office"><n:b/></a>', "xml_malformed"),
        (b'<a xmlns="the office">' + b"<a>" * 300 + b"</a>" * 301, "xml_malformed"),
        (b"<a>\0</a>", "nul"),
        (b"<a>" * 300 + b"</a>" * 300, "xml_malformed"),
        (b"<a>" + b"<b/>" * 200_000 + b"</a>", "too_many_parts"),
        (b"<a " + b" ".join(b'b%d=""' % i for i in range(100_001)) + b"/>", "too_many_parts"),
        (b"<a>" + b"x" * 10_000_001 + b"</a>", "xml_malformed"),
        (b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>', "doctype"),
        (b'<!DOCTYPE a [<!ENTITY b "bb"><!ENTITY c "&b;&b;">]><a>&c;</a>', "doctype"),
        (b'<!DOCTYPE a SYSTEM "http://127.0.0.1/a.dtd"><a/>', "doctype"),
        (b'<?xml version="1.0" encoding="UTF-16"?>' + "<a/>".encode("utf-16"), "charset"),
    ],
    ids=range(21),
)
def test_bad_xml_is_refused_for_its_reason(body: bytes, reason: str) -> None:
    assert refused(decode_xml, body)[0] == reason


@pytest.mark.parametrize("space", ["urn:the office", "办事&gt;1", "http://a:b/", "%zz"])
def test_a_namespace_need_not_be_an_address(space: str) -> None:
    root = decode_xml(f'<n:a xmlns:n="{space}"><!-- x --><n:b>税</n:b></n:a>'.encode())
    assert [child.text for child in root] == ["税"]


def test_xinclude_is_not_followed() -> None:
    root = decode_xml(b'<a xmlns:x="http://www.w3.org/2001/XInclude"><x:include href="/etc/passwd" parse="text"/></a>')
    assert b"root" not in etree.tostring(root)
