"""What cannot be read is refused in words with its line; what is merely odd is read and named."""

import gzip
import io
import json
import re
import socket
import time
import zipfile
from typing import Any

import pytest

from onestop.onboarding.importing.errors import DocumentTooLarge, DocumentUnusable
from onestop.onboarding.importing.unpacking import MAX_BYTES
from onestop.texts import LANGUAGES, catalogue
from tests.onboarding.importing.conftest import DOCUMENTS, SMALL, imported

YAML = "openapi: 3.0.0\ninfo: {title: Y}\npaths:\n  /a:\n    get:\n      responses: {200: {description: ok}}\n"
BOMB = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 10)}]\n" for i in range(9)
)
LAUGHS = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><definitions>&b;</definitions>'


def zipped(**files: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return made.getvalue()


def refused(document: bytes | str, name: str = "document") -> DocumentUnusable:
    with pytest.raises(DocumentUnusable) as fault:
        imported(document, name)
    return fault.value


@pytest.mark.parametrize(
    ("document", "reason", "line"),
    [
        ("", "empty", None),
        (" \n\n", "empty", None),
        ('{"openapi": "3.0.0"\n "paths": {}}', "json", 2),
        ("[" * 10_000, "too_deep", 1),
        ('{"a":' * 10_000, "too_deep", 1),
        ("a: " + "[" * 10_000, "too_deep", 1),
        ("a:\n\tb: 1", "yaml", 2),
        ("a: *nobody", "yaml_alias", 1),
        ("a: &a [*a]", "yaml_alias", 1),
        ("? [a, b]\n: c", "yaml_key", 1),
        (BOMB, "yaml_bomb", 6),
        (LAUGHS, "doctype", 1),
        ("<a>" * 10_000, "xml", 1),
        ("<definitions>\n<a></b></definitions>", "xml", 2),
        ("<schema xmlns='http://www.w3.org/2001/XMLSchema'/>", "other_format", None),
        ("<description xmlns='http://www.w3.org/ns/wsdl'/>", "other_format", None),
        ('{"openapi": "3.0.0", "paths": {}}', "no_operations", None),
        ("[1, 2]", "not_a_document", None),
        ("just words", "not_a_document", None),
        ("asyncapi: 2.0.0\nchannels: {}", "other_format", None),
        ("swaggerVersion: '1.2'\napis: []", "other_format", None),
        ('{"info": {}, "item": []}', "other_format", None),
        ("<!DOCTYPE html>\n<html><head><title>502 Bad Gateway</title></head></html>", "web_page", None),
        ("<html><body><p>Sign in<br></body></html>", "web_page", None),
        ("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n", "pointer", None),
        ('{"status": 404, "error": "Not Found"}', "unknown_format", None),
        ('{"openapi": "3.1.0", "webhooks": {"a": {"post": {}}}}', "only_webhooks", None),
        ("openapi: 3.0.0\nx: a\0b", "nul", 2),
        (b"\xff\xfea\xd8", "charset", 1),
        (b'<?xml version="1.0" encoding="ebcdic-x"?><a/>', "charset_unknown", None),
        (b"PK\x03\x04 no archive", "zip", None),
        (zipped(**{"a.txt": b"x"}), "zip_no_document", None),
        (zipped(**{"a.json": json.dumps(SMALL).encode(), "b.json": json.dumps(SMALL).encode()}), "zip_which", None),
        (zipped(**{"a.json": b" " * (MAX_BYTES + 1)}), "zip_too_large", None),
        (zipped(**{f"{i}.json": b"{}" for i in range(400)}), "zip_too_many", None),
    ],
)
def test_what_cannot_be_read_is_refused_with_reason_and_line(document: Any, reason: str, line: int | None) -> None:
    started = time.process_time()
    fault = refused(document)
    assert (fault.reason, fault.line) == (reason, line)
    assert time.process_time() - started < 3
    for lang in LANGUAGES:
        sentence = catalogue(lang)[f"field.import.{reason}"].format_map(fault.told)
        assert not re.search(r"\{\w+\}", sentence)


def test_a_document_of_twenty_megabytes_is_refused_unread() -> None:
    with pytest.raises(DocumentTooLarge):
        imported(b" " * 20_000_000)


@pytest.mark.parametrize("charset", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "gb18030"])
@pytest.mark.parametrize("kind", ["json", "yaml"])
def test_every_usual_charset_is_read(charset: str, kind: str) -> None:
    title = "人口信息共享交换平台接口文档"
    text = (
        json.dumps(SMALL | {"info": {"title": title}}, ensure_ascii=False)
        if kind == "json"
        else YAML.replace("Y", title)
    )
    assert imported(text.encode(charset)).title == title


def test_latin_letters_are_not_taken_for_chinese() -> None:
    assert imported(YAML.replace("title: Y", "title: Société").encode("cp1252")).title == "Société"


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_line_endings_change_nothing_but_the_digest(ending: str) -> None:
    made, same = imported(YAML.replace("\n", ending)).manifest_toml, imported(YAML).manifest_toml
    assert made is not None
    assert same is not None
    assert made.splitlines()[1:] == same.splitlines()[1:]


def test_comments_and_trailing_commas_in_json_are_read_past_and_named() -> None:
    text = (
        json.dumps(SMALL, indent=1)
        .replace('"Small"', '"a // no comment, }" /* but this */,')
        .replace('"openapi"', '// said by hand\n "openapi"')
    )
    found = imported(text, "a.json")
    assert found.title == "a // no comment, }"
    assert [(f.code, f.spot.line) for f in found.findings] == [("json_loose", 2), ("answer_undescribed", 9)]


def codes(document: str, **more: Any) -> dict[str, int | None]:
    return {f.code: f.spot.line for f in imported(document, **more).findings}


def test_a_key_that_stands_twice_is_named_with_its_line() -> None:
    assert codes(YAML + "info: {title: Z}\n")["duplicate_key"] == 7
    assert imported(YAML + "info: {title: Z}\n").title == "Z"
    doubled = json.dumps(SMALL, indent=0).replace('"openapi": "3.0.1",', '"openapi": "3.0.0",\n"openapi": "3.0.1",')
    assert codes(doubled)["duplicate_key"] == 3


def test_a_remote_reference_is_named_by_its_spot_and_never_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("an outgoing connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    schema = "content: {application/json: {schema: {$ref: 'http://127.0.0.1:9/x.json#/A'}}}"
    found = imported(YAML.replace("description: ok", schema))
    spots = {f.code: f.spot for f in found.findings}
    assert spots["ref_remote"].pointer == "/paths/~1a/get/responses/200/content/application~1json/schema"
    assert spots["ref_remote"].line == 6
    wsdl = (DOCUMENTS / "wsdl/register.wsdl").read_text().replace("binding.wsdl", "http://127.0.0.1:9/binding.wsdl")
    assert refused(wsdl, "register.wsdl").reason == "no_operations"


def test_yaml_is_read_as_it_is_meant_here() -> None:
    schema = "{type: string, enum: [NO, no, on, 0123, 2024-01-01, 1_000, '5']}"
    text = YAML.replace(
        "description: ok", "content: {application/json: {schema: {type: object, properties: {c: " + schema + "}}}}"
    )
    made = imported(text).manifest_toml or ""
    assert 'enum = ["NO", "no", "on", "0123", "2024-01-01", "1_000", "5"]' in made


def test_numbers_beyond_use_and_broken_characters_do_no_harm() -> None:
    text = json.dumps(SMALL)[:-1] + ', "x": ' + "9" * 5000 + ', "y": 1e999, "z": "\\ud800\\u0000", "n": NaN}'
    assert imported(text).title == "Small"
    assert imported(YAML + "x: " + "9" * 5000 + '\ny: 1e999\nz: "\\0"\n').title == "Y"


def test_foreign_tags_make_nothing() -> None:
    found = codes(YAML + "x: !!python/object/apply:os.system ['false']\n")
    assert found["yaml_tag"] == 7


def test_an_archive_is_read_with_what_it_holds() -> None:
    files = {
        f"in/{path.relative_to(DOCUMENTS / 'wsdl').as_posix()}": path.read_bytes()
        for path in (DOCUMENTS / "wsdl").rglob("*.*")
    }
    found = imported(zipped(**files), "register.zip")
    assert [o.id for o in found.operations] == ["get_person", "register_move"]


def test_two_megabytes_take_less_than_three_seconds() -> None:
    schema = {"type": "object", "properties": {f"p{i}": {"type": "string", "description": "x" * 60} for i in range(40)}}
    paths = {
        f"/r{i}/{{id}}": {"get": {"responses": {"200": {"content": {"application/json": {"schema": schema}}}}}}
        for i in range(540)
    }
    text = json.dumps(SMALL | {"paths": paths})
    assert len(text) > 2_000_000
    started = time.process_time()
    assert imported(text).manifest_toml is not None
    assert time.process_time() - started < 3


@pytest.mark.parametrize(
    ("document", "name"),
    [
        ("#%RAML 1.0\ntitle: T\n/a:\n  get:\n", "RAML"),
        ("FORMAT: 1A\n# My API\n", "API Blueprint"),
        ("# people\ntype Query {\n  person(id: ID!): Person\n}\n", "GraphQL"),
        ('// people\nsyntax = "proto3";\npackage x;\n', "Protocol Buffers"),
        ('window.spec = {"openapi": "3.0.0"};', "JavaScript"),
        ('callback({"openapi": "3.0.0"})', "JavaScript"),
        (b"%PDF-1.4\n%\xe2\xe3\xcf\xd3", "PDF"),
        ('{"__export_format": 4, "resources": []}', "Insomnia"),
        ('{"log": {"entries": []}}', "HAR"),
        ('{"$schema": "http://json-schema.org/draft-07/schema#"}', "JSON Schema"),
        ('{"kind": "discovery#restDescription", "resources": {}}', "Google API Discovery"),
        ('<application xmlns="http://wadl.dev.java.net/2009/02"/>', "WADL"),
    ],
)
def test_a_document_of_another_kind_is_called_by_its_name(document, name):
    fault = refused(document)
    assert (fault.reason, fault.told["name"]) == ("other_format", name)


def test_a_compressed_document_is_opened_and_a_bomb_is_not() -> None:
    document = json.dumps(SMALL).encode()
    assert imported(gzip.compress(document), "small.json.gz").title == "Small"
    with pytest.raises(DocumentTooLarge):
        imported(gzip.compress(b" " * (MAX_BYTES + 1)))
    assert refused(gzip.compress(document)[:3] + b"broken").reason == "zip"


def test_a_document_that_resembles_another_kind_is_read() -> None:
    head = "# type Query { is only a comment }\n"
    assert imported(head + YAML).title == "Y"
