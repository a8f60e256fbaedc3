"""A payment hub in SOAP, from its WSDL with an imported schema, against npm's soap."""

import pytest

from tests.adapters.servers import NODO

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("quick")]
SECRETS = {"username": NODO["username"], "password": NODO["password"], "subscription_key": NODO["key"]}
CREDITOR = "77777777777"


@pytest.mark.parametrize("wrong", ["password", "subscription_key"])
async def test_a_wrong_secret_is_a_refusal(open_office, servers, wrong):
    async with open_office("nodo", servers.nodo.url, **SECRETS | {wrong: "no"}) as hub:
        answer = await hub.ask("verify_payment_notice", creditor=CREDITOR, notice="302000100000009424")
        assert answer.kind == "denied"


async def test_ko_inside_200_is_a_refusal_with_the_hubs_own_sentence(open_office, servers):
    async with open_office("nodo", servers.nodo.url, **SECRETS) as hub:
        expired = await hub.ask("verify_payment_notice", creditor=CREDITOR, notice="302000100000009410")
        assert (expired.kind, expired.reason) == ("declined", "the due date has passed")
        unknown = await hub.ask("verify_payment_notice", creditor=CREDITOR, notice="302000100000009404")
        assert unknown.kind == "not_found"
        broken = await hub.ask("verify_payment_notice", creditor=CREDITOR, notice="302000100000009999")
        assert (broken.kind, broken.reason) == ("down", "The hub cannot answer")


async def test_a_notice_is_verified_in_our_words(open_office, servers):
    async with open_office("nodo", servers.nodo.url, **SECRETS) as hub:
        answer = await hub.ask("verify_payment_notice", creditor=CREDITOR, notice="302000100000009424")
        assert answer.fields == {
            "amount_fen": 1250,
            "due_on": "2026-12-31",
            "what_for": "Residence permit",
            "creditor": "Comune di Prova",
        }


async def test_what_a_citizen_wrote_cannot_become_an_element(open_office, servers):
    async with open_office("nodo", servers.nodo.url, **SECRETS) as hub:
        notice = "302000100000009424</noticeNumber><noticeNumber>302000100000009404"
        answer = await hub.ask("verify_payment_notice", creditor=CREDITOR, notice=notice)
        assert (answer.kind, answer.reason) != ("ok", None)
        assert answer.kind == "not_found"  # the whole text was the notice's number, and it ends in 404


async def test_a_payment_begins_once_and_a_refused_one_never(open_office, servers):
    before = len(servers.nodo.told("/-/paid"))
    async with open_office("nodo", servers.nodo.url, **SECRETS) as hub:
        asked = {"creditor": CREDITOR, "amount_yuan": "12.50"}
        no = await hub.submit("activate_payment_notice", notice="302000100000009409", **asked)
        [refused] = hub.outcomes(no.key)
        assert (refused.outcome, refused.reason) == ("declined", "paid on another channel")
        done = await hub.submit("activate_payment_notice", notice="302000100000009424", **asked)
        [settled] = hub.outcomes(done.key)
        assert settled.outcome == "completed"
        assert settled.result["amount_fen"] == 1250
    paid = servers.nodo.told("/-/paid")[before:]
    assert paid == [[settled.reference, "12.50"]]
