"""WSDL 1.1: both versions of SOAP, both styles, what lies beside the document and what is missing."""

from onestop.onboarding.importing import soap
from onestop.onboarding.importing.models import Shape
from onestop.onboarding.importing.service import import_document
from tests.onboarding.importing.conftest import ANSWERS, DOCUMENTS, read
from tests.onboarding.importing.test_importing_openapi import manifest, operations

# `ontvangen`: it was received, and nothing tells when it is done.
SURE = {"idempotent.register_move": "none", "answer.register_move": "desk"}


def test_imported_bindings_and_schemas_are_followed() -> None:
    found = read("wsdl/register.wsdl", **SURE)
    made = operations(found)
    get = made["get_person"]
    assert (get.kind, get.path, get.request_codec, get.response_codec) == (
        "query", "/ws/register.svc", "soap12", "soap",
    )  # fmt: skip
    assert get.content_type == 'application/soap+xml; charset=utf-8; action="urn:GetPerson"'
    assert get.request.template == (
        '<n1:GetPerson xmlns:n1="urn:example:types">\n'
        "  <n1:burgerservicenummer>{{ subject.number }}</n1:burgerservicenummer>\n"
        "  <taal>{{ payload.taal }}</taal>\n"  # form="unqualified"
        "</n1:GetPerson>"
    )
    assert get.reply.found == "GetPersonResponse.persoon"
    assert get.reply.subject == "GetPersonResponse.persoon.burgerservicenummer"
    assert get.reply.fields["geboortedatum"] == "GetPersonResponse.persoon.geboortedatum"  # from the base type
    assert (get.errors[0].path, get.errors[0].exists) == ("Fault.Detail.NotRegistered", True)
    assert found.environment["url"] == "https://register.example.org"


def test_a_choice_takes_its_first_way_and_a_fixed_attribute_its_value() -> None:
    found = read("wsdl/register.wsdl", **SURE)
    template = operations(found)["register_move"].request.template or ""
    assert 'versie="3"' in template
    assert "straat" in template
    assert "postbus" not in template
    spot = next(finding.spot for finding in found.findings if finding.code == "xsd_choice")
    assert (spot.file, spot.line) == ("xsd/types.xsd", 9)


def test_a_missing_schema_costs_its_own_operations_only() -> None:
    folder = DOCUMENTS / "wsdl"
    beside = {"binding.wsdl": (folder / "binding.wsdl").read_bytes()}
    told = ANSWERS | SURE
    found = import_document((folder / "register.wsdl").read_bytes(), "register.wsdl", told, beside)
    spots = {finding.code: finding.spot for finding in found.findings}
    assert (spots["xsd_missing"].line, spots["element_unknown"].file) == (8, "register.wsdl")
    assert found.manifest_toml is not None


def test_rpc_style_wraps_its_parts_without_namespace() -> None:
    made = manifest(read("rpc.wsdl")).operations[0]
    assert made.request_codec == "soap"
    assert made.request.headers == {"SOAPAction": "'\"\"'"}
    assert made.request.template == (
        '<n1:verificaPosizione xmlns:n1="urn:tax:ops">\n'
        "  <codiceFiscale>{{ subject.number }}</codiceFiscale>\n"
        "  <anno>{{ payload.anno }}</anno>\n"
        "</n1:verificaPosizione>"
    )
    assert made.reply.fields["importo"] == "verificaPosizioneResponse.importo"
    assert (made.errors[-1].path, made.errors[-1].reason) == ("Fault", "Fault.faultstring")


def test_what_no_element_can_be_called_is_left_out_and_named_and_a_namespace_is_taken_as_it_is() -> None:
    text = (DOCUMENTS / "rpc.wsdl").read_text("utf-8")
    text = text.replace("urn:tax:ops", "the tax office &gt; 'ops'").replace('name="anno"', 'name="the year"')
    found = import_document(text.encode(), "rpc.wsdl", ANSWERS)
    named = [(finding.code, finding.says.en) for finding in found.findings if finding.code == "xml_name"]
    assert named == [("xml_name", 'No element can be called "the year"; it was left out.')]
    assert manifest(found).operations[0].request.template == (
        "<n1:verificaPosizione xmlns:n1=\"the tax office &gt; 'ops'\">\n"
        "  <codiceFiscale>{{ subject.number }}</codiceFiscale>\n"
        "</n1:verificaPosizione>"
    )


def test_a_part_whose_value_nobody_knows_is_an_empty_element_and_named() -> None:
    class Other:
        within = False

        def value(self, path: tuple[str, ...], shape: Shape) -> str | None:
            return None if shape.type == "number" else f"payload.{'.'.join(path)}"

        def each(self, path: tuple[str, ...], shape: Shape, *, needed: bool) -> None:
            return None

        def leave_out(self, path: tuple[str, ...]) -> None:
            raise AssertionError(path)

    parts = {"a": Shape(kind="value", type="string"), "b": Shape(kind="value", type="number")}
    text = soap.elements(Shape(kind="object", members=parts), Other())
    assert text == "<a>{{ payload.a }}</a>\n<b/>"
