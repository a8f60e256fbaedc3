"""Attributes, names, wrappers, namespaces and prefixes: written as the document has them, and read by the gateway."""

import json
from typing import Any

from lxml import etree

from onestop.gateway.manifest import Operation, parse
from onestop.gateway.operations import Prepared
from onestop.onboarding.importing.models import Imported
from onestop.onboarding.simulator import Simulator
from onestop.onboarding.simulator_examples import as_request
from onestop.outbound.models import Reply
from tests.onboarding.importing.conftest import imported, read

TEXT = {"type": "string"}
IMPORTED = {"idempotent.do_it": "none", "answer.do_it": "at_once"}


def attribute(**xml: Any) -> dict[str, Any]:
    return TEXT | {"xml": {"attribute": True} | xml}


def table(*, xml: dict[str, Any] | None = None, **members: Any) -> dict[str, Any]:
    made: dict[str, Any] = {"type": "object", "properties": members, "required": list(members)}
    return made | ({"xml": xml} if xml else {})


def answering(schema: Any, example: Any = None) -> Imported:
    media = {"schema": schema} | ({"example": example} if example is not None else {})
    operation = {"operationId": "doIt", "responses": {"200": {"content": {"application/xml": media}}}}
    return imported(json.dumps({"openapi": "3.0.3", "info": {"title": "X"}, "paths": {"/x": {"get": operation}}}))


def asking(schema: Any) -> Imported:
    operation = {
        "operationId": "doIt", "requestBody": {"content": {"application/xml": {"schema": schema}}},
        "responses": {"200": {"description": ""}},
    }  # fmt: skip
    document = {"openapi": "3.0.3", "info": {"title": "X"}, "paths": {"/x": {"post": operation}}}
    return imported(json.dumps(document), **IMPORTED)


def only(found: Imported) -> Operation:
    assert found.manifest_toml is not None, found.open
    (operation,) = parse(found.manifest_toml.encode()).operations
    return operation


def answer(found: Imported, body: str) -> Any:
    made = parse((found.manifest_toml or "").encode())
    told = Prepared(made, made.operations[0]).answer(Reply(200, [], body.encode(), False, 0, 0, 0, 0, 0), None)
    assert told.kind == "ok", told.reason
    return told.fields


def written(found: Imported, **payload: Any) -> Any:
    made = parse((found.manifest_toml or "").encode())
    _, _, _, body = Prepared(made, made.operations[0]).request({"payload": payload, "key": "k"})
    return etree.fromstring(body)


# --- replies ----------------------------------------------------------------------------------------------------------

PERMIT = table(
    permit=table(
        id=attribute(),
        kind=attribute(name="type"),
        owner=TEXT,
        fee=table(currency=attribute(), amount=TEXT | {"xml": {"nodeType": "text"}}),
        link=table(href=attribute()),
        tags={"type": "array", "xml": {"wrapped": True}, "items": table(label=attribute(), xml={"name": "tag"})},
    ),
)
PERMIT_XML = (
    '<r><permit id="7" type="b"><owner>o</owner><fee currency="CNY">12</fee><link href="/p/7"/>'
    '<tags><tag label="a"/><tag label="b"/></tags></permit></r>'
)


def test_attributes_of_a_reply_are_read_where_the_gateway_has_them() -> None:
    fields = answer(answering(PERMIT), PERMIT_XML)
    assert fields == {
        "id": "7", "type": "b", "owner": "o", "fee": "12", "fee_currency": "CNY", "link_href": "/p/7",
        "tags": {"tag_label": ["a", "b"]},
    }  # fmt: skip


def test_a_made_up_example_has_its_attributes_and_is_read() -> None:
    found = answering(PERMIT)
    [example] = [one for one in only(found).examples if one.outcome == "ok"]
    assert '<permit id="text" type="text">' in example.body
    assert '<fee currency="text">text</fee>' in example.body
    assert answer(found, example.body)["fee_currency"] == "text"


def test_an_example_by_the_schemas_names_becomes_one_of_elements_and_attributes() -> None:
    value = {
        "permit": {"id": 7, "kind": "b", "owner": "o", "fee": {"currency": "CNY", "amount": 12}, "link": {"href": "/p"},
                   "tags": [{"label": "a"}, {"label": "b"}]},
    }  # fmt: skip
    found = answering(PERMIT, value)
    [example] = [one for one in only(found).examples if one.outcome == "ok"]
    fields = answer(found, example.body)
    assert (fields["id"], fields["type"], fields["fee"], fields["fee_currency"]) == ("7", "b", "12", "CNY")
    assert fields["tags"] == {"tag_label": ["a", "b"]}


def test_a_root_that_is_nothing_but_attributes_is_named() -> None:
    found = answering(table(id=attribute()))
    assert "xml_root_attributes" in {finding.code for finding in found.findings}
    assert only(found).reply.fields == {"answer": "."}


def test_the_attribute_of_a_root_is_a_field_of_its_own() -> None:
    found = answering(table(id=attribute(), name=TEXT))
    assert answer(found, '<r id="7"><name>n</name></r>') == {"id": "7", "name": "n"}


# --- requests ---------------------------------------------------------------------------------------------------------


def test_a_request_has_attributes_names_wrappers_and_texts() -> None:
    item = table(no=attribute(), word=TEXT | {"xml": {"nodeType": "text"}}, xml={"name": "item"})
    schema = table(
        xml={"name": "Application"},
        lang=attribute(name="xml-lang"),
        owner=TEXT | {"xml": {"name": "Owner"}},
        items={"type": "array", "minItems": 1, "xml": {"wrapped": True, "name": "Items"}, "items": item},
    )
    found = asking(schema)
    root = written(found, xml_lang="zh", owner="o<", items={"item": [{"no": "1", "word": "w"}]})
    assert (root.tag, root.get("xml-lang"), root.findtext("Owner")) == ("Application", "zh", "o<")
    assert (root.find("Items/item").get("no"), root.findtext("Items/item")) == ("1", "w")


def test_a_namespace_without_a_prefix_holds_for_everything_inside_and_one_with_a_prefix_for_itself() -> None:
    inside = table(xml={"name": "A", "namespace": "urn:a"}, b=table(c=TEXT), at=attribute())
    root = written(asking(inside), b={"c": "1"}, at="2")
    assert [one.tag for one in root.iter()] == ["{urn:a}A", "{urn:a}b", "{urn:a}c"]
    assert root.get("at") == "2"
    alone = table(xml={"name": "A", "namespace": "urn:a", "prefix": "smp"}, b=TEXT)
    root = written(asking(alone), b="1")
    assert [(one.tag, one.prefix) for one in root.iter()] == [("{urn:a}A", "smp"), ("b", None)]


def test_a_prefix_that_the_root_declares_serves_below_and_one_that_nothing_declares_is_named() -> None:
    schema = table(
        xml={"name": "A", "namespace": "urn:a", "prefix": "p"},
        b=TEXT | {"xml": {"prefix": "p"}}, c=TEXT | {"xml": {"prefix": "q"}}, de=attribute(prefix="p"),
    )  # fmt: skip
    found = asking(schema)
    root = written(found, b_value="1", c_value="2", de="3")
    assert [one.tag for one in root.iter()] == ["{urn:a}A", "{urn:a}b", "c"]
    assert root.get("{urn:a}de") == "3"
    assert "xml_prefix" in {finding.code for finding in found.findings}


def test_a_name_that_no_element_can_have_is_left_out_and_named() -> None:
    schema = table(
        xml={"name": "no root"}, good=TEXT, bad=TEXT | {"xml": {"name": "x y"}}, lang=attribute(name="xml:lang"),
        worse=attribute(name="a b"),
    )  # fmt: skip
    found = asking(schema)
    root = written(found, good="1", xml_lang="zh")
    assert [one.tag for one in root.iter()] == ["request", "good"]
    assert dict(root.attrib) == {"{http://www.w3.org/XML/1998/namespace}lang": "zh"}
    assert "xml_name" in {finding.code for finding in found.findings}


def test_prefixes_within_names_are_none_in_what_is_read() -> None:
    found = answering(table(permit=table(lang=attribute(name="xml:lang"), owner=TEXT | {"xml": {"name": "p:owner"}})))
    body = '<r><permit xml:lang="zh" xmlns:p="urn:p"><p:owner>o</p:owner></permit></r>'
    assert answer(found, body) == {"lang": "zh", "owner": "o"}


def submit(members: dict[str, Any], **payload: Any) -> tuple[Imported, str]:
    """Import a submission of these members in XML; return it and what is written for a payload."""
    schema = {"type": "object", "properties": members, "xml": {"name": "A"}}
    found = asking(schema)
    made = parse((found.manifest_toml or "").encode())
    _, _, _, body = Prepared(made, made.operations[0]).request({"payload": payload, "key": "k"})
    return found, "".join(line.strip() for line in body.decode().splitlines())


CHILDREN = {"type": "array", "items": table(no=attribute(), given=TEXT) | {"xml": {"name": "child"}}}


def test_a_list_of_texts_is_one_element_for_each_wrapped_or_not() -> None:
    bare = {"tag": {"type": "array", "items": TEXT}}
    assert submit(bare, tag=["a", "<b"])[1].endswith("<A><tag>a</tag><tag>&lt;b</tag></A>")
    assert submit(bare)[1].endswith("<A></A>")
    wrapped = {"tags": {"type": "array", "items": TEXT | {"xml": {"name": "tag"}}, "xml": {"wrapped": True}}}
    assert submit(wrapped, tags={"tag": ["a", "b"]})[1].endswith("<A><tags><tag>a</tag><tag>b</tag></tags></A>")
    assert submit(wrapped)[1].endswith("<A></A>"), "no wrapper around nothing"


def test_a_list_of_records_is_one_element_for_each_with_its_attributes_and_lists_inside() -> None:
    nicks = CHILDREN["items"]["properties"] | {"nick": {"type": "array", "items": TEXT}}
    children = CHILDREN | {"items": CHILDREN["items"] | {"properties": nicks}}
    records = [{"no": "1", "given": "安", "nick": ["x", "y"]}, {"no": "2", "given": "b"}]
    found, body = submit({"children": children, "owner": TEXT}, child=records, owner="o")
    assert body.endswith(
        '<A><child no="1"><given>安</given><nick>x</nick><nick>y</nick></child>'
        '<child no="2"><given>b</given></child><owner>o</owner></A>'
    )
    [example] = only(found).examples
    assert example.values["payload"] == {"child": [{"no": "text", "given": "text", "nick": ["text"]}], "owner": "text"}


def test_two_members_of_one_name_in_two_lists_stay_apart() -> None:
    both = {name: {"type": "array", "items": table(code=TEXT)} for name in ("first", "second")}
    body = submit(both, first=[{"code": "1"}], second=[{"code": "2"}])[1]
    assert body.endswith("<A><first><code>1</code></first><second><code>2</code></second></A>")


def test_the_sandbox_knows_a_request_with_repeated_elements_again() -> None:
    found, _ = submit({"children": CHILDREN})
    made = parse((found.manifest_toml or "").encode())
    form = Simulator(made).books["do_it"].form
    payload = {"child": [{"no": "1", "given": "a"}, {"no": "2", "given": "b"}]}
    asked = as_request(Prepared(made, made.operations[0]), {"payload": payload, "key": "k"})
    assert form.differences(asked, form.facts(asked)) == []


# --- WSDL -------------------------------------------------------------------------------------------------------------


def test_attributes_of_a_schema_are_read_in_soap_replies_too() -> None:
    found = read("rates.wsdl")
    body = (
        '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>'
        '<GetRateResponse><rate currency="CNY" day="2026-01-02">1.5</rate><rate currency="EUR">2</rate>'
        "</GetRateResponse></s:Body></s:Envelope>"
    )
    fields = answer(found, body)
    assert fields["rate"] == ["1.5", "2"]
    assert fields["rate_currency"] == ["CNY", "EUR"]
    assert fields["rate_day"] == ["2026-01-02", None]


def test_a_required_attribute_of_a_text_is_in_the_template() -> None:
    template = only(read("rates.wsdl")).request.template or ""
    assert '<n1:idNumber scheme="{{ payload.id_number.scheme }}">{{ subject.number }}</n1:idNumber>' in template


WSDL = """<definitions xmlns="http://schemas.xmlsoap.org/wsdl/" xmlns:s="http://schemas.xmlsoap.org/wsdl/soap/"
 xmlns:x="http://www.w3.org/2001/XMLSchema" xmlns:t="urn:t" targetNamespace="urn:t" name="Moves"><types>
<x:schema targetNamespace="urn:t" elementFormDefault="qualified">
 <x:complexType name="Person"><x:sequence><x:element name="idNumber" type="x:string"/>
  <x:element name="born" type="x:date" minOccurs="0"/>
  <x:element name="phone" type="x:string" minOccurs="0" maxOccurs="3"/>
 </x:sequence></x:complexType>
 <x:element name="@ASK@"><x:complexType><x:sequence><x:element name="to" type="x:string"/>
  <x:element name="person" type="t:Person" maxOccurs="unbounded"/>
  <x:element name="papers" minOccurs="0"><x:complexType><x:sequence>
   <x:element name="paper" type="x:string" maxOccurs="unbounded"/></x:sequence></x:complexType></x:element>
 </x:sequence></x:complexType></x:element>
 <x:element name="Done"><x:complexType><x:sequence><x:element name="no" type="x:string"/></x:sequence></x:complexType>
 </x:element></x:schema></types>
<message name="i"><part name="p" element="t:@ASK@"/></message>
<message name="o"><part name="p" element="t:Done"/></message>
<portType name="P"><operation name="@ASK@"><input message="t:i"/><output message="t:o"/></operation></portType>
<binding name="B" type="t:P"><s:binding transport="http://schemas.xmlsoap.org/soap/http"/>
 <operation name="@ASK@"><s:operation soapAction=""/><input><s:body use="literal"/></input>
 <output><s:body use="literal"/></output></operation></binding>
<service name="S"><port name="P" binding="t:B"><s:address location="https://moves.example/"/></port></service></definitions>"""


def test_an_element_that_may_come_more_than_once_is_repeated_in_soap() -> None:
    found = imported(WSDL.replace("@ASK@", "RegisterMove"), "m.wsdl", **{"idempotent.register_move": "none"})
    people = [{"id_number": "990101199001010017", "phone": ["1", "2"]}, {"id_number": "990101199001010033"}]
    root = written(found, to="here", person=people, papers={"paper": ["a"]})
    assert [one.text for one in root.iter("{urn:t}idNumber")] == [one["id_number"] for one in people]
    assert [one.text for one in root.iter("{urn:t}phone")] == ["1", "2"]
    assert [one.text for one in root.iter("{urn:t}paper")] == ["a"]
    assert list(written(found, to="here", person=people).iter("{urn:t}papers")) == []
    told = [finding.says.en for finding in found.findings if finding.code == "soap_left_out"]
    assert len(told) == 1
    assert "person.born" in told[0]


def test_a_question_about_people_asks_for_the_one_person() -> None:
    template = only(imported(WSDL.replace("@ASK@", "GetMove"), "m.wsdl")).request.template or ""
    assert "<n1:person>\n    <n1:idNumber>{{ subject.number }}</n1:idNumber>" in template
    assert "{{#each payload.papers}}" in template
