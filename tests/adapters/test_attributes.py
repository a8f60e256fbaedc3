"""A register that answers sealed, from its OpenAPI 3.1 document: a JWE for us, holding a JWS of theirs."""

import json

import pytest
from joserfc.jwk import ECKey

from tests.adapters.servers import LIN, NOBODY, PLAIN, SEALED, STALE, WANG

pytestmark = pytest.mark.anyio


@pytest.fixture
def secrets(servers, recipient):
    return {
        "api_key": SEALED["key"],
        "decrypt_key": json.dumps(recipient.as_dict(private=True)),
        "verify_key": json.dumps(servers.sealed.told("/-/key")),
    }


async def test_a_wrong_key_is_named(open_office, servers, secrets):
    async with open_office("attributes", servers.sealed.url, **secrets | {"api_key": "no"}) as register:
        part = await register.look_up("civil_status", LIN)
        assert (part.state, part.problem.code) == ("denied", "upstream.denied")


@pytest.mark.parametrize(
    "person",
    [WANG, {"number": PLAIN, "name": "赵宁"}, STALE],
    ids=["signed by somebody else", "not sealed at all", "sealed, about somebody else"],
)
async def test_an_answer_that_is_not_the_registers_own_about_this_person_is_not_believed(
    open_office, servers, secrets, person
):
    async with open_office("attributes", servers.sealed.url, **secrets) as register:
        part = await register.look_up("civil_status", person)
        assert (part.state, part.data) == ("unavailable", None)
        assert part.problem.code == "upstream.bad_reply"


async def test_an_answer_sealed_for_another_is_not_opened(open_office, servers, secrets):
    other = json.dumps(ECKey.generate_key("P-256", private=True).as_dict(private=True))
    async with open_office("attributes", servers.sealed.url, **secrets | {"decrypt_key": other}) as register:
        assert (await register.look_up("civil_status", LIN)).problem.code == "upstream.bad_reply"


async def test_a_person_the_register_does_not_know_is_an_answer(open_office, servers, secrets):
    async with open_office("attributes", servers.sealed.url, **secrets) as register:
        part = await register.look_up("civil_status", {"number": NOBODY, "name": "无"})
        assert (part.state, part.found) == ("ok", False)


async def test_a_sealed_answer_is_opened_checked_and_read_in_our_words(open_office, servers, secrets):
    async with open_office("attributes", servers.sealed.url, **secrets) as register:
        part = await register.look_up("civil_status", LIN)
        assert (part.state, part.as_of) == ("ok", "2026-11-01T08:00:00+08:00")
        assert part.data["civil_status"] == "married"
    assert LIN["number"] not in servers.sealed.log
