"""Pages that are asked for inside XML: seen in the document, sent by the gateway, played by the simulator."""

import json
from typing import Any

import pytest
from lxml import etree

from onestop.gateway.manifest import Manifest, Paging, parse
from onestop.gateway.operations import Prepared
from onestop.gateway.paging import Pages
from onestop.onboarding.importing.models import Imported
from onestop.onboarding.simulator import Simulator
from onestop.onboarding.simulator_examples import as_request
from onestop.onboarding.simulator_pages import page_of
from onestop.outbound.models import Reply
from tests.onboarding.importing.conftest import imported

ANA = {"subject": {"number": "990101199001010017", "name": "张三"}, "payload": {}}


def wsdl(asked: str, told: str = '<x:element name="total" type="x:int"/>') -> str:
    """Return a service that is asked for the permits of a person in pages, by these elements."""
    return f"""<definitions xmlns="http://schemas.xmlsoap.org/wsdl/" xmlns:s="http://schemas.xmlsoap.org/wsdl/soap/"
 xmlns:x="http://www.w3.org/2001/XMLSchema" xmlns:t="urn:t" targetNamespace="urn:t" name="Permits"><types>
<x:schema targetNamespace="urn:t" elementFormDefault="qualified">
 <x:element name="QueryPermits"><x:complexType><x:sequence><x:element name="idNumber" type="x:string"/>{asked}
 </x:sequence></x:complexType></x:element>
 <x:element name="Permits"><x:complexType><x:sequence>{told}
  <x:element name="permit" minOccurs="0" maxOccurs="unbounded">
   <x:complexType><x:sequence><x:element name="no" type="x:string"/></x:sequence></x:complexType></x:element>
 </x:sequence></x:complexType></x:element></x:schema></types>
<message name="i"><part name="p" element="t:QueryPermits"/></message>
<message name="o"><part name="p" element="t:Permits"/></message>
<portType name="P"><operation name="QueryPermits"><input message="t:i"/><output message="t:o"/></operation></portType>
<binding name="B" type="t:P"><s:binding transport="http://schemas.xmlsoap.org/soap/http"/>
 <operation name="QueryPermits"><s:operation soapAction=""/><input><s:body use="literal"/></input>
 <output><s:body use="literal"/></output></operation></binding>
<service name="S"><port name="P" binding="t:B"><s:address location="https://permits.example/"/></port></service></definitions>"""


def element(name: str, kind: str = "int", **more: str) -> str:
    told = "".join(f' {key}="{value}"' for key, value in more.items())
    return f'<x:element name="{name}" type="x:{kind}"{told}/>'


# Two at once, so that five are three pages.
SIZE = """<x:element name="pageSize" type="x:int">
 <x:annotation><x:documentation>at most 2</x:documentation></x:annotation>
</x:element>"""


def made(found: Imported) -> tuple[Manifest, Prepared, Paging]:
    assert found.manifest_toml is not None, found.open
    manifest = parse(found.manifest_toml.encode())
    told = manifest.operations[0].paging
    assert told is not None
    return manifest, Prepared(manifest, manifest.operations[0]), told


def sent(prepared: Prepared, value: Any, size: int) -> dict[str, str]:
    """Return what stands in the elements of the request for one page."""
    _, _, _, body = prepared.request(ANA | {"page": {"value": value, "size": size}})
    return {etree.QName(one).localname: (one.text or "").strip() for one in etree.fromstring(body).iter()}


def test_page_and_size_in_soap_are_the_gateways() -> None:
    _, prepared, told = made(imported(wsdl(element("pageNo") + SIZE), "p.wsdl"))
    assert (told.size, told.first) == (2, 1)
    assert (told.style, told.place, told.items, told.total) == ("page", "body", "Permits.permit", "Permits.total")
    assert (told.parameter, told.size_parameter) == ("QueryPermits.pageNo", "QueryPermits.pageSize")
    page = sent(prepared, 3, 2)
    assert (page["pageNo"], page["pageSize"], page["idNumber"]) == ("3", "2", "990101199001010017")


def test_a_table_of_pages_in_a_wrapper_is_found_and_one_of_something_else_is_not() -> None:
    inner = f"<x:complexType><x:sequence>{element('start')}{element('limit')}</x:sequence></x:complexType>"
    found = imported(wsdl(f'<x:element name="paging">{inner}</x:element>'), "p.wsdl")
    _, prepared, told = made(found)
    assert (told.style, told.first, told.parameter) == ("offset", 0, "QueryPermits.paging.start")
    assert sent(prepared, 50, 50)["start"] == "50"
    other = imported(wsdl(f'<x:element name="route">{inner}</x:element>'), "p.wsdl")
    assert parse((other.manifest_toml or "").encode()).operations[0].paging is None


def test_a_cursor_in_soap_stands_there_once_it_is_known() -> None:
    asked = element("cursor", "string", minOccurs="0") + element("limit")
    found = imported(wsdl(asked, element("nextCursor", "string")), "p.wsdl", **{"paging.size.query_permits": 2})
    _, prepared, told = made(found)
    assert (told.style, told.next) == ("cursor", "Permits.nextCursor")
    assert "cursor" not in sent(prepared, None, 2)
    assert sent(prepared, "c-2", 2)["cursor"] == "c-2"


def test_an_xml_body_of_openapi_is_asked_for_in_pages_too() -> None:
    number: dict[str, Any] = {"type": "integer", "xml": {"name": "PageNum"}, "minimum": 1}
    rows = {"type": "array", "items": {"type": "object", "properties": {"a": {"type": "string"}}}}
    body = {"type": "object", "xml": {"name": "Ask"}, "properties": {"page": number, "pageSize": {"type": "integer"}}}
    reply = {"type": "object", "properties": {"total": {"type": "integer"}, "row": rows}}
    operation = {
        "operationId": "searchThings", "summary": "Search",
        "requestBody": {"content": {"application/xml": {"schema": body}}},
        "responses": {"200": {"description": "", "content": {"application/xml": {"schema": reply}}}},
    }  # fmt: skip
    document = {"openapi": "3.0.3", "info": {"title": "L"}, "paths": {"/search": {"post": operation}}}
    _, prepared, told = made(imported(json.dumps(document), **{"kind.search_things": "query"}))
    assert (told.place, told.parameter, told.first) == ("body", "PageNum", 1)
    assert sent(prepared, 2, 50)["PageNum"] == "2"


@pytest.mark.parametrize(("asked", "begins"), [("pageNo", "1"), ("startIndex", "1"), ("startIndex", "0")])
def test_the_simulator_gives_the_pages_that_the_gateway_asks_for(asked: str, begins: str) -> None:
    told = {"paging.first.query_permits": begins}
    manifest, prepared, rules = made(imported(wsdl(element(asked) + SIZE), "p.wsdl", **told))
    operation = manifest.operations[0]
    rows = "".join(f"<permit><no>{number}</no></permit>" for number in range(5))
    whole = (
        f'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><Permits>{rows}</Permits></s:Body>'
    )
    form = Simulator(manifest).books["query_permits"].form
    pages, values, numbers = [], ANA | {"page": {"value": rules.begins, "size": rules.size}}, []
    for _ in range(9):
        request = as_request(prepared, values)
        facts = form.facts(request)
        assert form.differences(request, facts) == []
        body = page_of(operation, f"{whole}</s:Envelope>".encode(), facts)
        numbers.append(values["page"]["value"])
        answer = _page(prepared, body, pages, values)
        if answer is not None:
            break
    assert answer is not None
    assert answer.kind == "ok", answer.reason
    assert [permit["no"] for permit in answer.fields["permit"]] == ["0", "1", "2", "3", "4"]
    assert numbers == [one if asked == "pageNo" else int(begins) + 2 * (one - 1) for one in (1, 2, 3)]


def _page(prepared: Prepared, body: bytes, pages: list[Any], values: dict[str, Any]) -> Any:
    if not pages:
        pages.append(Pages())
    return prepared.page(Reply(200, [], body, False, 0, 0, 0, 0, 0), None, pages[0], values)
