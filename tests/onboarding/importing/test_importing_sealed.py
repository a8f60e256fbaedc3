"""Answers that are compact JOSE texts: recognised, opened by the manifest that was written, or asked about."""

import json
from typing import Any

import pytest

from onestop.gateway.bodies import protection
from onestop.gateway.manifest import Jose, Operation, parse
from onestop.gateway.operations import Prepared
from onestop.onboarding.importing.models import Imported
from onestop.outbound.models import Reply
from tests.adapters.servers import DOCUMENTS
from tests.onboarding.importing.conftest import imported

TEXT = {"type": "string"}
RECORD = {"type": "object", "properties": {"personNumber": TEXT, "status": TEXT}}
JWS = "eyJhbGciOiJIUzI1NiJ9.e30.c2ln"
JWE = "eyJhbGciOiJkaXIifQ..aXY.Yw.dGFn"


def read(schema: Any, media: str = "application/json", about: str = "", **told: Any) -> Imported:
    answer = {"description": "", "content": {media: {"schema": schema}}}
    operation = {"operationId": "getRecord", "description": about, "responses": {"200": answer}}
    document = {"openapi": "3.1.0", "info": {"title": "Sealed"}, "paths": {"/r": {"get": operation}}}
    return imported(json.dumps(document), **told)


def only(found: Imported) -> Operation:
    assert found.manifest_toml is not None, found.open
    (operation,) = parse(found.manifest_toml.encode()).operations
    return operation


def jose(found: Imported) -> Jose:
    told = only(found).reply.protection
    assert isinstance(told, Jose)
    return told


def test_a_document_that_tells_its_layers_and_algorithms_is_taken_at_its_word() -> None:
    found = imported((DOCUMENTS / "sealed.openapi.yaml").read_bytes())
    told = jose(found)
    assert told.layers == ("jwe", "jws")
    assert (told.key_management, told.content_encryption, told.algorithms) == (("ECDH-ES",), ("A256GCM",), ("ES256",))
    assert only(found).accept_type == "application/jose"
    assert {"decrypt_key", "verify_key"} <= set(found.environment)
    assert {"protection.get_attributes"} <= {question.id for question in found.questions}
    assert not [example for example in only(found).examples if example.outcome == "ok"]


@pytest.mark.parametrize("media", ["application/jose", "application/jwt", "application/vnd.office+jwt"])
def test_a_media_type_alone_leaves_the_layers_an_open_question(media: str) -> None:
    assert "protection.get_record" in read(TEXT, media).open
    assert jose(read(TEXT, media, **{"protection.get_record": "jws"})).layers == ("jws",)
    assert only(read(TEXT, media, **{"protection.get_record": "none"})).reply.protection is None


def test_a_sealed_member_is_opened_and_its_content_read() -> None:
    data = {
        "type": "string",
        "contentMediaType": "application/jwt",
        "contentSchema": RECORD,
        "description": "JWS, HS256",
    }
    schema = {"type": "object", "properties": {"code": {"enum": ["OK", "KO"]}, "message": TEXT, "data": data}}
    found = read(schema)
    made = only(found)
    assert jose(found).member == "data"
    assert made.reply.fields == {"person_number": "personNumber", "status": "status"}
    assert [(case.path, case.one_of) for case in made.errors] == [("code", ("KO",))]
    secret = "0123456789abcdef0123456789abcdef"
    sealing = Jose(layers=("jws",), algorithms=("HS256",))
    sealed = protection.sealer(sealing, {"sign_key": secret})(b'{"personNumber": "990101199001010017", "status": "A"}')
    body = json.dumps({"code": "OK", "data": sealed.decode()}).encode()
    prepared = Prepared(parse((found.manifest_toml or "").encode()), made, {"verify_key": secret})
    answer = prepared.answer(Reply(200, [], body, False, 0, 0, 0, 0, 0), None)
    assert answer.fields == {"person_number": "990101199001010017", "status": "A"}


@pytest.mark.parametrize(
    ("data", "layers"),
    [
        ({"example": JWS}, ("jws",)),
        ({"example": JWE}, ("jwe",)),
        ({"format": "jwe", "description": "JWE"}, ("jwe",)),
        ({"pattern": r"^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$"}, ("jws",)),
        ({"pattern": r"^[\w-]+(\.[\w-]*){4}$"}, ("jwe",)),
        ({"description": "A JWE with a JWS inside"}, ("jwe", "jws")),
    ],
)
def test_a_compact_text_is_known_by_form_example_or_word(data: dict[str, Any], layers: tuple[str, ...]) -> None:
    assert jose(read({"type": "object", "properties": {"payload": TEXT | data}})).layers == layers


def test_a_compact_text_beside_other_members_is_only_asked_about() -> None:
    schema = {"type": "object", "properties": {"name": TEXT, "proof": TEXT | {"example": JWS}, "born": TEXT}}
    found = read(schema)
    assert only(found).reply.protection is None
    assert "protection.get_record" in {question.id for question in found.questions}
    assert jose(read(schema, **{"protection.get_record": "jws"})).member == "proof"


def test_a_token_is_carried_on_and_not_opened() -> None:
    found = read({"type": "object", "properties": {"access_token": TEXT | {"example": JWS}}})
    assert only(found).reply.protection is None
    assert not [question for question in found.questions if question.id.startswith("protection")]


def test_a_member_is_a_token_by_its_own_name_and_not_by_that_of_its_schema() -> None:
    there = "#/paths/~1r/get/responses/200/content/application~1json/schema/$defs/Token"
    schema = {"$defs": {"Token": TEXT | {"example": JWS}}, "type": "object", "properties": {"payload": {"$ref": there}}}
    found = read(schema)
    assert jose(found).member == "payload"


def test_shared_secrets_are_never_listed_beside_key_pairs() -> None:
    found = read(TEXT, "application/jwt", "Signed JWT, HS256 or ES256")
    assert jose(found).algorithms == ("ES256",)
