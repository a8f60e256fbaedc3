"""How a long answer is asked for part by part: what parameters, members, links and descriptions tell of it."""

import re
from collections.abc import Callable, Iterator
from typing import Final, Literal, NamedTuple

from onestop.onboarding.importing.models import Shape
from onestop.onboarding.importing.rules_names import words_of
from onestop.onboarding.importing.vocabulary import known

Role = Literal["page", "size", "offset", "cursor"]

_WORDS: Final[dict[Role, frozenset[str]]] = {
    "page": known("paging.page"),
    "size": known("paging.size"),
    "offset": known("paging.offset"),
    "cursor": known("paging.cursor"),
}
_TOLD: Final[dict[Role, re.Pattern[str]]] = {
    "page": re.compile(r"^(?:查询|当前)?(?:页码|第几页|页号|当前页)|^(?:the )?page (?:number|index)\b", re.I),
    "size": re.compile(
        r"^(?:每页|单页)|^(?:the )?(?:page size|(?:number of )?(?:items|records|results) per page)", re.I
    ),
    "offset": re.compile(r"^(?:分页)?偏移|^(?:the )?(?:number of )?(?:items|records|results) to skip", re.I),
    "cursor": re.compile(r"^(?:分页)?游标|^(?:the )?(?:pagination|paging) (?:cursor|token)", re.I),
}
_PLAINLY: Final = known("paging.plainly")  # of a body's members, those that mean nothing else
HOLDERS: Final = known("paging.holders")
_PLACE: Final = known("paging.place")  # offsets that may be the place of the first item, so counted from one
_NEXT_CURSOR: Final = known("paging.next_cursor")
_NEXT_LINK: Final = known("paging.next_link")
_NEXT: Final = known("paging.next")
_TOTAL: Final = known("paging.total")
_BESIDE: Final = known("paging.beside")
_LINKS: Final = frozenset(("_links", "links", "link"))
_RELATIONS: Final = ("rel", "relation")
_ADDRESSES: Final = ("href", "url", "uri")

_FROM_ZERO: Final = re.compile(
    r"从\s*0|0\s*开始|(?:zero|0)[- ](?:based|indexed)|start\w*\s+(?:at|from|with)\s+(?:0|zero)", re.I
)
_FROM_ONE: Final = re.compile(
    r"从\s*1|1\s*开始|(?:one|1)[- ](?:based|indexed)|start\w*\s+(?:at|from|with)\s+(?:1\b|one)", re.I
)
_AT_MOST: Final = re.compile(
    r"(?:最大|最多|不超过|不得超过|上限|max(?:imum)?|at most|up to|no more than)\D{0,16}?(\d{1,4})(?!\d)", re.I
)
_OF_PAGES: Final = re.compile(r"页数|number of pages|total pages", re.I)
_OF_ALL: Final = re.compile(r"总|total|all (?:items|records|results)|overall", re.I)
_AN_ADDRESS: Final = re.compile(r"\b(?:url|uri|link|href|address)\b|链接|地址", re.I)
_LINK_HEADER: Final = re.compile(r"`?\bLink\b`?[ -]*(?:response )?header|\bheader\w* `?Link\b|RFC ?(?:5988|8288)", re.I)


class Asked(NamedTuple):
    """One value that a request may carry: by what steps it is named, where, and what the document says of it."""

    path: tuple[str, ...]
    place: Literal["query", "body"]
    shape: Shape
    text: str
    required: bool


def plain(name: str) -> str:
    """Return the words of a name joined, as the vocabulary has them."""
    return "".join(words_of(name))


def is_paging(name: str) -> bool:
    """Tell whether a parameter only says which part of a list is wanted."""
    return any(plain(name) in words for words in _WORDS.values())


def is_paging_word(name: str) -> bool:
    """Tell whether a member beside a list only tells which part of it this is."""
    told = plain(name)
    return is_paging(name) or told in _NEXT_CURSOR | _NEXT_LINK | _TOTAL | _BESIDE


def roles(asked: list[Asked], place: Literal["query", "body"]) -> dict[Role, Asked]:
    """Return which values of one place page through a list: by name, else by the first words said of them.

    A body's member must be beyond doubt: it has the name of nothing else, stands among its like, or has a page's size
    beside it. What a list is searched for is called `count` or `start` as well.
    """
    found: dict[Role, Asked] = {}
    for role, words in _WORDS.items():
        here = [one for one in asked if one.place == place and one not in found.values()]
        by_name = [one for one in here if plain(one.path[-1]) in words]
        by_words = [one for one in here if one.shape.type == "integer" and _TOLD[role].search(one.text)]
        first = next(iter(by_name or by_words), None)
        if first is not None:
            found[role] = first
    if place == "query" or (found.keys() & {"page", "offset", "cursor"} and "size" in found):
        return found
    return found if any(_beyond_doubt(one) for one in found.values()) else {}


def _beyond_doubt(one: Asked) -> bool:
    held = len(one.path) > 1 and plain(one.path[-2]) in HOLDERS
    return plain(one.path[-1]) in _PLAINLY or held or bool(one.text)


def first_page(shape: Shape, text: str) -> int | None:
    """Return the number of the first page; None where the document does not tell."""
    number = shape.type in ("integer", "number")
    if number and shape.least in (0, 1):
        return int(shape.least)
    for told, pattern in ((0, _FROM_ZERO), (1, _FROM_ONE)):
        if pattern.search(text):
            return told
    return int(shape.example) if shape.has_example and str(shape.example) in ("0", "1") else None


def first_offset(offset: Asked, root: Shape, media: str) -> int | None:
    """Return the offset of the first item; None where the document may mean either.

    SCIM (RFC 7644) and OpenSearch count places from one.
    """
    told = first_page(offset.shape, offset.text)
    if told is not None:
        return told
    if "scim" in media or {"totalResults", "itemsPerPage"} <= _named_within(root):
        return 1
    return None if plain(offset.path[-1]) in _PLACE else 0


def _named_within(root: Shape) -> set[str]:
    return {name.rpartition(":")[2] for _, owner in _owners(root, ()) for name in owner.members}


def page_size(shape: Shape, text: str, *, counted: bool) -> int | None:
    """Return how many items to ask for at once; None where the document does not tell.

    A system that silently gives fewer than it was asked for would seem to be at its end. So where no total is told
    (`counted` False) and no maximum either, the document's own default is asked for: that much it gives.
    """
    usual = _whole(shape.example) if shape.has_example else None
    listed = [size for value in shape.enum if (size := _whole(value)) is not None and size <= 100]
    if listed:
        return max(listed)
    told = _AT_MOST.search(text)
    most = _whole(shape.most) or (_whole(told[1]) if told else None)
    if most is not None:
        return min(most, 50)
    return 50 if counted else usual


def _whole(value: object) -> int | None:
    text = str(int(value)) if isinstance(value, int | float) and not isinstance(value, bool) else str(value)
    return int(text) if text.isdecimal() and 1 <= len(text) <= 9 and 1 <= int(text) <= 1000 else None


def names_link_header(text: str) -> bool:
    """Tell whether a description says that the Link header leads to the next page."""
    return _LINK_HEADER.search(text) is not None


class NextLink(NamedTuple):
    """Where a reply tells what follows, and whether that is surely an address."""

    source: str  # an expression
    sure: bool


def next_link(root: Shape, *, hal: bool) -> NextLink | None:
    """Return where the next page's address stands: HAL, JSON:API, OData, lists of links, or a member called so."""
    for path, owner in _owners(root, ()):
        for name in owner.members:
            if name in _LINKS and (found := _of_links((*path, name), owner.members[name], hal=hal)) is not None:
                return NextLink(found, sure=True)
    for path, owner in _owners(root, ()):
        for name, part in owner.members.items():
            if part.kind == "value" and part.type == "string" and plain(name) in _NEXT_LINK | _NEXT:
                sure = plain(name) in _NEXT_LINK or _is_address(part)
                return NextLink(path_to((*path, name)), sure)
    return None


def _is_address(part: Shape) -> bool:
    like = isinstance(part.example, str) and re.match(r"https?://|[/?]", part.example) is not None
    return like or part.format in ("uri", "url", "uri-reference") or _AN_ADDRESS.search(part.text) is not None


def _of_links(path: tuple[str, ...], links: Shape, *, hal: bool) -> str | None:
    here = path_to(path)
    if links.kind == "list" and links.item is not None:
        relation = next((name for name in _RELATIONS if name in links.item.members), None)
        address = next((name for name in _ADDRESSES if name in links.item.members), None)
        return f"{here} | where({relation},next) | first | get({address})" if relation and address else None
    following = next((name for name in links.members if plain(name) in _NEXT | _NEXT_LINK), None)
    if following is None:
        return f"{here}.next.href" if hal and not links.members and links.kind in ("object", "any") else None
    part = links.members[following]
    within = next((name for name in _ADDRESSES if name in part.members), "href")
    if part.kind == "any" and not hal:  # JSON:API lets it be an address or a table that holds one
        either = path_to((*path, following))
        return f"{either}.{within} | or({either})"
    of_hal = part.kind == "object" or (hal and part.kind == "any")
    return path_to((*path, following, within) if of_hal else (*path, following))


def next_cursor(root: Shape) -> str | None:
    """Return where a reply tells the cursor of what follows."""
    return _member(root, lambda name, part: plain(name) in _NEXT_CURSOR)


def total(root: Shape) -> str | None:
    """Return where a reply tells how many items there are in all.

    A count that is not said to be of all may be that of one page: taken for the whole it would cut the list.
    """

    def counts_all(name: str, part: Shape) -> bool:
        word = plain(name)
        if word not in _TOTAL or part.type == "boolean" or _OF_PAGES.search(part.text):
            return False
        return word not in _WORDS["size"] or _OF_ALL.search(part.text) is not None

    return _member(root, counts_all)


def _member(root: Shape, fits: Callable[[str, Shape], bool]) -> str | None:
    for path, owner in _owners(root, ()):
        for name, part in owner.members.items():
            if part.kind == "value" and fits(name, part) and '"' not in name:
                return path_to((*path, name))
    return None


def _owners(shape: Shape, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Shape]]:
    """Yield the tables of a reply that may tell of pages, the outermost first; never those inside a list."""
    level = [(path, shape)]
    for _ in range(3):
        yield from level
        level = [
            ((*above, name), part)
            for above, owner in level
            for name, part in owner.members.items()
            if part.kind == "object" and name != "_embedded" and name not in _LINKS and '"' not in name
        ]


def path_to(steps: tuple[str, ...]) -> str:
    """Return the path of the mapping language, with quotes where a name needs them."""
    return ".".join(step if re.fullmatch(r"[^\W\d][\w-]*|\d+", step) else f'"{step}"' for step in steps)
