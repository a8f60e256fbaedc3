"""A Dutch municipality's registers: a JWT of our own, and a submission of four calls that goes on where it stopped."""

import pytest

from tests.adapters.servers import LIN, ZAKEN

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("quick")]
SECRETS = {"client_id": ZAKEN["client_id"], "jwt_key": ZAKEN["secret"]}
ASKED = {"id_number": LIN["number"], "description": "Residence permit"}


def of(books, case_url):
    """What the registers hold of one case: roles and statuses."""
    return [sum(one["zaak"] == case_url for one in books[kind]) for kind in ("rollen", "statussen")]


async def test_a_token_made_with_another_secret_is_refused(open_office, servers):
    async with open_office("zaken", servers.zaken.url, **SECRETS | {"jwt_key": "x" * 32}) as registry:
        answer = await registry.ask("find_case")
        assert answer.kind == "denied"


async def test_four_calls_are_one_submission(open_office, servers):
    async with open_office("zaken", servers.zaken.url, **SECRETS) as registry:
        effect = await registry.submit("open_case", **ASKED)
        [settled] = registry.outcomes(effect.key)
        assert (effect.state, settled.outcome) == ("done", "completed")
        books = servers.zaken.told("/-/books")
        [case] = [one for one in books["zaken"] if one["identificatie"] == effect.key]
        assert settled.reference == case["url"]
        assert settled.result == {"case_url": case["url"], "person_id": LIN["id"]}
        assert of(books, case["url"]) == [1, 1]
    assert LIN["number"] not in servers.zaken.log


@pytest.mark.parametrize("register", ["zaken", "rollen", "statussen"])
async def test_a_connection_cut_between_steps_leaves_exactly_one_of_each(open_office, servers, register):
    async with open_office("zaken", servers.zaken.url, **SECRETS) as registry:
        servers.zaken.tell("/-/cut", {"after": register})
        effect = await registry.submit("open_case", **ASKED)
        [settled] = registry.outcomes(effect.key)
        assert (effect.state, settled.outcome) == ("done", "completed")
        assert effect.attempt >= 2
        books = servers.zaken.told("/-/books")
        [case] = [one for one in books["zaken"] if one["identificatie"] == effect.key]
        assert of(books, case["url"]) == [1, 1]
