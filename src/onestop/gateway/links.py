"""The Link header (RFC 8288), as far as paging needs it: where the next page is.

Read strictly: a header that is half understood could make the first pages pass for the whole list.
"""

import re
from collections.abc import Iterator
from typing import Final

import msgspec

_TARGET: Final = re.compile(r"<([^<>]*)>")
_PARAMETER: Final = re.compile(
    r"""[ \t]*;[ \t]*(?:([\w!#$%&'*+.^`|~-]+)                   # a name; none at all where a semicolon stands alone
        [ \t]*(?:=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^\s"<>;,]*)))?  # its value, with or without quotes
        )?""",
    re.ASCII | re.VERBOSE,
)
_BETWEEN: Final = re.compile(r"[ \t,]*")
_ESCAPED: Final = re.compile(r"\\(.)")


class LinkUnreadable(Exception):
    """A Link header is not written as RFC 8288 says, or a link speaks of another resource than the reply."""


class Link(msgspec.Struct, frozen=True):
    """One link of a reply."""

    target: str  # as it is told: often relative
    relations: tuple[str, ...]  # in lower case
    anchored: bool  # it leads from another resource than the reply


def next_targets(headers: list[str]) -> list[str]:
    """Return where the next page is said to be; the same place once, none after the last page.

    Raises:
        LinkUnreadable: a header is no list of links, or only another resource's next page is told.
    """
    following = [link for header in headers for link in links(header) if "next" in link.relations]
    own = [link.target for link in following if not link.anchored]
    if following and not own:
        raise LinkUnreadable
    return list(dict.fromkeys(own))


def links(header: str) -> Iterator[Link]:
    """Yield the links of one header's value.

    Raises:
        LinkUnreadable: it is no list of links.
    """
    at = _end(_BETWEEN, header, 0)
    while at < len(header):
        target = _TARGET.match(header, at)
        if target is None:
            raise LinkUnreadable
        at = target.end()
        told: dict[str, str] = {}
        while parameter := _PARAMETER.match(header, at):
            at = parameter.end()
            name, quoted, bare = parameter.groups()
            if name is not None:  # of a name that comes again the first counts
                told.setdefault(name.lower(), _ESCAPED.sub(r"\1", quoted) if quoted is not None else bare or "")
        after = _end(_BETWEEN, header, at)
        if after < len(header) and "," not in header[at:after]:
            raise LinkUnreadable
        at = after
        yield Link(target[1].strip(), tuple(told.get("rel", "").lower().split()), bool(told.get("anchor")))


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    return found.end() if found is not None else at
