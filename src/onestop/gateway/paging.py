"""An answer that comes in pages: asked for one after another, read as one whole or not at all.

A list that was cut, or mixed from two moments, must never be said to be whole: more pages than agreed, a page that
comes twice, or one that lies elsewhere spoils the answer.
"""

import hashlib
from typing import Any, Final
from urllib.parse import SplitResult, unquote, urljoin, urlsplit

import msgspec

from onestop.gateway.facts import Fact, fact
from onestop.gateway.links import LinkUnreadable, next_targets
from onestop.gateway.manifest import BadManifest, Operation, Paging, Tree
from onestop.gateway.mapping.language import Codes, Value, expression
from onestop.gateway.mapping.paths import names_of
from onestop.outbound.models import Reply

MOST_ITEMS: Final = 1000  # a mapping reads no more records of one list; what is beyond is never cut off silently
_PORTS: Final = {"http": 80, "https": 443}


class PageSpoiled(Exception):
    """The pages cannot be read as one answer; the fact says why."""

    def __init__(self, why: Fact) -> None:
        super().__init__(why.code)
        self.fact = why


class Pages:
    """What has been read of one answer so far."""

    __slots__ = ("count", "first", "items", "seen", "target")

    def __init__(self) -> None:
        self.count = 0
        self.first: Value = None  # the first page's body
        self.items: list[Value] = []
        self.seen: set[object] = set()  # addresses, cursors, or digests of items: none comes twice
        self.target: tuple[str, str] | None = None  # path and query of the next page, where an address tells


class Turner:
    """Turns the pages of one operation."""

    def __init__(self, spec: Paging, codes: Codes) -> None:
        if names_of(spec.items) is None:
            raise BadManifest(f"paging.items is a plain path, not {spec.items!r}")
        self.spec = spec
        self._items = expression(spec.items, codes)
        self._next = expression(spec.next, codes) if spec.next else None
        self._total = expression(spec.total, codes) if spec.total else None

    def begin(self) -> dict[str, Value]:
        """Return what the first request reads as `page`."""
        counted = self.spec.style in ("page", "offset")
        return {"value": self.spec.begins if counted else None, "size": self.spec.size}

    def turn(self, pages: Pages, body: Value, reply: Reply, values: dict[str, Any]) -> bool:
        """Take one page; True: another is to be asked for, with `values["page"]` and `pages.target` made ready.

        Raises:
            PageSpoiled: the pages are no whole.
        """
        found = self._items(body)
        items = found if isinstance(found, list) else [] if found in (None, "") else [found]
        if pages.count == 0:
            pages.first = body
        if items and self.spec.style in ("page", "offset"):  # one that takes no notice of the number never ends
            self._once(pages, hashlib.sha256(msgspec.json.encode(items)).digest())
        pages.count += 1
        pages.items += items
        if len(pages.items) > MOST_ITEMS:
            raise PageSpoiled(fact("items_too_many", limit=MOST_ITEMS))
        total = self._told(body)
        following = self._following(pages, body, reply, len(items), total)
        if following is None:
            if total is not None and len(pages.items) < total:
                raise PageSpoiled(fact("pages_short", got=len(pages.items), total=total))
            return False
        if pages.count >= self.spec.most_pages:
            raise PageSpoiled(fact("pages_too_many", limit=self.spec.most_pages))
        if self.spec.style in ("next", "link"):
            pages.target = ("", str(following))
        values["page"] = {"value": following, "size": self.spec.size}
        return True

    def joined(self, pages: Pages) -> Value:
        """Return the first page's body with everybody's items in their place."""
        if self.spec.items == ".":
            return pages.items
        *parents, last = names_of(self.spec.items) or []
        body = pages.first
        for step in parents:
            body = body.get(step) if isinstance(body, dict) else None
        if isinstance(body, dict) and (pages.items or last in body):
            body[last] = pages.items
        return pages.first

    def _told(self, body: Value) -> int | None:
        """Return how many items there are in all, where a page says so."""
        total = self._total(body) if self._total else None
        return int(total) if total is not None and str(total).isdecimal() and len(str(total)) < 10 else None

    def _following(self, pages: Pages, body: Value, reply: Reply, items: int, total: int | None) -> Value:
        """Return the next page's number, offset, cursor or address; None after the last."""
        style = self.spec.style
        if style == "link":
            linked = self._linked(reply)
            return None if linked is None else self._once(pages, linked)
        if style in ("next", "cursor"):
            told_next = self._next(body) if self._next else None
            return None if told_next in (None, "") else self._once(pages, told_next)
        if total is not None:
            more = len(pages.items) < total and items > 0
        else:  # who was not told a size makes pages as long as it likes: only an empty one is the last
            more = items >= self.spec.size if self.spec.size_parameter else items > 0
        if not more:
            return None
        return self.spec.begins + (len(pages.items) if style == "offset" else pages.count)

    @staticmethod
    def _linked(reply: Reply) -> str | None:
        """Return the next page's address from all Link headers of a reply."""
        told = [value.decode("latin-1") for name, value in reply.headers if name == b"link"]
        try:
            targets = next_targets(told)
        except LinkUnreadable:
            raise PageSpoiled(fact("link_unreadable")) from None
        if len(targets) > 1:
            raise PageSpoiled(fact("links_differ", count=len(targets)))
        return targets[0] if targets else None

    @staticmethod
    def _once(pages: Pages, mark: Any) -> Any:
        if mark in pages.seen:
            raise PageSpoiled(fact("page_repeats", page=pages.count + 1))
        pages.seen.add(mark)
        return mark


def within(told: str, origin: str, prefix: str, current: str) -> tuple[str, str]:
    """Return path and query of a page's address, which must be of the same system as the page before.

    `current` is where the page before was, with its query: relative addresses are read from there.

    Raises:
        PageSpoiled: it is of another host, or above the system's own path.
    """
    try:
        url, own = urlsplit(urljoin(f"{origin}{current}", told)), urlsplit(origin)
        same = _system(url) == _system(own)
    except ValueError:  # a port or an IPv6 address that there cannot be
        raise PageSpoiled(fact("page_elsewhere", host="?")) from None
    steps = unquote(url.path).replace("\\", "/").split("/")  # as a server may read them
    if not same or ".." in steps or not (url.path == prefix or url.path.startswith(f"{prefix}/")):
        raise PageSpoiled(fact("page_elsewhere", host=(url.hostname or "?")[:80]))
    return url.path, url.query


def _system(url: SplitResult) -> tuple[str, str | None, int | None, str | None]:
    return url.scheme, url.hostname, url.port or _PORTS.get(url.scheme), url.username


def with_page(operation: Operation) -> Operation:
    """Return the operation with the page's parameters in its request."""
    paging, request = operation.paging, operation.request
    if paging is None:
        return operation
    if paging.place == "body" and request.template is not None:
        return operation  # the template reads them itself
    told: dict[str, str] = {}
    if paging.style in ("page", "offset", "cursor"):
        told[paging.parameter] = "page.value"
    if paging.size_parameter:
        told[paging.size_parameter] = "page.size"
    if paging.place == "query":
        changed = msgspec.structs.replace(request, query={**request.query, **told})
    else:
        changed = msgspec.structs.replace(request, body=_within_body(request.body or {}, told))
    return msgspec.structs.replace(operation, request=changed)


def _within_body(body: Tree, told: dict[str, str]) -> Tree:
    """Return a body with further members, each by its path: `page.no` stands in the table `page`."""
    body = dict(body)
    for place, source in told.items():
        *parents, last = names_of(place) or [place]
        table = body
        for step in parents:
            inner = table.get(step)
            table[step] = dict(inner) if isinstance(inner, dict) else {}
            table = table[step]
        table[last] = source
    return body
