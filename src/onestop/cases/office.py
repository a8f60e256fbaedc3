"""What the case room works with: pool, keys, items, calendar, gateway, and the one who opens people's numbers."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import date
from typing import Protocol

import msgspec

from onestop.basis import purposes
from onestop.basis.service import Basis
from onestop.cases import rules, store_numbers
from onestop.cases.service_licences import check_items, matters
from onestop.cases.streams import CaseStreams
from onestop.cases.writer import Writer
from onestop.certificates.licences import Licences
from onestop.certificates.service import Issuer
from onestop.certificates.service_types import load as load_licence_types
from onestop.crypto import Keys
from onestop.db import Connection, Pool
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
from onestop.identity.models import Session, Subject
from onestop.items.models import Item
from onestop.items.ready import ReadyItem
from onestop.items.service import Catalogue
from onestop.mandates.models import Asked, Deed, Matter, Represented
from onestop.mandates.service import Mandates
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
        mandates: Mandates | None = None,
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
        self.mandates = mandates  # None: nobody acts for anybody here
        self.calendar = calendar or national_calendar()
        self.directory = departments(gateway.manifests)
        gateway.on_swap.append(self._swapped)
        self.gather: Gather = gather or self._gather
        self.serials = Serials(pool)
        self.issuer = Issuer(pool, keys, ed25519=settings.certificate_signature == "Ed25519")
        types = load_licence_types([settings.licence_types_dir] if settings.licence_types_dir else [])
        check_items(catalogue, types)
        self.licences = Licences(
            pool,
            self.issuer,
            gateway,
            types,
            region=self.region,
            public_url=settings.public_url,
            people=people,
            directory=lambda: self.directory,
            gather=self.gather,
            matters=matters(pool, self.region, catalogue),
            learn=learn,
            traces=traces,
        )
        self.writer = Writer(pool, self.region)
        streams = CaseStreams(pool, self.region, self.sees)
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
        await self.licences.start()
        await self.basis.start()

    async def close(self) -> None:
        """Write what was taken."""
        self.licences.close()
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

    def matter(self, item: str) -> Matter:
        """Return what a mandate has to cover for one item: the item, or every department that handles it."""
        return Matter(item=item, departments=departments_of(self.catalogue, item))

    async def sees(self, session: Session, item: str) -> bool:
        """Tell whether cases of an item are to be seen in a session; who acts for somebody sees what is covered."""
        if session.mandate_id is None:
            return True
        return self.mandates is not None and await self.mandates.sees(session, self.matter(item))

    async def permit(self, session: Session, deed: Deed, item: str | None) -> None:
        """Let the session's act on an item pass; None: an item that need not be known for one's own case.

        Raises:
            Forbidden: the mandate does not cover it, or the person is too young; the leaf says which.
        """
        if self.mandates is None:
            return
        if item is None or session.mandate_id is None:  # for oneself age alone decides, whatever the item
            await self.mandates.check(session, Asked(deed=deed))
            return
        fee_fen = self.catalogue.get(item).spec.fee_fen if deed == "submit" else 0
        await self.mandates.check(session, Asked(deed=deed, matter=self.matter(item), fee_fen=fee_fen))

    async def represented(self, session: Session) -> Represented | None:
        """Return who acts in a session for its subject; None: the subject themselves."""
        return None if self.mandates is None else await self.mandates.represented(session)

    async def spend(self, db: Connection, session: Session, item: Item) -> None:
        """Count a submission against the mandate it is made under, in the caller's transaction.

        Raises:
            LimitReached, NotLive: the mandate allows no more.
        """
        if self.mandates is not None:
            await self.mandates.spend(db, session, item.fee_fen)

    def is_desk(self, adapter: str) -> bool:
        """Tell whether a department answers at onestop's own desk."""
        manifest = self.gateway.manifests.get(adapter)
        return manifest is not None and manifest.desk

    def asks(self, wants: Sequence[str], item: str, level: int) -> list[Ask]:
        """Return an item's question behind each want; a want nobody answers asks an adapter that is not on line.

        `level`: how surely the applicant has signed in.
        """
        known = self.gateway.wants
        found = [known.get(want) or Ask(want=want, adapter=want, operation=want) for want in wants]
        return [
            Ask(want=one.want, adapter=one.adapter, operation=one.operation, level=level, consumer=item)
            for one in found
        ]

    def min_level(self, ready: ReadyItem, codes: Collection[str]) -> int:
        """Return how surely one must have signed in to send these components of an item: as the strictest asks."""
        parts = [part.spec for code, part in ready.components.items() if code in codes]
        asks = [Ask(want="", adapter=part.adapter, operation=part.operation) for part in parts]
        specs = [spec for ask in asks if (spec := self.gateway.operation_of(ask)) is not None]
        return max([rules.LEAST_LEVEL, ready.spec.min_level, *(spec.min_level for spec in specs)])

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


def departments_of(catalogue: Catalogue, item: str) -> frozenset[str]:
    """Return the departments that handle an item; empty for one that is not offered."""
    ready = catalogue.items.get(item)
    return frozenset() if ready is None else frozenset(part.adapter for part in ready.spec.components)


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
