"""What departments' documents say between the lines, and the import takes up."""

import json
import tomllib

import pytest

from onestop.onboarding.importing.service import import_document
from tests.adapters.office import DEPARTMENTS
from tests.adapters.servers import DOCUMENTS


def made(document, name, **more):
    answers = tomllib.loads((DEPARTMENTS / name / "answers.toml").read_text()) | more
    beside = {path.name: path.read_bytes() for path in DOCUMENTS.glob("*.xsd")}
    found = import_document((DOCUMENTS / document).read_bytes(), document, answers, beside)
    assert found.manifest_toml is not None, found.open
    manifest = tomllib.loads(found.manifest_toml)
    return manifest, {operation["id"]: operation for operation in manifest["operations"]}


@pytest.fixture(scope="module")
def city():
    return made("open311.openapi.yaml", "open311")


def test_a_key_that_the_form_names_belongs_into_the_form(city):
    manifest, operations = city
    assert manifest["auth"] == {"kind": "api_key", "place": "form", "name": "api_key"}
    assert "api_key" not in operations["post_request"]["request"]["body"]


def test_xml_lists_are_read_by_the_names_of_their_elements(city):
    _, operations = city
    assert operations["get_services"]["reply"]["fields"]["service"]["each"] == "service"
    assert operations["post_request"]["reply"]["fields"]["token"] == "request.0.token"


def test_an_organisations_fiscal_code_is_no_persons_number():
    _, operations = made("nodo.wsdl", "nodo")
    assert "subject.number" not in operations["verify_payment_notice"]["request"]["template"]


def test_ko_inside_an_accepted_answer_is_a_refusal_with_its_sentence():
    _, operations = made("nodo.wsdl", "nodo")
    [ko] = [case for case in operations["verify_payment_notice"]["errors"] if "KO" in case.get("one_of", ())]
    assert ko["reason"] == "verifyPaymentNoticeRes.fault.description"


def test_a_title_ends_with_its_first_sentence():
    _, operations = made("nodo.wsdl", "nodo")
    assert operations["activate_payment_notice"]["title"]["en"] == "Begin the payment of a notice"


def test_a_list_is_bound_to_the_person_by_the_member_that_was_asked_with():
    _, operations = made("xtif.swagger.json", "xtif")
    reply = operations["query_permits"]["reply"]
    assert (reply["found"], reply["subject"]) == ("data.records", "data.records.0.idcard")
    [example] = [one for one in operations["query_permits"]["examples"] if one["name"] == "ok"]
    assert json.loads(example["body"])["data"]["records"][0]["idcard"] == example["values"]["subject"]["number"]


def test_a_list_of_numbers_holds_the_number_of_the_person():
    _, operations = made("zaken.openapi.yaml", "zaken")
    assert operations["personen"]["request"]["body"]["burgerservicenummer"] == ["subject.number"]


def test_an_answer_about_authentication_goes_before_what_the_document_declares():
    manifest, _ = made("xtif.swagger.json", "xtif", auth="signed")
    assert manifest["auth"]["kind"] == "signed"
    assert "always" not in manifest
