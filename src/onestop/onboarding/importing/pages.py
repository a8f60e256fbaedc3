"""One operation's `paging`: where its list stands, by what it is asked for in parts, and what nothing tells."""

from collections.abc import Iterator
from typing import Any, Final, Literal

from onestop.onboarding.importing import rules_paging as rules
from onestop.onboarding.importing.drafts import Draft, best_media, media_kind, reply_kind, success
from onestop.onboarding.importing.interview import Interview
from onestop.onboarding.importing.models import Shape
from onestop.onboarding.importing.notes import Notes
from onestop.onboarding.importing.replies import ORDER, Place, expressible, lists_in, place_of, root_of
from onestop.onboarding.importing.requests import BODIES
from onestop.onboarding.importing.shapes import as_elements
from onestop.onboarding.importing.vocabulary import known

_DATA: Final = known("reply.data")
_MAX_DEPTH: Final = 4
_USUAL: Final = 50  # what the gateway asks for where a manifest says nothing


class PageFinder:
    """Finds the pages of one query, before its request and reply are made: what pages through a list is no question."""

    def __init__(self, draft: Draft, interview: Interview, notes: Notes, spot: Any) -> None:
        self.draft, self.interview, self.notes, self._spot = draft, interview, notes, spot
        self._media = ""
        told = draft.described.soap
        self._wrapper = (told.wrapper,) if told is not None and told.wrapper else ()  # a SOAP body is read with it

    def find(self) -> None:
        """Fill `paging` of the draft's table, and `paged` with what the gateway will send instead of the mapping."""
        draft = self.draft
        answer, _ = success(draft.described.answers)
        media = best_media(answer.media, ORDER) if answer is not None else None
        if draft.kind != "query" or media is None or answer is None:
            return
        if reply_kind(draft, media) not in ("json", "xml", "soap"):
            return
        self._media = media.type
        root = root_of(draft, media)
        items = self._items(root, place_of(root))
        if items is None:
            return
        asked = self._asked()
        place: Literal["query", "body"] = "query"
        roles = rules.roles(asked, "query")
        if not roles.keys() & {"page", "offset", "cursor"}:
            in_body = rules.roles(asked, "body")
            place, roles = ("body", in_body) if in_body else (place, roles)
        hal = "hal" in media.type
        told = " ".join((answer.text, draft.described.text, draft.described.about))
        linked = any(name.lower() == "link" for name in answer.headers) or rules.names_link_header(told)
        found = self._linked(root, roles, linked=linked, hal=hal) or self._counted(root, roles, place)
        if found is None:
            if roles.keys() & {"page", "offset", "cursor"}:
                names = ", ".join(".".join(one.path) for one in roles.values())
                self.notes.add(
                    "paging_unclear", self._spot(draft.described.pointer), "warning", operation=draft.id, names=names
                )
            return
        if "size" in roles and found["style"] in ("next", "link"):
            found |= {"size_parameter": self._named(roles["size"])} | self._sized(roles["size"], counted=False)
        draft.table["paging"] = {"style": found.pop("style"), "items": items, **found}
        draft.whys["paging"] = f"the list {items} is asked for by parts"
        used = (found.get("parameter"), found.get("size_parameter"))
        sent = [one for one in roles.values() if self._named(one) in used]
        draft.paged = {(one.place, one.path) for one in roles.values() if one in sent or not one.required}
        draft.turned = {one.path: "size" if role == "size" else "value" for role, one in roles.items() if one in sent}

    # --- where the list stands ------------------------------------------------------------------------------------

    def _items(self, root: Shape, place: Place) -> str | None:
        if place.shape.kind == "list":
            return ".".join(place.path) or "."
        lists = [(path, part) for path, part in lists_in(place.shape, place.path) if expressible(path)]
        if len(lists) <= 1:
            return ".".join(lists[0][0]) if lists else None
        named = [path for path, _ in lists if rules.plain(path[-1]) in _DATA]
        if len(named) == 1:
            return ".".join(named[0])
        if not rules.roles(self._asked(), "query").keys() & {"page", "offset", "cursor"}:
            return None
        choices = tuple(".".join(path) for path, _ in lists)
        told = self.interview.ask(
            f"paging.items.{self.draft.id}", "choice", about=root.pointer, choices=choices, required=True,
            say="paging_items", operation=self.draft.id,
        )  # fmt: skip
        return str(told) if told else None

    # --- what may be asked ----------------------------------------------------------------------------------------

    def _asked(self) -> list[rules.Asked]:
        found: list[rules.Asked] = []
        for parameter in self.draft.described.parameters:
            if parameter.place != "query":
                continue
            text = f"{parameter.text} {parameter.shape.text}".strip()
            if parameter.shape.kind == "object" and rules.plain(parameter.name) in rules.HOLDERS:
                found += _members(parameter.shape, (), "query")  # a form's members stand in the address by themselves
            else:
                found.append(rules.Asked((parameter.name,), "query", parameter.shape, text, parameter.required))
        media = best_media(self.draft.described.bodies, BODIES)
        if media is None or (self.draft.described.method == "GET" and not self.draft.soap):
            return found
        if self.draft.soap or media_kind(media.type) == "xml":
            return found + list(_within_xml(media.shape if self.draft.soap else as_elements(media.shape)))
        if media_kind(media.type) not in ("json", "form"):
            return found
        found += _members(media.shape, (), "body")
        for name, part in media.shape.members.items():
            if part.kind == "object" and rules.plain(name) in rules.HOLDERS and media_kind(media.type) == "json":
                found += _members(part, (name,), "body")
        return found

    # --- how it goes on -------------------------------------------------------------------------------------------

    def _linked(
        self, root: Shape, roles: dict[rules.Role, rules.Asked], *, linked: bool, hal: bool
    ) -> dict[str, Any] | None:
        """Return paging by the address that an answer gives."""
        following = rules.next_link(root, hal=hal)
        if following is not None and not following.sure:
            if "cursor" in roles:
                style = self.interview.ask(
                    f"paging.next.{self.draft.id}", "choice", about=root.pointer, choices=("cursor", "next"),
                    default="cursor", say="paging_next", operation=self.draft.id, path=following.source,
                )  # fmt: skip
                if style == "cursor":
                    return {"style": "cursor", "next": following.source} | self._names(roles, "cursor")
            elif not roles:
                following = None
        if following is not None:
            return {"style": "next", "next": following.source}
        return {"style": "link"} if linked else None

    def _counted(
        self, root: Shape, roles: dict[rules.Role, rules.Asked], place: Literal["query", "body"]
    ) -> dict[str, Any] | None:
        """Return paging by a number, an offset or a cursor that we send."""
        at = rules.next_cursor(root)
        if "cursor" in roles and at is not None:
            found: dict[str, Any] = {"style": "cursor", "next": at} | self._names(roles, "cursor")
        elif "page" in roles:
            found = {"style": "page"} | self._names(roles, "page") | {"first": self._first(roles["page"])}
        elif "offset" in roles:
            found = {"style": "offset"} | self._names(roles, "offset") | {"first": self._begin(roles["offset"], root)}
        else:
            return None
        if place == "body":
            found["place"] = "body"
        total = rules.total(root)
        if total is not None and found["style"] in ("page", "offset"):
            found["total"] = total
        if "size" in roles:
            found |= self._sized(roles["size"], counted=total is not None)
        return found

    def _first(self, page: rules.Asked) -> int:
        told = rules.first_page(page.shape, page.text)
        if told is not None:
            return told
        answer = self.interview.ask(
            f"paging.first.{self.draft.id}", "choice", about=page.shape.pointer, choices=("1", "0"), default="1",
            say="paging_first", operation=self.draft.id, name=self._named(page),
        )  # fmt: skip
        return int(answer)

    def _begin(self, offset: rules.Asked, root: Shape) -> int:
        """Return the first item's offset; a wrong one leaves out the first, or brings the last of each page twice."""
        told = rules.first_offset(offset, root, self._media)
        if told is not None:
            return told
        answer = self.interview.ask(
            f"paging.first.{self.draft.id}", "choice", about=offset.shape.pointer, choices=("1", "0"), required=True,
            say="paging_offset", operation=self.draft.id, name=self._named(offset),
        )  # fmt: skip
        return int(answer or 0)

    def _named(self, asked: rules.Asked) -> str:
        """Return what the manifest calls it: in a body a path, in the address the name itself."""
        return rules.path_to((*self._wrapper, *asked.path)) if asked.place == "body" else asked.path[-1]

    def _names(self, roles: dict[rules.Role, rules.Asked], role: rules.Role) -> dict[str, Any]:
        found = {"parameter": self._named(roles[role])}
        return found | ({"size_parameter": self._named(roles["size"])} if "size" in roles else {})

    def _sized(self, size: rules.Asked, *, counted: bool) -> dict[str, int]:
        told = rules.page_size(size.shape, size.text, counted=counted)
        if told is None:
            told = int(
                self.interview.ask(
                    f"paging.size.{self.draft.id}", "number", about=size.shape.pointer, within=(1, 1000),
                    default=_USUAL, say="paging_size", operation=self.draft.id, name=self._named(size),
                )
            )  # fmt: skip
        return {} if told == _USUAL else {"size": told}


def _members(shape: Shape, above: tuple[str, ...], place: Literal["query", "body"]) -> list[rules.Asked]:
    return [
        rules.Asked((*above, name), place, part, part.text, name in shape.required)
        for name, part in shape.members.items()
        if part.kind in ("value", "any")
    ]


def _within_xml(shape: Shape, above: tuple[str, ...] = ()) -> Iterator[rules.Asked]:
    """Yield what an XML body holds: at its root, in wrappers that hold nothing else, and in tables of pages."""
    yield from _members(shape, above, "body")
    tables = {name: part for name, part in shape.members.items() if part.kind == "object" and len(above) < _MAX_DEPTH}
    elements = [part for part in shape.members.values() if not part.attribute]
    for name, part in tables.items():
        if rules.plain(name) in rules.HOLDERS or len(elements) == 1:
            yield from _within_xml(part, (*above, name))
