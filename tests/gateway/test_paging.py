"""Long answers in pages, over real sockets: read as one whole, or not at all."""

import contextlib
import json
from contextlib import asynccontextmanager
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onestop.gateway.line import Line, Where
from onestop.gateway.links import LinkUnreadable, links
from onestop.gateway.manifest import BadManifest, parse
from onestop.gateway.paging import PageSpoiled, within
from onestop.outbound.addresses import AllowList
from tests.gateway.department import department, manifest_text

pytestmark = pytest.mark.anyio

LIN, ZHOU = "990102199203140221", "990102199008210351"
RECORDS = [{"n": n} for n in range(5)]
QUERY = """
method = "GET"
path = "/records"
request_codec = "none"
reply.subject = "who"
reply.fields = { all = { each = "items", fields = { n = "n" } } }
paging = %s
"""


def manifest(paging):
    text = manifest_text("one").decode()
    begin, end = text.index('method = "POST"'), text.index("purpose", text.index('path = "/query"'))
    text = text[:begin] + text[end:]
    body, query = ('request.body = { id_number = "subject.number" }', 'request.query = { id = "subject.number" }')
    text = text.replace(body, query, 1)
    begin = text.index('reply.found = "data"')
    end = text.index("[[operations]]", begin)
    return parse((text[:begin] + QUERY % paging + "\n" + text[end:]).encode())


class Book:
    """Five records, two a page; what is asked is remembered."""

    def __init__(self, reply):
        self.reply, self.asked = reply, []

    async def __call__(self, path, headers, body):
        url = urlsplit(path)
        told = {name: values[0] for name, values in parse_qs(url.query).items()}
        self.asked.append((url.path, told))
        return self.reply(url.path, told, len(self.asked))


@asynccontextmanager
async def book(paging, reply):
    told = Book(reply)
    async with department(told) as served:
        line = Line(manifest(paging), Where(f"http://127.0.0.1:{served.port}/v1", {}), AllowList(["127.0.0.0/8"]))
        try:
            yield line, told
        finally:
            await line.close()


async def ask(line):
    return await line.ask("query", {"subject": {"number": LIN, "name": "林"}}, 2.0, LIN)


def page(begin, **more):
    return 200, json.dumps({"who": LIN, "items": RECORDS[begin : begin + 2], **more}).encode()


def by_number(path, told, _):
    return page((int(told["page"]) - 1) * 2)


def by_offset(path, told, _):
    return page(int(told["from"]), total=5)


def by_place(path, told, _):
    return page(int(told["startIndex"]) - 1, total=5)


def by_cursor(path, told, _):
    begin = int(told.get("after", "0"))
    return page(begin, next=str(begin + 2) if begin + 2 < 5 else None)


def by_address(path, told, _):
    begin = int(told.get("start", "0"))
    return page(begin, next=f"/v1/records?start={begin + 2}" if begin + 2 < 5 else None)


STYLES = {
    "page": ('{ style = "page", items = "items", size = 2, size_parameter = "size" }', by_number),
    "offset": ('{ style = "offset", items = "items", parameter = "from", size = 2, total = "total" }', by_offset),
    "place": (
        '{ style = "offset", items = "items", parameter = "startIndex", first = 1, size = 2, total = "total" }',
        by_place,
    ),
    "cursor": ('{ style = "cursor", items = "items", parameter = "after", next = "next" }', by_cursor),
    "next": ('{ style = "next", items = "items", next = "next" }', by_address),
}


@pytest.mark.parametrize("style", STYLES)
async def test_pages_of_every_style_are_read_as_one_list_in_order(style):
    paging, reply = STYLES[style]
    async with book(paging, reply) as (line, told):
        answer = await ask(line)
        assert answer.kind == "ok", answer.reason
        assert answer.fields == {"all": RECORDS}
        assert len(told.asked) == 3
        assert all(path == "/v1/records" for path, _ in told.asked)
        assert line.admission.busy == 0


async def test_a_cursor_that_is_not_there_yet_is_not_sent():
    paging, reply = STYLES["cursor"]
    async with book(paging, reply) as (line, told):
        await ask(line)
        assert [asked.get("after") for _, asked in told.asked] == [None, "2", "4"]


@pytest.mark.parametrize(
    ("following", "fact"),
    [
        ("http://127.0.0.2:9/v1/records", "page_elsewhere"),
        ("https://127.0.0.1/v1/records", "page_elsewhere"),
        ("//evil.example/v1/records", "page_elsewhere"),
        ("/admin?start=2", "page_elsewhere"),
        ("/v1/../admin", "page_elsewhere"),
        ("/v1/records?start=2", "page_repeats"),
    ],
)
async def test_a_page_elsewhere_or_twice_spoils_the_whole(following, fact):
    async with book(STYLES["next"][0], lambda *_: page(0, next=following)) as (line, told):
        answer = await ask(line)
        assert (answer.kind, answer.fact.code) == ("bad_reply", fact)
        assert answer.fields is None
        assert all(path == "/v1/records" for path, _ in told.asked)


async def test_more_pages_than_agreed_are_never_a_shorter_list():
    paging = '{ style = "cursor", items = "items", parameter = "after", next = "next", most_pages = 3 }'
    async with book(STYLES["page"][0], lambda *_: page(0)) as (line, told):  # takes no notice of the number
        answer = await ask(line)
        assert (answer.kind, answer.fact.code, len(told.asked)) == ("bad_reply", "page_repeats", 2)
    async with book(paging, lambda _, __, nth: page(nth - 1, next=str(nth))) as (line, told):
        answer = await ask(line)
        assert (answer.kind, answer.fact.code, len(told.asked)) == ("bad_reply", "pages_too_many", 3)


async def test_a_page_about_somebody_else_or_a_failing_one_spoils_the_whole():
    def somebody_else(_, told, nth):
        status, body = by_cursor(_, told, nth)
        return status, body.replace(LIN.encode(), ZHOU.encode()) if nth == 2 else body

    async with book(STYLES["cursor"][0], somebody_else) as (line, _):
        answer = await ask(line)
        assert (answer.kind, answer.fact.code) == ("bad_reply", "subject_mismatch")
    async with book(STYLES["cursor"][0], lambda p, t, nth: (500, b"{}") if nth == 2 else by_cursor(p, t, nth)) as (
        line,
        _,
    ):
        assert (await ask(line)).kind == "down"


async def test_a_list_that_is_no_plain_path_cannot_be_joined():
    with pytest.raises(BadManifest, match="plain path"):
        Line(
            manifest('{ style = "next", items = "items | first", next = "next" }'),
            Where("http://127.0.0.1:9", {}),
            AllowList([]),
        )


# ---- a list that is not whole is never said to be --------------------------------------------------------------------

CURSOR = STYLES["cursor"][0]
COUNTED = '{ style = "page", items = "items", size = 2, size_parameter = "size", total = "total" }'


async def test_not_found_on_a_later_page_is_not_the_word_that_there_is_no_record():
    paging = CURSOR + '\nerrors = [{ status = 404, outcome = "not_found" }]'
    async with book(paging, lambda p, t, nth: (404, b"{}") if nth == 2 else by_cursor(p, t, nth)) as (line, _):
        assert (await ask(line)).kind == "bad_reply"
    async with book(paging, lambda *_: (404, b"{}")) as (line, _):
        assert (await ask(line)).kind == "not_found"


@pytest.mark.parametrize(
    ("paging", "reply"),
    [
        (COUNTED, lambda _, __, nth: page(0 if nth == 1 else 99, total=5)),
        (CURSOR.replace(" }", ', total = "total" }'), lambda *_: page(0, total=5)),
    ],
)
async def test_pages_that_end_before_their_own_total_are_no_whole(paging, reply):
    async with book(paging, reply) as (line, _):
        answer = await ask(line)
        assert (answer.kind, answer.fact.code) == ("bad_reply", "pages_short")


async def test_more_records_than_a_mapping_reads_are_not_cut_off():
    paging = '{ style = "page", items = "items", size = 400, size_parameter = "size" }\nmax_reply_bytes = 1000000'

    def reply(_, told, nth):
        items = [{"n": n} for n in range((nth - 1) * 400, min(nth * 400, 1100))]
        return 200, json.dumps({"who": LIN, "items": items}).encode()

    async with book(paging, reply) as (line, _):
        answer = await ask(line)
        assert (answer.kind, answer.fact.code) == ("bad_reply", "items_too_many")


async def test_a_page_of_a_size_nobody_told_is_not_taken_for_the_last():
    async with book('{ style = "page", items = "items" }', by_number) as (line, told):
        assert (await ask(line)).fields == {"all": RECORDS}
        assert len(told.asked) == 4, "an empty page is the last"


@pytest.mark.parametrize("told", ["/v1/%2e%2e/admin", "/v1/%2E./admin", "/v1/..%2fadmin", "/v1/..\\admin"])
def test_a_step_upwards_in_another_spelling_is_elsewhere(told):
    with pytest.raises(PageSpoiled):
        within(told, "http://127.0.0.1:9", "/v1", "/v1/records")


LINKED = [  # each written as some server does; `%s` is where the next page is
    'Link: <%s>; rel="next"',
    "Link: <%s>; rel=next",
    'link: </v1/records?start=0>; rel="first", <%s>; rel="next"',
    'Link: <%s>;title="a, b; rel=\\"prev\\" <x>"; REL="last  NEXT"',
    'Link: </style.css>; rel=preload; as=style\r\nLink: <%s> ; type = "application/json" ; rel = next ; x',
    'Link: , <%s>;; rel="https://example.com/rel next"; rel="prev",',
    'Link: </v1/other>; rel=next; anchor="/v1/other", <%s>; rel="next"',
    'Link: <%s>; rel="next", <%s>; rel="next"; type="application/json"',
]


@asynccontextmanager
async def linked(header, reply=None):
    """A department of five records, two a page, whose Link header is written as `header` says."""

    def by_link(path, told, nth):
        begin = int(told.get("start", "0"))
        target = f"{path}?start={begin + 2}" if "?" not in reply_to else reply_to % (begin + 2)
        last = begin + 2 >= 5
        served.headers = b"" if last else (header.replace("%s", target) + "\r\n").encode()
        return page(begin)

    reply_to = reply or ""
    told = Book(by_link)
    async with department(told) as served:
        where = Where(f"http://127.0.0.1:{served.port}/v1", {})
        line = Line(manifest('{ style = "link", items = "items" }'), where, AllowList(["127.0.0.0/8"]))
        try:
            yield line, told, served
        finally:
            await line.close()


@pytest.mark.parametrize("header", LINKED)
async def test_link_headers_lead_from_page_to_page_however_they_are_written(header):
    async with linked(header) as (line, told, _):
        answer = await ask(line)
        assert (answer.kind, answer.fields) == ("ok", {"all": RECORDS})
        assert len(told.asked) == 3


@pytest.mark.parametrize("target", ["?start=%s", "records?start=%s", "./records?start=%s", "/v1/records?start=%s#x"])
async def test_a_relative_target_is_read_from_the_page_it_stands_on(target):
    async with linked('Link: <%s>; rel="next"', target) as (line, told, _):
        assert (await ask(line)).fields == {"all": RECORDS}
        assert {path for path, _ in told.asked} == {"/v1/records"}


@pytest.mark.parametrize(
    ("header", "fact"),
    [
        ('Link: <http://127.0.0.2:9/v1/records>; rel="next"', "page_elsewhere"),
        ('Link: <http://[::1/records>; rel="next"', "page_elsewhere"),
        ('Link: <../admin>; rel="next"', "page_elsewhere"),
        ('Link: <https://evil@127.0.0.1/v1/records>; rel="next"', "page_elsewhere"),
        ('Link: <>; rel="next"', "page_repeats"),
        ('Link: </v1/records?start=2>; rel="next", </v1/records?start=4>; rel="next"', "links_differ"),
        ('Link: </v1/records?start=2; rel="next"', "link_unreadable"),
        ('Link: </v1/records?start=2>; rel="next', "link_unreadable"),
        ('Link: </v1/records?start=2> rel="next"', "link_unreadable"),
        ('Link: </v1/records?start=2>; rel="next"; anchor="#part"', "link_unreadable"),
        ("Link: /v1/records?start=2; rel=next", "link_unreadable"),
    ],
)
async def test_a_link_that_leads_astray_or_cannot_be_read_spoils_the_whole(header, fact):
    async with linked(header) as (line, told, _):
        answer = await ask(line)
        assert (answer.kind, answer.fact.code, answer.fields) == ("bad_reply", fact, None)
        assert all(path == "/v1/records" for path, _ in told.asked)


async def test_links_that_name_no_next_page_end_the_list():
    async with linked('Link: <%s>; rel="prev"; title="next", <%s>; rev=next, </a>; rel=nextish') as (line, told, _):
        assert (await ask(line)).fields == {"all": RECORDS[:2]}
        assert len(told.asked) == 1


def test_a_relative_address_is_read_from_the_filled_path_and_default_ports_are_one_place():
    assert within("b?p=2", "https://h", "/v1", "/v1/x/a?p=1") == ("/v1/x/b", "p=2")
    assert within("https://H:443/v1/b", "https://h", "/v1", "/v1/a") == ("/v1/b", "")
    assert within("", "https://h", "/v1", "/v1/a?p=1") == ("/v1/a", "p=1")


@given(st.text('<>;,="\\ \tnextrel/?a#', max_size=60))
def test_any_text_in_a_link_header_is_read_or_refused(text):
    with contextlib.suppress(LinkUnreadable):
        assert all(link.target == link.target.strip() for link in links(text))


async def test_fields_may_come_from_headers():
    text = (
        '{ style = "next", items = "items", next = "next" }\nreply.header_fields = { etag = "ETag", none = "X-None" }'
    )
    told = Book(lambda *_: page(4))
    async with department(told) as served:
        served.headers = b'ETag: "7"\r\n'
        line = Line(manifest(text), Where(f"http://127.0.0.1:{served.port}/v1", {}), AllowList(["127.0.0.0/8"]))
        assert (await ask(line)).fields == {"all": [{"n": 4}], "etag": '"7"', "none": None}
        await line.close()
