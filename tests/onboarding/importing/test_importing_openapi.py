"""What is inferred from OpenAPI documents of all three versions, and that the gateway reads what was written."""

import json
from typing import Any

import pytest

from onestop.gateway.manifest import Manifest, Operation, parse
from onestop.gateway.operations import Prepared
from onestop.onboarding.conformance_reads import schema_faults
from onestop.onboarding.importing.models import Imported
from onestop.outbound.models import Reply
from tests.onboarding.importing.conftest import imported, read

SURE = {"idempotent.apply": "none"}
YES = {"type": "object", "properties": {"yes": {"type": "boolean"}}}


def manifest(found: Imported) -> Manifest:
    assert found.open == ()
    assert found.manifest_toml is not None
    return parse(found.manifest_toml.encode())


def operations(found: Imported) -> dict[str, Operation]:
    return {operation.id: operation for operation in manifest(found).operations}


def one(operation: dict[str, Any], *, path: str = "/x", method: str = "get", **more: Any) -> Imported:
    document = {"openapi": "3.0.3", "info": {"title": "One"}, "paths": {path: {method: operation}}} | more
    return imported(json.dumps(document), **{"idempotent.do_it": "none", "answer.do_it": "at_once"})


def answers(schema: Any, status: str = "200", media: str = "application/json") -> dict[str, Any]:
    return {"operationId": "doIt", "responses": {status: {"description": "", "content": {media: {"schema": schema}}}}}


# --- Chinese Swagger 2 ------------------------------------------------------------------------------------------------


def test_a_chinese_platform_is_understood() -> None:
    found = read("huji.swagger.yaml", **SURE)
    made = operations(found)
    assert {name: one.kind for name, one in made.items()} == {
        "post_hjxx_query": "query",
        "apply": "submit",
        "get_ywsl_jd": "status",
    }
    query = made["post_hjxx_query"]
    assert query.path == "/hjxx/query"
    assert query.request.body == {
        "sfzh": "subject.number",
        "xm": "subject.name",
        "cxrq": "payload.cxrq | day(%Y%m%d)",
    }
    assert query.reply.found == "data"
    assert query.reply.subject == "data.sfzh"
    assert query.reply.as_of == "data.gxsj | instant"
    assert query.reply.fields["户籍地址"] == "data.户籍地址"
    assert query.reply.fields["jtcy"]["each"] == "data.jtcy"
    assert query.reply.person_numbers == ("sfzh",)
    assert query.errors[0].one_of == ("500",)
    assert query.sensitivity == "sensitive"
    assert manifest(found).codes["xb"] == {"1": "男", "2": "女"}


def test_its_submission_is_found_again_by_state() -> None:
    made = operations(read("huji.swagger.yaml", **{"idempotent.apply": "key"}))
    apply = made["apply"]
    assert apply.request.body is not None
    assert apply.request.body["lsh"] == "key"
    assert apply.request.body["fj"] == {"each": "payload.fj", "fields": {"mc": "mc", "url": "url"}}
    assert apply.reply.reference == "data.slbh"
    assert apply.reply.outcome is not None
    assert apply.reply.outcome.map == {"01": "pending", "02": "completed", "03": "declined"}
    assert apply.answer == "poll"
    assert apply.poll is not None
    assert apply.poll.operation == "get_ywsl_jd"
    assert made["get_ywsl_jd"].request.query == {"slbh": "reference"}


def test_personal_members_are_told_with_reasons() -> None:
    found = read("huji.swagger.yaml", **SURE)
    query = next(operation for operation in found.operations if operation.id == "post_hjxx_query")
    told = {(field.place, field.path): (field.what, field.sensitivity) for field in query.personal}
    assert told["request", "sfzh"] == ("id_number", "sensitive")
    assert told["reply", "jtcy.*.xm"] == ("name", "personal")
    assert told["reply", "户籍地址"] == ("address", "personal")
    assert all(field.why.zh and field.why.en for field in query.personal)


# --- OpenAPI 3.1 ------------------------------------------------------------------------------------------------------


def test_a_modern_document_is_understood() -> None:
    found = read("permits.openapi31.yaml")
    made = operations(found)
    assert {name: one.kind for name, one in made.items()} == {
        "search_permits": "query",
        "create_permit": "submit",
        "get_permit": "status",
        "withdraw_permit": "cancel",
    }
    search = made["search_permits"]
    assert search.accept == (200, 201, 202)
    assert search.accept_type == "application/hal+json"
    assert search.request.headers == {"X-Tenant": "'north'"}
    assert search.request.query == {"bsn": "subject.number", "active": "payload.active"}
    assert search.paging is not None
    assert (search.paging.style, search.paging.next, search.paging.items) == (
        "cursor", "next_cursor", "_embedded.permits",
    )  # fmt: skip
    permit = search.reply.fields["permits"]["fields"]
    assert permit["owner"]["national_id"] == "owner.nationalId"
    assert "secret" not in permit
    assert manifest(found).codes["country"] == {"NO": "no", "SE": "se"}
    probe = manifest(found).probe
    assert probe is not None
    assert probe.path == "/health"


def test_its_submission_keeps_the_key_and_the_vendor_type() -> None:
    create = operations(read("permits.openapi31.yaml"))["create_permit"]
    assert create.idempotent == "key"
    assert create.request.headers["Idempotency-Key"] == "key"
    assert create.content_type == "application/vnd.permits+json;version=2"
    assert create.request.body is not None
    assert "id" not in create.request.body
    assert create.request.body["applicant"]["fullName"] == "payload.applicant.full_name"
    assert create.reply.reference == "permit_id"
    assert create.reply.outcome is not None
    assert create.reply.outcome.map == {
        "received": "pending",
        "granted": "completed",
        "refused": "declined",
        "moreInfo": "correction",
    }
    assert {case.status: (case.outcome, case.reason) for case in create.errors} == {
        409: ("declined", "detail"),
        422: ("invalid", "detail"),
    }
    values = create.examples[0].values["payload"]
    assert values["started"] == "2025-03-01"
    assert values["parts"] == [{"what": "gate"}]


def test_client_credentials_are_preferred_and_their_address_is_told() -> None:
    found = read("permits.openapi31.yaml")
    auth = manifest(found).auth
    assert (auth.token_path, auth.scope) == ("/token", "read write")  # type: ignore[union-attr]
    assert found.environment["url"] == "https://north.permits.example.org/v2"
    assert "https://login.example.org/token" in found.environment["token_url"]


def test_an_undeclared_place_a_circle_and_webhooks_are_named() -> None:
    found = {finding.code: finding.spot for finding in read("permits.openapi31.yaml").findings}
    assert found["place_undeclared"].pointer == "/paths/~1permits~1{permitId}/delete"
    assert found["webhooks"].line is not None
    assert "schema_circle" in found


@pytest.mark.parametrize("name", ["huji.swagger.yaml", "permits.openapi31.yaml"])
def test_the_gateway_reads_every_good_answer_that_was_recorded(name: str) -> None:
    made = manifest(read(name, **SURE))
    for operation in made.operations:
        for example in operation.examples:
            if example.outcome != "ok" or not example.body:
                continue
            number = example.values.get("subject", {}).get("number") if operation.reply.subject else None
            answer = Prepared(made, operation).answer(
                Reply(example.status, [], example.body.encode(), False, 0, 0, 0, 0, 0), number
            )
            assert answer.kind == "ok", (operation.id, answer.reason)


def test_the_same_import_gives_the_same_bytes() -> None:
    assert read("huji.swagger.yaml", **SURE) == read("huji.swagger.yaml", **SURE)


# --- one thing at a time ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scheme", "auth"),
    [
        ({"type": "apiKey", "in": "query", "name": "k"}, {"kind": "api_key", "place": "query", "name": "k"}),
        ({"type": "http", "scheme": "Basic"}, {"kind": "basic"}),
        (
            {"type": "http", "scheme": "bearer"},
            {"kind": "api_key", "place": "header", "name": "Authorization", "prefix": "Bearer "},
        ),
        (
            {"type": "oauth2", "flows": {"clientCredentials": {"tokenUrl": "/base/oauth/t?x=1"}}},
            {"kind": "oauth2_client_credentials", "token_path": "/oauth/t"},
        ),
        (
            {"type": "openIdConnect", "openIdConnectUrl": "https://idp.example.org"},
            {"kind": "oauth2_client_credentials", "token_path": "/oauth/token"},
        ),
        ({"type": "mutualTLS"}, {"kind": "none"}),
        ({"type": "apiKey", "in": "cookie", "name": "sid"}, {"kind": "none"}),
        ({"type": "http", "scheme": "digest"}, {"kind": "none"}),
        ({"type": 7}, {"kind": "none"}),
    ],
)
def test_every_declared_security_is_taken_or_named(scheme: dict[str, Any], auth: dict[str, Any]) -> None:
    found = one(
        answers({"type": "object"}),
        servers=[{"url": "https://a.example.org/base"}],
        security=[{"s": []}],
        components={"securitySchemes": {"s": scheme}},
    )
    import tomllib

    made = tomllib.loads(found.manifest_toml or "")
    assert made["auth"] == auth
    assert made.get("tls", {}) == ({"client_certificate": True} if scheme["type"] == "mutualTLS" else {})
    if auth == {"kind": "none"} and scheme["type"] != "mutualTLS":
        assert {finding.code for finding in found.findings} & {"auth_cookie", "auth_unknown", "scheme_odd"}


def test_two_keys_at_once_are_both_sent() -> None:
    schemes = {
        "a": {"type": "apiKey", "in": "header", "name": "X-A"},
        "b": {"type": "apiKey", "in": "header", "name": "X-B"},
    }
    found = one(answers({"type": "object"}), security=[{"a": [], "b": []}], components={"securitySchemes": schemes})
    assert manifest(found).always.headers == {"X-B": "{secret.b}"}


def test_an_operation_that_says_it_is_open_sends_no_credentials() -> None:
    schemes = {"a": {"type": "http", "scheme": "basic"}}
    found = one(
        answers({"type": "object"}) | {"security": []}, security=[{"a": []}], components={"securitySchemes": schemes}
    )
    assert operations(found)["do_it"].authenticate is False


@pytest.mark.parametrize(
    ("parameters", "schema", "style"),
    [
        (["page", "pageSize"], {"total": {"type": "integer"}}, "page"),
        (["offset", "limit"], {}, "offset"),
        (["after", "limit"], {"nextCursor": {"type": "string"}}, "cursor"),
        (["page"], {"_links": {"type": "object", "properties": {"next": {"type": "object"}}}}, "next"),
        (["q"], {}, None),
    ],
)
def test_paging_is_recognised(parameters: list[str], schema: dict[str, Any], style: str | None) -> None:
    items = {"type": "array", "items": {"type": "object", "properties": {"a": {"type": "string"}}}}
    operation = answers({"type": "object", "properties": {"items": items} | schema})
    operation["parameters"] = [{"name": name, "in": "query", "schema": {"type": "string"}} for name in parameters]
    paging = operations(one(operation))["do_it"].paging
    assert (paging.style if paging else None) == style
    if paging is not None:
        assert paging.items == "items"


def test_a_link_header_is_paging_too() -> None:
    operation = answers(
        {
            "type": "object",
            "properties": {"items": {"type": "array", "items": {"type": "object", "properties": {"a": {}}}}},
        }
    )
    operation["responses"]["200"]["headers"] = {"Link": {}}
    paging = operations(one(operation))["do_it"].paging
    assert paging is not None
    assert paging.style == "link"


@pytest.mark.parametrize(
    ("method", "path", "words", "kind"),
    [
        ("get", "/x", "anything", "query"),
        ("post", "/x/search", "anything", "query"),
        ("post", "/x", "Zoek een adres", "query"),
        ("post", "/x", "Create a thing", "submit"),
        ("post", "/x", "查询参保信息", "query"),
        ("post", "/x", "提交申请", "submit"),
        ("put", "/x", "anything", "submit"),
        ("delete", "/x/{id}", "anything", "cancel"),
        ("post", "/x/{id}/cancel", "anything", "cancel"),
        ("post", "/x", "撤销申请", "cancel"),
    ],
)
def test_the_kind_is_guessed(method: str, path: str, words: str, kind: str) -> None:
    operation = answers({"type": "object", "properties": {"a": {"type": "string"}}}) | {"summary": words}
    del operation["operationId"]
    document = {"openapi": "3.0.3", "info": {"title": "One"}, "paths": {path: {method: operation}}}
    assert imported(json.dumps(document)).operations[0].kind == kind


@pytest.mark.parametrize("media", ["*/*", "application/json; charset=utf-8", "text/json", "application/x.v2+json"])
def test_json_by_any_name_is_json(media: str) -> None:
    made = operations(one(answers({"type": "object", "properties": {"a": {"type": "string"}}}, media=media)))["do_it"]
    assert made.response_codec == "json"
    assert made.reply.fields == {"a_value": "a"}


def test_a_business_no_inside_a_200_is_asked_about() -> None:
    schema = {"type": "object", "properties": {"esito": {"enum": ["OK", "KO"]}, "messaggio": {"type": "string"}}}
    found = one(answers(schema))
    case = operations(found)["do_it"].errors[0]
    assert (case.path, case.one_of, case.outcome, case.reason) == ("esito", ("KO",), "invalid", "messaggio")
    assert "refusal.do_it" in {question.id for question in found.questions}


def test_a_search_by_our_reference_becomes_the_look_up() -> None:
    body = {
        "content": {"application/json": {"schema": {"type": "object", "properties": {"reference": {"type": "string"}}}}}
    }
    thing = {"type": "object", "properties": {"thing_id": {"type": "string"}, "state": {"enum": ["open", "closed"]}}}
    paths = {
        "/things": {
            "post": answers(thing, "201") | {"operationId": "createThing", "requestBody": body},
            "get": answers({"type": "object", "properties": {"results": {"type": "array", "items": thing}}})
            | {"operationId": "findThings", "parameters": [{"name": "reference", "in": "query", "schema": {}}]},
        },
        "/things/{thingId}": {"get": answers(thing) | {"operationId": "getThing"}},
    }
    made = operations(imported(json.dumps({"openapi": "3.0.0", "info": {"title": "T"}, "paths": paths})))
    assert (made["create_thing"].idempotent, made["create_thing"].lookup) == ("lookup", "find_things")
    assert made["create_thing"].request.body == {"reference": "key"}
    lookup = made["find_things"]
    assert (lookup.kind, lookup.request.query) == ("lookup", {"reference": "key"})
    assert (lookup.reply.found, lookup.reply.reference) == ("results", "results.0.thing_id")
    assert made["get_thing"].request.path == {"thingId": "reference"}


def test_a_member_that_no_path_can_name_is_left_out_and_named() -> None:
    found = one(answers({"type": "object", "properties": {"a b": {"type": "string"}, "ok": {"type": "string"}}}))
    assert operations(found)["do_it"].reply.fields == {"ok": "ok"}
    assert "name_unreadable" in {finding.code for finding in found.findings}


def test_no_number_of_a_real_person_is_written() -> None:
    schema = {"type": "object", "properties": {"idNumber": {"type": "string", "example": "110105194912310021"}}}
    found = one(answers(schema))
    assert "110105194912310021" not in (found.manifest_toml or "")
    assert "110105194912310021" not in "".join(found.examples.values())


def test_a_state_whose_values_are_not_listed_is_polled_once_they_are_told() -> None:
    thing = {"type": "object", "properties": {"thing_id": {"type": "string"}, "state": {"type": "string"}}}
    paths = {
        "/things": {"post": answers(thing, "201") | {"operationId": "createThing"}},
        "/things/{thingId}": {"get": answers(thing) | {"operationId": "getThing"}},
    }
    document = json.dumps({"openapi": "3.0.0", "info": {"title": "T"}, "paths": paths})
    sure = {"idempotent.create_thing": "none"}
    assert imported(document, **sure).open == ("answer.create_thing",)
    told = operations(imported(document, **sure, **{"outcome.get_thing": "open=pending, all done=completed"}))
    assert told["create_thing"].answer == "poll"
    outcome = told["get_thing"].reply.outcome
    assert outcome is not None
    assert outcome.map == {"open": "pending", "all done": "completed"}


def taken_later(status: str) -> dict[str, Any]:
    """Import a submission that gives out a job's number, with the job on a path of its own and a customer beside."""
    job = {"type": "object", "properties": {"jobId": {"type": "string"}, "customerId": {"type": "string"}}}
    state = {"type": "object", "properties": {"state": {"type": "string", "enum": ["pending", "completed"]}}}
    paths = {
        "/reports": {"post": answers(job, status) | {"operationId": "createReport"}},
        "/jobs/{jobId}": {"get": answers(state) | {"operationId": "getJob"}},
    }
    document = json.dumps({"openapi": "3.0.0", "info": {"title": "T"}, "paths": paths})
    return operations(imported(document, **{"idempotent.create_report": "none"}))


def test_a_number_of_a_201_makes_no_state_of_what_is_read_by_it() -> None:
    assert taken_later("201")["create_report"].answer == "now"


def test_a_job_on_a_path_of_its_own_is_polled_by_the_number_that_a_202_gives_out() -> None:
    told = taken_later("202")
    assert told["get_job"].kind == "status"
    assert told["create_report"].answer == "poll"
    assert told["create_report"].poll.operation == "get_job"
    assert told["create_report"].reply.reference == "jobId"


def test_a_made_up_request_keeps_the_bounds_of_its_schema() -> None:
    members = {
        "at": {"type": "array", "minItems": 2, "items": {"type": "number"}},
        "code": {"type": "string", "pattern": "^[0-9]{6}$"},
        "words": {"type": "string", "minLength": 10},
        "amount": {"type": "integer", "minimum": 500},
        "anything": {},
    }
    body = {"content": {"application/json": {"schema": {"type": "object", "properties": members}}}}
    operation = answers({"type": "object"}) | {"requestBody": body}
    example = operations(one(operation, method="post"))["do_it"].examples[0]
    assert example.values["payload"] == {"at": [1, 1], "code": "999999", "words": "textxxxxxx", "amount": 500}


def test_an_example_that_contradicts_its_schema_is_named_and_the_schema_says_nothing_there() -> None:
    schema = {
        "type": "object",
        "required": ["no", "gone"],
        "properties": {"no": {"type": "integer"}, "gone": {"type": "string"}, "list": {"type": "array", "items": YES}},
        "example": {"no": "12", "list": [{"yes": "perhaps"}]},
    }
    found = one(answers(schema))
    told = [finding.says.en for finding in found.findings if finding.code == "example_contradicts"]
    assert len(told) == 1
    assert "/no" in told[0]
    assert "/list/0/yes" in told[0]
    made = operations(found)["do_it"]
    assert made.schema is not None
    assert schema_faults(made.schema, [json.loads(made.examples[0].body)]) == []
    assert made.schema["properties"]["no"] == {}
    assert made.schema["required"] == ["no"]


@pytest.mark.parametrize(("method", "codec", "fields"), [("get", "json", {"answer": "."}), ("post", "none", {})])
def test_a_question_whose_answer_is_not_described_is_read_whole_and_said(method, codec, fields) -> None:
    found = one({"operationId": "doIt", "responses": {"200": {"description": "ok"}}}, method=method)
    made = operations(found)["do_it"]
    assert (made.kind, made.response_codec, made.reply.fields) == (
        "query" if method == "get" else "submit",
        codec,
        fields,
    )
    assert ("answer_undescribed" in {finding.code for finding in found.findings}) is (method == "get")


def test_what_swagger_says_of_every_answer_holds_for_one_that_is_not_described() -> None:
    operation = {"operationId": "doIt", "produces": ["text/csv"], "responses": {"200": {"description": "ok"}}}
    document = {"swagger": "2.0", "info": {"title": "One"}, "paths": {"/x": {"get": operation}}}
    assert operations(imported(json.dumps(document)))["do_it"].response_codec == "csv"


@pytest.mark.parametrize(
    ("member", "as_of"),
    [
        ({"format": "date"}, "updatedAt | instant"),
        ({"example": "2025-01-15 08:30"}, "updatedAt | instant"),
        ({}, "updatedAt | instant"),
        ({"example": "yesterday"}, None),
    ],
)
def test_the_instant_of_change_is_one_that_can_be_read(member, as_of) -> None:
    found = one(answers({"type": "object", "properties": {"updatedAt": {"type": "string", **member}}}))
    made = operations(found)
    assert made["do_it"].reply.as_of == as_of
    assert made["do_it"].examples[0].outcome == "ok"
    body = made["do_it"].examples[0].body.encode()
    told = Reply(200, [], body, reused=False, connect_s=0, started=0, written=0, first_byte=0, ended=0)
    assert Prepared(manifest(found), made["do_it"]).answer(told, None).kind == "ok"


def test_a_post_that_says_it_creates_is_no_query_whatever_it_is_called() -> None:
    operation = answers({"type": "object", "properties": {"a": {"type": "string"}}})
    found = one(operation | {"operationId": "verifyCode", "summary": "Create an account by a code"}, method="post")
    assert [(one.kind, one.sure) for one in found.operations] == [("submit", False)]


def test_a_header_called_cookie_is_a_cookie_and_never_sent() -> None:
    operation = answers({"type": "object", "properties": {"a": {"type": "string"}}})
    operation["parameters"] = [{"name": "Cookie", "in": "header", "required": True, "schema": {"type": "string"}}]
    schemes = {"session": {"type": "apiKey", "in": "header", "name": "Cookie"}}
    found = one(operation, security=[{"session": []}], components={"securitySchemes": schemes})
    assert "auth_cookie" in {finding.code for finding in found.findings}
    assert manifest(found).auth.__struct_config__.tag == "none"
    assert "Cookie" not in operations(found)["do_it"].request.headers
