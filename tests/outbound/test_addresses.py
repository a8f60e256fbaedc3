"""Where a connection may go."""

import pytest

from onestop.outbound.addresses import AllowList, look_up
from onestop.outbound.errors import AddressRefused, Unreachable

EVERYTHING = AllowList(["0.0.0.0/0", "::/0"])


def test_an_empty_list_allows_nothing() -> None:
    for address in ("127.0.0.1", "::1", "10.0.0.1", "8.8.8.8"):
        assert AllowList().check(address, 80) is None


@pytest.mark.parametrize(
    ("entry", "address", "port", "allowed"),
    [
        ("127.0.0.0/8:8001-8200", "127.0.0.1", 8001, True),
        ("127.0.0.0/8:8001-8200", "127.9.9.9", 8200, True),
        ("127.0.0.0/8:8001-8200", "127.0.0.1", 8000, False),
        ("127.0.0.0/8:8001-8200", "127.0.0.1", 8201, False),
        ("127.0.0.0/8:8001-8200", "128.0.0.1", 8001, False),
        ("10.1.0.0/16", "10.1.255.255", 1, True),
        ("10.1.0.0/16", "10.2.0.0", 1, False),
        ("10.1.2.3:443", "10.1.2.3", 443, True),
        ("10.1.2.3:443", "10.1.2.4", 443, False),
        ("10.1.2.3:443", "10.1.2.3", 80, False),
        ("fd12::/16", "fd12::1", 80, True),
        ("[fd12::/16]:443", "fd12::1", 443, True),
        ("[fd12::/16]:443", "fd12::1", 80, False),
        ("[fd12::/16]", "fd12::1", 80, True),
        ("::1", "::1", 80, True),
        ("10.0.0.0/8", "::ffff:10.0.0.1", 80, True),
        ("10.0.0.0/8", "::ffff:11.0.0.1", 80, False),
        ("::/0", "10.0.0.1", 80, False),
        ("::/0", "::ffff:10.0.0.1", 80, False),
    ],
)
def test_an_entry_allows_its_network_and_ports(entry: str, address: str, port: int, allowed: bool) -> None:
    assert (AllowList([entry]).check(address, port) is not None) is allowed


def test_an_ipv4_address_in_ipv6_clothes_is_connected_to_as_ipv4() -> None:
    assert AllowList(["10.0.0.0/8"]).choose(["::ffff:10.0.0.1", "11.0.0.1"], 80) == ["10.0.0.1"]


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",
        "0.1.2.3",
        "169.254.169.254",
        "169.254.0.23",
        "100.100.100.200",
        "192.0.0.192",
        "224.0.0.1",
        "239.255.255.250",
        "255.255.255.255",
        "::",
        "fe80::1",
        "fe80::1%eth0",
        "fd12::1%1",
        "ff02::1",
        "fd00:ec2::254",
        "::ffff:169.254.169.254",
        "::ffff:0.0.0.0",
        "::169.254.169.254",
        "::127.0.0.1",
        "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::",
        "2001:0:a9fe:a9fe::",
    ],
)
def test_some_addresses_are_refused_whatever_the_list_says(address: str) -> None:
    assert EVERYTHING.check(address, 80) is None
    with pytest.raises(AddressRefused):
        EVERYTHING.choose([address], 80)


@pytest.mark.parametrize(
    "text", ["localhost", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "", "1.2.3.4.5", "a b"]
)
def test_what_is_no_plain_address_is_no_address(text: str) -> None:
    assert EVERYTHING.check(text, 80) is None


@pytest.mark.parametrize(
    "entry",
    [
        "",
        "localhost",
        "10.0.0.1/8",
        "10.0.0.0/33",
        "10.0.0.0/8:",
        "10.0.0.0/8:80-",
        "10.0.0.0/8:90-80",
        "10.0.0.0/8:65536",
        "10.0.0.0/8:-1",
        "[fd12::/16",
        "[fd12::/16]443",
        "10.0.0.0/8:a",
        "http://10.0.0.1",
    ],
)
def test_an_entry_that_cannot_be_read_is_an_error_at_the_start(entry: str) -> None:
    with pytest.raises(ValueError, match=r"not a"):
        AllowList([entry])


@pytest.mark.anyio
async def test_a_literal_address_is_not_looked_up() -> None:
    assert await look_up("169.254.169.254", 80) == ["169.254.169.254"]
    assert await look_up("::1", 80) == ["::1"]


@pytest.mark.anyio
async def test_other_spellings_of_an_address_are_checked_after_they_are_resolved() -> None:
    for spelling in ("127.1", "2130706433", "0x7f000001", "0177.0.0.1"):
        try:
            found = await look_up(spelling, 80)
        except Unreachable:
            continue
        assert found == ["127.0.0.1"]
        with pytest.raises(AddressRefused):
            AllowList(["10.0.0.0/8"]).choose(found, 80)
