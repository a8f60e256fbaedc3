"""The Dutch register of addresses and buildings, from its own OpenAPI document, against Prism behind a front."""

import anyio
import pytest

from tests.adapters.servers import BAG_BASE, BAG_KEY

pytestmark = pytest.mark.anyio


async def test_a_wrong_key_is_named(open_office, servers):
    async with open_office("bag", servers.bag.url + BAG_BASE, api_key="no") as bag:
        answer = await bag.ask("addresses", postcode="6922KZ", house_number=1)
        assert (answer.kind, answer.reason) == ("denied", "Forbidden")


async def test_a_postcode_of_another_country_is_refused_with_the_registers_own_sentence(open_office, servers):
    async with open_office("bag", servers.bag.url + BAG_BASE, api_key=BAG_KEY) as bag:
        answer = await bag.ask("addresses", postcode="100000", house_number=1)
        assert answer.kind == "invalid"
        assert answer.reason.startswith("Ten minste")


async def test_three_pages_are_read_as_one_list_in_the_coordinates_the_register_demands(open_office, servers):
    async with open_office("bag", servers.bag.url + BAG_BASE, api_key=BAG_KEY) as bag:
        answer = await bag.ask("addresses", postcode="6922KZ", house_number=1)
        assert answer.kind == "ok"
        addresses = answer.fields["addresses"]
        assert [a["postcode"] for a in addresses] == ["6922KZ"] * 3
        assert addresses[0]["place"] == "Duiven"
    for _ in range(100):  # the peer answers before it writes its log
        if "page=3" in servers.bag.log:
            break
        await anyio.sleep(0.05)
    pages = [line for line in servers.bag.log.splitlines() if "/adressen?postcode=6922KZ" in line]
    assert [line.split("page=")[1][0] for line in pages if "page=" in line][-2:] == ["2", "3"]


async def test_one_address_is_found_by_its_number(open_office, servers):
    async with open_office("bag", servers.bag.url + BAG_BASE, api_key=BAG_KEY) as bag:
        answer = await bag.ask("address", nummeraanduiding="0226200000038923")
        assert (answer.kind, answer.fields["postcode"]) == ("ok", "6922KZ")
