"""A Chinese city's gateway, from its Swagger 2.0 document: signed headers, errcode inside 200, pages in the body."""

import time

import pytest

from tests.adapters.servers import CHEN, LIN, NOBODY, WANG, XTIF

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("quick")]
SECRETS = {"paasid": XTIF["paasid"], "token": XTIF["token"]}
BASE = "/ebus"


@pytest.mark.parametrize(("wrong", "says"), [("token", "签名错误"), ("paasid", "paasid 不存在")])
async def test_a_wrong_secret_is_refused_by_a_gateway_that_checks_for_itself(open_office, servers, wrong, says):
    async with open_office("xtif", servers.xtif.url + BASE, **SECRETS | {wrong: "other"}) as city:
        part = await city.look_up("residence_permits", LIN)
        assert (part.state, part.problem.code) == ("denied", "upstream.denied")
        answer = await city.ask("apply", id_number=LIN["number"], matter="renew")
        assert (answer.kind, answer.reason) == ("denied", says)


async def test_a_clock_that_goes_wrong_is_refused(open_office, servers, monkeypatch):
    real = time.time
    async with open_office("xtif", servers.xtif.url + BASE, **SECRETS) as city:
        monkeypatch.setattr(time, "time", lambda: real() - 600)
        answer = await city.ask("apply", id_number=LIN["number"], matter="renew")
        assert (answer.kind, answer.reason) == ("denied", "时间戳已过期")


async def test_a_nonce_is_never_used_twice(open_office, servers):
    async with open_office("xtif", servers.xtif.url + BASE, **SECRETS) as city:
        for _ in range(20):
            assert (await city.look_up("residence_permits", CHEN)).state == "ok"


async def test_nobodys_record_and_an_empty_one_are_answers(open_office, servers):
    async with open_office("xtif", servers.xtif.url + BASE, **SECRETS) as city:
        nobody = await city.look_up("residence_permits", {"number": NOBODY, "name": "无"})
        assert (nobody.state, nobody.found) == ("ok", False)
        none = await city.look_up("residence_permits", WANG)
        assert (none.state, none.found) == ("ok", False)


async def test_three_pages_of_permits_come_as_one_list_in_our_words(open_office, servers):
    async with open_office("xtif", servers.xtif.url + BASE, **SECRETS) as city:
        part = await city.look_up("residence_permits", LIN)
        assert (part.state, part.as_of) == ("ok", "2026-11-01T08:30:00+08:00")
        permits = part.data["permits"]
        assert [permit["number"] for permit in permits] == ["JZ1", "JZ2", "JZ3", "JZ4", "JZ5"]
        assert permits[0]["valid_from"] == "2024-03-01"
        assert [permit["long_term"] for permit in permits] == [True, False, True, False, True]
    assert LIN["number"] not in servers.xtif.log


async def test_an_application_that_is_not_open_is_declined(open_office, servers):
    async with open_office("xtif", servers.xtif.url + BASE, **SECRETS) as city:
        effect = await city.submit("apply", id_number=LIN["number"], matter="unknown")
        [settled] = city.outcomes(effect.key)
        assert (settled.outcome, settled.reason) == ("declined", "事项未开通")


async def test_an_application_cut_after_the_effect_is_sent_again_and_is_one(open_office, servers):
    before = len(servers.xtif.told("/-/applied"))
    async with open_office("xtif", servers.xtif.url + BASE, **SECRETS) as city:
        effect = await city.submit("apply", id_number=LIN["number"], matter="cut")
        [settled] = city.outcomes(effect.key)
        assert (settled.outcome, effect.attempt) == ("completed", 2)
        assert settled.result["accepted_at"].endswith("+08:00")
    assert servers.xtif.told("/-/applied")[before:] == [effect.key]


async def test_a_slow_day_is_a_part_that_is_not_there_yet(open_office, servers):
    async with open_office("xtif", servers.xtif.url + "/slow", **SECRETS) as city:
        part = await city.look_up("residence_permits", LIN, within_s=0.4)
        assert part.state == "pending"
