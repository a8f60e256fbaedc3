"""How a document's pages come into the manifest, and what is asked where it does not tell."""

import json
from typing import Any

import pytest

from onestop.gateway.manifest import Operation, Paging, parse
from onestop.gateway.mapping.language import expression
from onestop.gateway.operations import Prepared
from onestop.onboarding.importing.models import Imported
from tests.onboarding.importing.conftest import imported

ROWS = {"type": "array", "items": {"type": "object", "properties": {"a": {"type": "string"}}}}
NUMBER = {"type": "integer"}
TEXT = {"type": "string"}


def table(**members: Any) -> dict[str, Any]:
    return {"type": "object", "properties": members}


def listing(
    reply: dict[str, Any],
    query: dict[str, Any] | None = None,
    body: dict[str, Any] | None = None,
    *,
    headers: tuple[str, ...] = (),
    media: str = "application/json",
    about: str = "",
    form: str = "application/json",
    required: bool = False,
    **told: Any,
) -> Imported:
    """Import one query that answers `reply`."""
    answer = {"description": "", "headers": {name: {} for name in headers}, "content": {media: {"schema": reply}}}
    parameters = [
        {"name": name, "in": "query", "required": required, "description": schema.get("description", ""),
         "schema": schema}
        for name, schema in (query or {}).items()
    ]  # fmt: skip
    operation: dict[str, Any] = {
        "operationId": "searchThings", "summary": "Search", "description": about, "parameters": parameters,
        "responses": {"200": answer},
    }  # fmt: skip
    if body is not None:
        operation["requestBody"] = {"content": {form: {"schema": body}}}
    paths = {"/things/search": {"post" if body is not None else "get": operation}}
    document = {"openapi": "3.0.3", "info": {"title": "Lists"}, "paths": paths}
    return imported(json.dumps(document), **{"kind.search_things": "query"}, **told)


def only(found: Imported) -> Operation:
    assert found.manifest_toml is not None, found.open
    (operation,) = parse(found.manifest_toml.encode()).operations
    return operation


def paging(found: Imported) -> Paging:
    told = only(found).paging
    assert told is not None
    return told


def asked(found: Imported) -> set[str]:
    return {question.id for question in found.questions if question.id.startswith("paging")}


# --- in the body ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["application/json", "application/x-www-form-urlencoded"])
def test_page_and_size_in_a_body_are_sent_by_the_gateway_and_not_by_the_mapping(form: str) -> None:
    size = {"type": "integer", "description": "每页条数，最大 20"}
    found = listing(
        table(code=TEXT, msg=TEXT, data=table(total=NUMBER, rows=ROWS)),
        body=table(sfzh=TEXT, pageNum={"type": "integer", "minimum": 1}, pageSize=size),
        form=form,
    )
    told = paging(found)
    assert (told.style, told.place, told.parameter, told.first) == ("page", "body", "pageNum", 1)
    assert (told.size_parameter, told.size, told.total, told.items) == ("pageSize", 20, "data.total", "data.rows")
    assert only(found).request.body == {"sfzh": "subject.number"}
    assert asked(found) == set()


def test_a_table_of_pages_inside_a_body_is_filled_by_path() -> None:
    page = table(no={"type": "integer", "description": "页码，从 1 开始"}, size={"type": "integer", "maximum": 100})
    found = listing(table(rows=ROWS, total=NUMBER), body=table(idNo=TEXT, page=page))
    made = only(found)
    assert made.paging is not None
    assert (made.paging.parameter, made.paging.size_parameter) == ("page.no", "page.size")
    prepared = Prepared(parse((found.manifest_toml or "").encode()), made)
    _, _, _, written = prepared.request({"subject": {"number": "990101199001010017"}, "payload": {}})
    assert json.loads(written) == {"idNo": "990101199001010017", "page": {"no": 1, "size": 50}}


def test_offset_and_limit_in_a_body_are_pages() -> None:
    found = listing(table(items=ROWS, total=NUMBER), body=table(q=TEXT, offset=NUMBER, limit=NUMBER))
    assert (paging(found).style, paging(found).place) == ("offset", "body")


def test_a_cursor_in_a_body_goes_back() -> None:
    found = listing(
        table(items=ROWS, nextCursor=TEXT), body=table(q=TEXT, cursor=TEXT, limit={"type": "integer", "maximum": 20})
    )
    told = paging(found)
    assert (told.style, told.place, told.parameter, told.next, told.size) == (
        "cursor", "body", "cursor", "nextCursor", 20,
    )  # fmt: skip


def test_a_member_that_may_mean_something_else_turns_no_pages() -> None:
    found = listing(table(items=ROWS), body=table(current=TEXT, start=TEXT))
    assert only(found).paging is None
    assert only(found).request.body == {"current": "payload.current", "start": "payload.start"}


# --- links ------------------------------------------------------------------------------------------------------------


HREF = table(href=TEXT)
RELATED = {"type": "array", "items": table(rel=TEXT, href=TEXT)}


@pytest.mark.parametrize(
    ("reply", "media", "source", "page", "address"),
    [
        (table(_links=table(next=HREF), items=ROWS), "application/hal+json", "_links.next.href",
         {"_links": {"next": {"href": "/b"}}}, "/b"),
        (table(_links={"type": "object"}, items=ROWS), "application/hal+json", "_links.next.href",
         {"_links": {"next": {"href": "/b"}}}, "/b"),
        (table(data=ROWS, links=table(self=TEXT, next=TEXT)), "application/vnd.api+json", "links.next",
         {"links": {"next": "/b"}}, "/b"),
        (table(**{"value": ROWS, "@odata.nextLink": TEXT}), "application/json", '"@odata.nextLink"',
         {"@odata.nextLink": "/b"}, "/b"),
        (table(results=ROWS, count=NUMBER, next={"type": "string", "format": "uri", "nullable": True}),
         "application/json", "next", {"next": "/b"}, "/b"),
        (table(items=ROWS, meta=table(pagination=table(next_page_url=TEXT))), "application/json",
         "meta.pagination.next_page_url", {"meta": {"pagination": {"next_page_url": "/b"}}}, "/b"),
        (table(items=ROWS, links=RELATED), "application/json", "links | where(rel,next) | first | get(href)",
         {"links": [{"rel": "self", "href": "/a"}, {"rel": "next", "href": "/b"}]}, "/b"),
        (table(items=ROWS, links=RELATED), "application/json", "links | where(rel,next) | first | get(href)",
         {"links": [{"rel": "self", "href": "/a"}]}, None),
    ],
)  # fmt: skip
def test_the_next_pages_address_is_read_where_the_document_has_it(
    reply: dict[str, Any], media: str, source: str, page: Any, address: str | None
) -> None:
    told = paging(listing(reply, {"page": NUMBER}, media=media))
    assert (told.style, told.next) == ("next", source)
    assert expression(source)(page) == address


@pytest.mark.parametrize("following", ["/b", {"href": "/b"}])
def test_a_link_that_may_be_a_text_or_a_table_is_read_as_either(following: Any) -> None:
    link = {"oneOf": [TEXT, HREF, {"type": "null"}]}
    told = paging(listing(table(data=ROWS, links=table(next=link)), {"page[number]": NUMBER}))
    assert expression(told.next or "")({"links": {"next": following}}) == "/b"
    assert expression(told.next or "")({"links": {"next": None}}) is None


@pytest.mark.parametrize(("headers", "about"), [(("link",), ""), ((), "The `Link` header leads to the next page.")])
def test_a_bare_list_goes_on_by_its_link_header(headers: tuple[str, ...], about: str) -> None:
    size = {"type": "integer", "maximum": 10}
    told = paging(listing(ROWS, {"page": NUMBER, "per_page": size}, headers=headers, about=about))
    assert (told.style, told.items, told.size_parameter, told.size) == ("link", ".", "per_page", 10)


def test_next_beside_a_cursor_is_a_question() -> None:
    reply = table(items=ROWS, next=TEXT)
    found = listing(reply, {"cursor": TEXT})
    assert asked(found) == {"paging.next.search_things"}
    assert paging(found).style == "cursor"
    assert paging(listing(reply, {"cursor": TEXT}, **{"paging.next.search_things": "next"})).style == "next"


# --- where pages begin, how long they are, what they count ---------------------------------------------------------


@pytest.mark.parametrize(
    ("schema", "first", "question"),
    [
        ({"type": "integer", "minimum": 0}, 0, False),
        ({"type": "integer", "minimum": 1}, 1, False),
        ({"type": "integer", "default": 0}, 0, False),
        ({"type": "integer", "description": "Page number, zero-based"}, 0, False),
        ({"type": "integer", "description": "页码，从1开始"}, 1, False),
        ({"type": "string", "minLength": 1}, 1, True),
    ],
)
def test_the_number_of_the_first_page_is_told_or_asked(schema: Any, first: int, question: bool) -> None:
    found = listing(table(items=ROWS, total=NUMBER), {"page": schema, "size": NUMBER})
    assert paging(found).first == first
    assert ("paging.first.search_things" in asked(found)) is question


def test_without_a_total_the_documents_own_page_size_is_asked_for() -> None:
    usual = {"type": "integer", "default": 10}
    page = {"type": "integer", "minimum": 1}
    assert paging(listing(table(items=ROWS), {"page": page, "size": usual})).size == 10
    assert paging(listing(table(items=ROWS, total=NUMBER), {"page": page, "size": usual})).size == 50
    untold = listing(table(items=ROWS), {"page": page, "size": NUMBER})
    assert asked(untold) == {"paging.size.search_things"}
    assert (
        paging(listing(table(items=ROWS), {"page": page, "size": NUMBER}, **{"paging.size.search_things": 25})).size
        == 25
    )


def test_a_count_that_may_be_one_pages_is_not_taken_for_the_whole() -> None:
    query = {"page": {"type": "integer", "minimum": 1}, "size": {"type": "integer", "maximum": 5}}
    assert paging(listing(table(items=ROWS, count=NUMBER), query)).total is None
    all_of_them = {"type": "integer", "description": "Total number of hits"}
    assert paging(listing(table(items=ROWS, count=all_of_them), query)).total == "count"
    assert paging(listing(table(items=ROWS, total={"type": "integer", "description": "总页数"}), query)).total is None


def test_required_paging_parameters_are_no_question() -> None:
    found = listing(
        table(items=ROWS, total=NUMBER), {"page": {"type": "integer", "minimum": 1}, "rows": NUMBER}, required=True
    )
    assert only(found).request.query == {}
    assert not {question.id for question in found.questions if question.id.startswith("source")}


@pytest.mark.parametrize(
    ("query", "media", "reply", "first"),
    [
        ({"startIndex": NUMBER | {"minimum": 1}, "count": NUMBER}, "application/json", table(Resources=ROWS), 1),
        ({"offset": NUMBER | {"minimum": 1}, "limit": NUMBER}, "application/json", table(items=ROWS), 1),
        ({"offset": NUMBER | {"description": "从 1 开始"}}, "application/json", table(items=ROWS), 1),
        ({"startIndex": NUMBER | {"minimum": 0}}, "application/json", table(items=ROWS), 0),
        ({"startIndex": NUMBER, "count": NUMBER}, "application/scim+json", table(Resources=ROWS), 1),
        ({"startIndex": NUMBER}, "application/json", table(totalResults=NUMBER, itemsPerPage=NUMBER, items=ROWS), 1),
        ({"skip": NUMBER, "top": NUMBER}, "application/json", table(value=ROWS), 0),
    ],
)
def test_an_offset_begins_where_the_document_or_its_kind_says(query, media, reply, first) -> None:
    found = listing(reply, query, media=media)
    told = paging(found)
    assert (told.style, told.first) == ("offset", first)
    assert not any(name.startswith("paging.first") for name in asked(found))


def test_a_place_that_may_count_from_nought_or_one_is_asked() -> None:
    query = {"startIndex": NUMBER, "count": NUMBER}
    assert listing(table(items=ROWS), query).open == ("paging.first.search_things",)
    assert paging(listing(table(items=ROWS), query, **{"paging.first.search_things": "0"})).first == 0


def test_a_cursor_without_a_word_of_what_follows_is_named() -> None:
    found = listing(table(items=ROWS), {"after": TEXT, "limit": NUMBER})
    assert only(found).paging is None
    assert "paging_unclear" in {finding.code for finding in found.findings}


def test_which_of_two_lists_has_the_pages_is_asked() -> None:
    reply = table(left=ROWS, right=ROWS, total=NUMBER)
    query = {"page": {"type": "integer", "minimum": 1}}
    assert "paging.items.search_things" in listing(reply, query).open
    assert paging(listing(reply, query, **{"paging.items.search_things": "right"})).items == "right"


@pytest.mark.parametrize(
    ("names", "style"),
    [
        (("page[number]", "page[size]"), "page"),
        (("page[offset]", "page[limit]"), "offset"),
        (("$skip", "$top"), "offset"),
        (("ym", "mys"), "page"),
    ],
)
def test_the_usual_names_of_many_houses_are_known(names: tuple[str, str], style: str) -> None:
    told = paging(listing(table(data=ROWS, total=NUMBER), dict.fromkeys(names, NUMBER)))
    assert (told.style, told.parameter, told.size_parameter) == (style, *names)


def test_a_parameter_is_known_by_what_is_said_of_it() -> None:
    query = {
        "xh": {"type": "integer", "description": "页码，从0开始"},
        "ts": {"type": "integer", "description": "每页条数"},
    }
    told = paging(listing(table(list=ROWS, total=NUMBER), query))
    assert (told.parameter, told.first, told.size_parameter) == ("xh", 0, "ts")
