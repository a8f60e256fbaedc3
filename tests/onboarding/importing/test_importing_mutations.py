"""Whatever is done to a document, the answer is findings or a clear refusal, and it comes soon."""

import time

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from onestop.gateway.manifest import parse
from onestop.onboarding.importing.errors import DocumentTooLarge, DocumentUnusable
from onestop.onboarding.importing.service import import_document
from tests.onboarding.importing.conftest import ANSWERS, DOCUMENTS

SEEDS = [
    (path.name, path.read_bytes())
    for path in sorted(DOCUMENTS.rglob("*"))
    if path.suffix in (".yaml", ".wsdl", ".json", ".xsd")
]
BESIDE = {
    path.relative_to(DOCUMENTS / "wsdl").as_posix(): path.read_bytes() for path in (DOCUMENTS / "wsdl").rglob("*.*")
}
PIECES = [
    *(b"{", b"}", b"[", b"]", b'"', b"'", b":", b",", b"\n", b"  ", b"- ", b"{}", b"[]", b"''", b"null", b"~", b"true"),
    *(
        b"&a ",
        b"*a ",
        b"<<: *a",
        b"{$ref: '#'}",
        b"$ref: '#/paths'",
        b"1e999",
        b"9" * 60,
        b"\x00",
        b"\xff\xfe",
        b"\xc3\x28",
    ),
    *(
        b"<a>",
        b"</a>",
        b"&amp;",
        b"&x;",
        b"<![CDATA[",
        b"]]>",
        b"!!binary ",
        b"\\ud800",
        b"required: true",
        b"in: body",
    ),
    *(
        b"allOf: [{$ref: '#/definitions/HjxxResult'}]",
        b"type: [string, 7]",
        b"enum: {a: 1}",
        b"properties: []",
        b"items: 5",
    ),
    *(b'type="t:Person"', b'ref="t:GetPerson"', b'maxOccurs="unbounded"', b'base="Person"'),
]


@st.composite
def mutated(draw: st.DrawFn) -> tuple[str, bytes]:
    name, data = draw(st.sampled_from(SEEDS))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(data)))
        match draw(st.sampled_from(["cut", "drop", "flip", "insert", "splice", "repeat"])):
            case "cut":
                data = data[:at] if at > len(data) // 2 else data[at:]
            case "drop":
                data = data[:at] + data[at + draw(st.integers(1, 60)) :]
            case "flip":
                data = data[:at] + bytes([draw(st.integers(0, 255))]) + data[at + 1 :]
            case "insert":
                data = data[:at] + draw(st.sampled_from(PIECES)) + data[at:]
            case "splice":
                other = draw(st.sampled_from(SEEDS))[1]
                start = draw(st.integers(0, len(other)))
                data = data[:at] + other[start : start + 200] + data[at:]
            case "repeat":
                data = data[:at] + data[max(0, at - 80) : at] * draw(st.integers(1, 20)) + data[at:]
    return name, data


@given(document=mutated())
@example(document=("a.yaml", b"swagger: '2.0'\npaths: {/a: {get: {parameters: {x: 1}, responses: [1]}}}"))
@example(document=("a.yaml", b"openapi: 3.0.0\npaths: {/a: {get: {responses: {200: {content: {a/json: 5}}}}}}"))
@example(document=("a.yaml", b"openapi: 3.0.0\npaths: {/a: {$ref: '#/paths/~1a'}, /b: {get: {tags: 5, security: 5}}}"))
@example(document=("a.yaml", b"openapi: 3.0.0\npaths: {/a: {get: {parameters: [{name: a, in: [q]}], responses: {}}}}"))
@settings(
    max_examples=250,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
def test_a_damaged_document_gives_findings_or_a_refusal(document: tuple[str, bytes]) -> None:
    name, data = document
    started = time.monotonic()
    try:
        found = import_document(data, name, ANSWERS | {"idempotent.apply": "none"}, BESIDE)
    except (DocumentUnusable, DocumentTooLarge):
        pass
    else:
        assert "manifest_unusable" not in {finding.code for finding in found.findings}, found.findings
        if found.manifest_toml is not None:
            assert parse(found.manifest_toml.encode()).operations
        else:
            assert found.open
    assert time.monotonic() - started < 10
