"""What may be read of one person in one request: decided before a department is asked, and again before it is shown."""

from collections.abc import Sequence
from typing import Self

from onestop.basis.models import About, Decision, Release, Room
from onestop.basis.rules import born_on
from onestop.basis.service import Basis
from onestop.gateway.fanout import Person
from onestop.gateway.manifest import Manifest
from onestop.gateway.models import Ask, Held, Part
from onestop.gateway.parts import not_asked
from onestop.gateway.service import Gateway
from onestop.texts import Language

_HELD = Held(state="denied", code="basis.missing")


class Releases:
    """The decisions on every question of one request."""

    def __init__(self, gateway: Gateway, basis: Basis, room: Room, asks: Sequence[Ask], about: About) -> None:
        self._gateway, self._basis, self._about = gateway, basis, about
        self._asks = {ask.want: ask for ask in asks}
        self._releases = {ask: _release(room, ask) for ask in asks}
        self._decided: dict[Ask, Decision] = {}

    @classmethod
    async def decide(cls, gateway: Gateway, basis: Basis, room: Room, asks: Sequence[Ask], person: Person) -> Self:
        """Decide on every question about one person.

        Rule: R-130.
        """
        about = About(subject=person.subject, born_on=born_on(person.number_type, person.number))
        made = cls(gateway, basis, room, asks, about)
        found = await basis.decide(about, list(made._releases.values()))
        made._decided = dict(zip(made._releases, found, strict=True))
        return made

    def admit(self, ask: Ask) -> tuple[Held, Manifest] | None:
        """Return why a question is not asked, as `Gateway.admit`, which is asked after the basis: no quota is spent."""
        if self._decided[ask].allowed:
            return self._gateway.admit(ask)
        manifest = self._gateway.manifest_of(ask.adapter)
        return None if manifest is None else (_HELD, manifest)

    async def still(self, parts: Sequence[Part], lang: Language) -> list[Part]:
        """Return the parts with what may not be shown any more left out: a consent may have ended since asking.

        Asks the database only where a part rests on a consent.
        """
        again = [
            part
            for part in parts
            if (ask := self._asks.get(part.want)) is not None
            and self._decided[ask].why == "consent"
            and (part.data is not None or part.found is not None)
        ]
        if not again:
            return list(parts)
        decided = await self._basis.decide(self._about, [self._releases[self._asks[part.want]] for part in again])
        ended = {part.want for part, found in zip(again, decided, strict=True) if not found.allowed}
        return [self._refused(part, lang) if part.want in ended else part for part in parts]

    def _refused(self, part: Part, lang: Language) -> Part:
        manifest = self._gateway.manifest_of(part.source.adapter)
        if manifest is not None:
            return not_asked(self._asks[part.want], _HELD, manifest, lang)
        return Part(want=part.want, state="denied", source=part.source, took_ms=part.took_ms)


def _release(room: Room, ask: Ask) -> Release:
    return Release(room=room, adapter=ask.adapter, operation=ask.operation, consumer=ask.consumer)
