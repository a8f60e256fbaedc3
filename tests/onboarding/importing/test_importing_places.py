"""Documents whose operations stand at several addresses: nothing is lost, and nothing is sent to a wrong one."""

import json

from tests.onboarding.importing.conftest import imported, read
from tests.onboarding.importing.test_importing_openapi import operations


def says(found, code):
    return [finding.says.en for finding in found.findings if finding.code == code]


def test_operations_of_one_name_in_two_services_are_two() -> None:
    found = read("two-services.wsdl")
    assert [(one.id, one.taken) for one in found.operations] == [("get", True), ("get_2", False)]
    assert found.environment["url"] == "https://permits.example.org"
    assert "1 elsewhere" in says(found, "server_several")[0]
    second = read("two-services.wsdl", operations=["get_2"])
    assert second.environment["url"] == "https://licences.example.org"
    assert "GetLicence" in (operations(second)["get_2"].request.template or "")


def test_what_stands_in_the_header_of_a_message_does_not_stand_in_its_body_too() -> None:
    request = operations(read("two-services.wsdl", operations=["get_2"]))["get_2"].request
    assert "Caller" in (request.header_template or "")
    assert "Caller" not in (request.template or "")


def test_operations_at_two_addresses_are_no_one_manifest() -> None:
    found = read("two-services.wsdl", operations=["get", "get_2"])
    assert (
        "get_2 stands at https://licences.example.org, not at https://permits.example.org"
        in (says(found, "server_other")[0])
    )


def test_an_operation_or_a_path_may_have_an_address_of_its_own() -> None:
    answer = {"responses": {"200": {"description": ""}}}
    paths = {
        "/a": {"get": answer | {"operationId": "a"}},
        "/b": {"get": answer | {"operationId": "b", "servers": [{"url": "https://b.example.org/v2"}]}},
        "/c": {"get": answer | {"operationId": "c"}, "servers": [{"url": "https://c.example.org"}]},
    }
    head = {"openapi": "3.0.3", "info": {"title": "One"}, "servers": [{"url": "https://a.example.org"}]}
    document = json.dumps(head | {"paths": paths})
    urls = {one: imported(document, operations=[f"{one}_value"]).environment["url"] for one in "abc"}
    assert urls == {"a": "https://a.example.org", "b": "https://b.example.org/v2", "c": "https://c.example.org"}
