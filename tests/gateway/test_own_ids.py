"""What a department calls a person: what is taken for an identifier, and that nobody else is sent it."""

import asyncio
import json

import pytest

from onestop.gateway.fanout import Person, gather
from onestop.gateway.line import Line, Where
from onestop.gateway.manifest import BadManifest, parse
from onestop.gateway.models import Ask
from onestop.gateway.own_ids import own_id_of
from onestop.outbound.addresses import AllowList
from tests.gateway.department import department, holds_all, manifest_text

pytestmark = pytest.mark.anyio

NUMBER = "990102199203140221"


@pytest.mark.parametrize("value", [None, "", "  ", "a\nb", "x" * 129, True, 1.5, ["P-1"], {"no": "P-1"}])
def test_what_is_no_identifier_is_none(value):
    assert own_id_of(value) is None


@pytest.mark.parametrize(("value", "kept"), [("P-1", "P-1"), (4711, "4711"), (" 0007 ", "0007"), ("x" * 128,) * 2])
def test_an_identifier_is_kept_as_text(value, kept):
    assert own_id_of(value) == kept


def asking(body: str) -> bytes:
    return manifest_text("one").replace(b'{ id_number = "subject.number" }', body.encode(), 1)


def test_a_manifest_that_sends_another_departments_identifier_is_refused():
    with pytest.raises(BadManifest, match="ADP-141"):
        parse(asking('{ id_number = "subject.number", other = "subject.ids.two" }'))


async def test_a_department_is_sent_its_own_identifier_and_no_other():
    text = asking('{ id_number = "subject.number", own = "subject.ids.one", every = "subject.ids" }')
    async with department(holds_all()) as one:
        line = Line(parse(text), Where(f"http://127.0.0.1:{one.port}", {}), AllowList(["127.0.0.0/8"]))
        asks = [Ask(want="one", adapter="one", operation="query")]
        until = asyncio.get_running_loop().time() + 5
        unknown = await gather({"one": line}, asks, Person(NUMBER, "测", {"two": "T-2"}), deadline=until)
        assert unknown.parts[0].problem.code == "upstream.own_id_unknown"
        assert one.asked == []
        person = Person(NUMBER, "测", {"one": "O-1", "two": "T-2"})
        assert (await gather({"one": line}, asks, person, deadline=until)).parts[0].state == "ok"
        body = json.loads(one.asked[-1][2])
        await line.close()
    assert (body["own"], body["every"]) == ("O-1", {"one": "O-1"})
