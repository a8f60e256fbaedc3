"""Open311 GeoReport v2 in XML, against WireMock: the key in the form, a token at once, the number and the end later."""

import pytest

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("quick")]
BASE = "/open311/v2"
LAMP = {"service_code": "033", "address": "Market Street 8", "description": "The lamp is dark & hangs <loose>"}


@pytest.mark.parametrize(
    ("day", "kind"),
    [("/slow", "timeout"), ("/reset", "cut"), ("/garbage", "bad_reply"), ("/page", "bad_reply")],
)
async def test_a_bad_day_is_one_failed_call_with_a_name(open_office, servers, day, kind):
    async with open_office("open311", servers.open311.url + day, api_key="city-key-1") as city:
        assert (await city.ask("services")).kind == kind


@pytest.mark.parametrize("day", ["/reset", "/garbage", "/page"])
async def test_a_report_that_was_sent_and_not_answered_goes_to_a_person(open_office, servers, day):
    async with open_office("open311", servers.open311.url + day, api_key="city-key-1") as city:
        effect = await city.submit("report", **LAMP)
        assert effect.state == "desk"
        assert effect.attempt == 1


async def test_a_wrong_key_is_named(open_office, servers):
    async with open_office("open311", servers.open311.url + BASE, api_key="no") as city:
        answer = await city.ask("report", **LAMP)
        assert (answer.kind, answer.reason) == ("denied", "Missing or invalid api_key")


async def test_a_report_of_nowhere_is_declined_with_the_citys_own_sentence(open_office, servers):
    async with open_office("open311", servers.open311.url + BASE, api_key="city-key-1") as city:
        effect = await city.submit("report", **LAMP | {"address": None})
        [settled] = city.outcomes(effect.key)
        assert (effect.state, settled.outcome) == ("refused", "declined")
        assert settled.reason == "lat and long, or address_string, must be given"


async def test_the_services_are_read_in_our_words(open_office, servers):
    async with open_office("open311", servers.open311.url + BASE, api_key="city-key-1") as city:
        answer = await city.ask("services")
        assert answer.fields["services"][0] == {"code": "033", "name": "Broken street lamp", "group": "street"}


async def test_a_report_gets_its_number_later_and_ends_closed(open_office, servers):
    async with open_office("open311", servers.open311.url + BASE, api_key="city-key-1") as city:
        effect = await city.submit("report", **LAMP)
        first, *_, last = city.outcomes(effect.key)
        assert (first.outcome, first.reference) == ("pending", "t-70125")
        assert (last.outcome, last.reason) == ("completed", "The lamp was replaced.")
        assert last.result == {"number": "SR-881", "closed_at": "2026-11-21T16:30:00+08:00"}
    addresses = [line for line in servers.open311.log.splitlines() if line.startswith("127.0.0.1 - ")]
    assert not [line for line in addresses if "city-key-1" in line]  # the key is no part of an address
