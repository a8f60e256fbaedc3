"""What the case room works with: pool, keys, items, calendar, gateway, and the one who opens people's numbers."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import date
from typing import Protocol

import msgspec

from onestop.basis import purposes
from onestop.basis.service import Basis
from onestop.cases import store_numbers
from onestop.cases.streams import CaseStreams
from onestop.cases.writer import Writer
from onestop.certificates.service import Issuer
from onestop.crypto import Keys
from onestop.db import Pool
from onestop.directory.models import Calendar, Department, Directory
from onestop.directory.rules import due_on, working_days_between
from onestop.directory.service import calendar as national_calendar
from onestop.directory.service import directory as directory_of
from onestop.gateway import fanout
from onestop.gateway.explain import TraceLog
from onestop.gateway.fanout import Gathered, Person
from onestop.gateway.manifest import Manifest
from onestop.gateway.models import Ask
from onestop.gateway.releases import Releases
from onestop.gateway.service import Gateway
from onestop.identity.models import Subject
from onestop.items.service import Catalogue
from onestop.settings import Settings
from onestop.texts import Language, text

DESK = "desk"  # the adapter of a step whose department has no system
_BLOCK = 1000

People = Callable[[str], Awaitable[Subject]]  # opens a subject's number and name
Learn = Callable[[Subject, Mapping[str, str]], Awaitable[None]]  # keeps what departments call a subject


class Gather(Protocol):
    """Asks departments, as `gateway.fanout.gather` does."""

    async def __call__(
        self, asks: Sequence[Ask], person: Person, *, deadline: float, lang: Language, traceparent: str | None
    ) -> Gathered: ...


class Authority(msgspec.Struct, frozen=True):
    """Who vouches for a value and by what right it was asked, in one language."""

    source: str
    basis: str


class Serials:
    """Serial numbers for official numbers, fetched a thousand at a time; those of a process that ends are lost."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._next = self._end = 0

    async def take(self) -> int:
        """Return the next serial."""
        if self._next >= self._end:
            first = await store_numbers.next_block(self._pool)
            # Another task may have fetched a block meanwhile: the later one goes on, the rest of the earlier is lost.
            self._next, self._end = first, first + _BLOCK
        self._next += 1
        return self._next - 1


class Office:
    """The case room of one process."""

    def __init__(
        self,
        settings: Settings,
        keys: Keys,
        pool: Pool,
        gateway: Gateway,
        catalogue: Catalogue,
        people: People,
        *,
        gather: Gather | None = None,
        traces: TraceLog | None = None,
        learn: Learn | None = None,
        calendar: Calendar | None = None,
    ) -> None:
        self.settings = settings
        self.region = settings.region
        self.profile = settings.profile
        self.keys = keys
        self.pool = pool
        self.gateway = gateway
        self.basis = Basis(pool, settings.region, purposes.load(settings.purposes_file))
        self.catalogue = catalogue
        self.people = people
        self.traces = traces
        self.learn = learn
        self.calendar = calendar or national_calendar()
        self.directory = departments(gateway.manifests)
        gateway.on_swap.append(self._swapped)
        self.gather: Gather = gather or self._gather
        self.serials = Serials(pool)
        self.issuer = Issuer(pool, keys)
        self.writer = Writer(pool, self.region)
        streams = CaseStreams(pool, self.region)
        self.events_since, self.newest, self.authorise_stream = streams.since, streams.newest, streams.authorise
        self._authorities: dict[tuple[str, str], Authority] = {}
        self._due: dict[tuple[date, int], date] = {}
        self._left: dict[tuple[date, date], int] = {}

    async def start(self) -> None:
        """Load the certificate keys; keep the words of today's notices.

        Raises:
            BadPurposes: as `Basis.start`.
        """
        await self.issuer.load()
        await self.basis.start()

    async def close(self) -> None:
        """Write what was taken."""
        await self.writer.close()

    async def _gather(
        self, asks: Sequence[Ask], person: Person, *, deadline: float, lang: Language, traceparent: str | None
    ) -> Gathered:
        releases = await Releases.decide(self.gateway, self.basis, "cases", asks, person)
        gathered = await fanout.gather(
            self.gateway.lines_for(person.number),
            asks,
            person,
            deadline=deadline,
            lang=lang,
            traceparent=traceparent,
            closed=self.gateway.closed,
            admit=releases.admit,
        )
        gathered.parts[:] = await releases.still(gathered.parts, lang)
        return gathered

    def _swapped(self) -> None:
        """Forget what was made from manifests that are no longer those in use."""
        self.directory = departments(self.gateway.manifests)
        self._authorities.clear()

    def due_on(self, accepted: date, working_days: int) -> date:
        """Return the last day of a term, as `directory.rules.due_on`; remembered, for every case of a day asks it."""
        key = (accepted, working_days)
        found = self._due.get(key)
        if found is None:
            if len(self._due) > 10_000:
                self._due.clear()
            found = self._due[key] = due_on(accepted, working_days, self.calendar)
        return found

    def days_left(self, today: date, due: date) -> int:
        """Return the working days from today to a due day, negative when it is over; remembered."""
        key = (today, due)
        found = self._left.get(key)
        if found is None:
            if len(self._left) > 10_000:
                self._left.clear()
            found = self._left[key] = working_days_between(today, due, self.calendar)
        return found

    def is_desk(self, adapter: str) -> bool:
        """Tell whether a department answers at onestop's own desk."""
        manifest = self.gateway.manifests.get(adapter)
        return manifest is not None and manifest.desk

    def asks(self, wants: Sequence[str], item: str) -> list[Ask]:
        """Return an item's question behind each want; a want nobody answers asks an adapter that is not on line."""
        known = self.gateway.wants
        found = [known.get(want) or Ask(want=want, adapter=want, operation=want) for want in wants]
        return [Ask(want=one.want, adapter=one.adapter, operation=one.operation, consumer=item) for one in found]

    def authority(self, origin: str, lang: Language) -> Authority:
        """Return who vouches for a value of this origin (a want, `identity` or `applicant`)."""
        key = (origin, lang)
        found = self._authorities.get(key)
        if found is None:
            found = self._authorities[key] = self._authority(origin, lang)
        return found

    def _authority(self, origin: str, lang: Language) -> Authority:
        ask = self.gateway.wants.get(origin)
        if ask is None:
            return Authority(text(f"cases.source.{origin}", lang), text(f"cases.basis.{origin}", lang))
        spec = self.gateway.operation_of(ask)
        if spec is None:
            return Authority(self.directory.name(ask.adapter, lang), "")
        basis = spec.basis
        return Authority(self.directory.name(ask.adapter, lang), basis.en if lang == "en" else basis.zh)


def departments(manifests: Mapping[str, Manifest]) -> Directory:
    """Return the directory of the departments whose manifests are here."""
    return directory_of(
        Department(
            id=manifest.id,
            uscc=manifest.department.code,
            name_zh=manifest.department.name.zh,
            name_en=manifest.department.name.en,
            officer_zh=manifest.department.officer.zh,
            officer_en=manifest.department.officer.en,
            desk=manifest.desk,
        )
        for manifest in manifests.values()
    )
