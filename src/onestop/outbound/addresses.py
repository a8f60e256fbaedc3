"""Where a connection may go: an allow list of networks and ports, checked after the name is resolved."""

import asyncio
import ipaddress
import socket
from collections.abc import Iterable

from onestop.outbound.errors import AddressRefused, Unreachable

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# Refused even if a list allows them: no department lives there, but a cloud's metadata service does, and the
# tunnelled forms would carry a forbidden IPv4 address past the list.
_NEVER: tuple[Network, ...] = tuple(
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8",  # unspecified, "this host"
        "169.254.0.0/16",  # link-local; metadata services
        "100.100.100.200/32",  # metadata, Alibaba Cloud
        "192.0.0.192/32",  # metadata, Oracle Cloud
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
        "::/128",
        "fe80::/10",  # link-local
        "fec0::/10",  # site-local, withdrawn
        "ff00::/8",  # multicast
        "fd00:ec2::/32",  # metadata, AWS
        "64:ff9b::/96",  # NAT64
        "64:ff9b:1::/48",
        "2001::/32",  # Teredo
        "2002::/16",  # 6to4
    )
)
_COMPATIBLE = ipaddress.IPv6Network("::/96")  # IPv4-compatible, long withdrawn; ::1 stands in it
_LOOPBACK6 = ipaddress.IPv6Address("::1")


class AllowList:
    """The networks and ports that may be connected to; an empty list allows nothing.

    An entry is an address or a CIDR, optionally with a port or a range of ports: `10.1.0.0/16`,
    `127.0.0.0/8:8001-8200`, `[fd12::/16]:443`.

    Raises:
        ValueError: an entry cannot be read; its text is in the message.
    """

    __slots__ = ("_entries",)

    def __init__(self, entries: Iterable[str] = ()) -> None:
        self._entries = tuple(_entry(text) for text in entries)

    def check(self, text: str, port: int) -> str | None:
        """Return the address to connect to, an IPv4-mapped one as IPv4; None when it is not allowed or no address."""
        try:
            address: Address = ipaddress.ip_address(text)
        except ValueError:
            return None
        if isinstance(address, ipaddress.IPv6Address):
            if address.scope_id is not None:
                return None
            address = address.ipv4_mapped or address
        if _never(address):
            return None
        for network, low, high in self._entries:
            if low <= port <= high and address.version == network.version and address in network:
                return str(address)
        return None

    def choose(self, addresses: Iterable[str], port: int) -> list[str]:
        """Return those of a host's addresses that may be connected to, in their order.

        Raises:
            AddressRefused: none may be.
        """
        chosen = [checked for text in addresses if (checked := self.check(text, port)) is not None]
        if not chosen:
            raise AddressRefused
        return chosen


def _never(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address) and address in _COMPATIBLE and address != _LOOPBACK6:
        return True
    return any(address.version == network.version and address in network for network in _NEVER)


def _entry(text: str) -> tuple[Network, int, int]:
    where, ports = text.strip(), ""
    if where.startswith("["):
        where, bracket, ports = where[1:].partition("]")
        if not bracket or (ports and not ports.startswith(":")):
            raise ValueError(f"not an allowed address: {text!r}")
        ports = ports[1:] if ports else "0-65535"
    elif where.count(":") == 1:
        where, _, ports = where.partition(":")
    else:
        ports = "0-65535"
    low, dash, high = ports.partition("-")
    try:
        network = ipaddress.ip_network(where)
        first, last = int(low), int(high if dash else low)
    except ValueError as cause:
        raise ValueError(f"not an allowed address: {text!r} ({cause})") from cause
    if not 0 <= first <= last <= 65535:
        raise ValueError(f"not a range of ports: {text!r}")
    return network, first, last


async def look_up(host: str, port: int) -> list[str]:
    """Resolve a host name once; a literal address is returned as it is.

    Raises:
        Unreachable: the name has no address.
    """
    try:
        ipaddress.ip_address(host)
    except ValueError:
        pass
    else:
        return [host]
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as cause:
        raise Unreachable("name_unknown") from cause
    return [str(sockaddr[0]) for _, _, _, _, sockaddr in found]
