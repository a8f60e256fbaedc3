"""What the licence verbs work with: pool, issuer, types, and the ways to people, departments and cases."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from onestop.audit.models import Use
from onestop.certificates.document_seal import DocumentSeal
from onestop.certificates.models_licences import LicenceRow, Snapshot
from onestop.certificates.models_types import Text
from onestop.certificates.press import Press
from onestop.certificates.service import Issuer
from onestop.certificates.service_types import ReadyType, Types
from onestop.db import Pool
from onestop.directory.models import Directory
from onestop.gateway.explain import TraceLog
from onestop.gateway.fanout import Gathered, Person
from onestop.gateway.models import Ask
from onestop.gateway.service import Gateway
from onestop.http.models import Context
from onestop.identity.models import Subject
from onestop.texts import Language

_snapshot = msgspec.json.Decoder(Snapshot)
_NUMBER = "licences.number"


class Gather(Protocol):
    """Asks departments, as `gateway.fanout.gather` does."""

    async def __call__(
        self, asks: Sequence[Ask], person: Person, *, deadline: float, lang: Language, traceparent: str | None
    ) -> Gathered: ...


class Matters(Protocol):
    """Tells whether a case is somebody's own, of that item, and whether a department has a part in it."""

    async def __call__(self, subject: str, item: str, case_id: str, taker: str) -> bool: ...


class Licences:
    """The licence room of one process."""

    def __init__(
        self,
        pool: Pool,
        issuer: Issuer,
        gateway: Gateway,
        types: Types,
        *,
        region: str,
        public_url: str,
        people: Callable[[str], Awaitable[Subject]],
        directory: Callable[[], Directory],
        gather: Gather,
        matters: Matters,
        learn: Callable[[Subject, Mapping[str, str]], Awaitable[None]] | None = None,
        traces: TraceLog | None = None,
    ) -> None:
        self.pool, self.issuer, self.gateway, self.types = pool, issuer, gateway, types
        self.region, self.public_url = region, public_url.rstrip("/")
        self.people, self.directory, self.gather, self.matters = people, directory, gather, matters
        self.learn, self.traces = learn, traces
        self.keys = issuer.keys
        self.seal = DocumentSeal(pool, self.keys, region)
        self.press = Press()

    async def start(self) -> None:
        """Load the key that documents are sealed with."""
        await self.seal.load()

    def close(self) -> None:
        """End the thread that makes documents."""
        self.press.close()

    def open(self, row: LicenceRow) -> Snapshot:
        """Return what a licence says."""
        return _snapshot.decode(self.keys.unseal(row.body, snapshot_context(row.id)))

    def type_of(self, row: LicenceRow) -> ReadyType:
        """Return a licence's type.

        Raises:
            LicenceTypeUnknown: it is no longer in the catalogue.
        """
        return self.types.get(row.type)

    def number_index(self, type_: str, number: str) -> bytes:
        """Return what a licence is found by that is known by its issuer's own number."""
        return self.keys.blind_index(f"{type_}\0{number}", _NUMBER)

    def number_indices(self, type_: str, number: str) -> list[bytes]:
        """Return what `number_index` gives under each suite."""
        return self.keys.blind_indices(f"{type_}\0{number}", _NUMBER)

    def terms(self, use: Use) -> tuple[Text, Text] | None:
        """Return purpose and basis of a licence's use in both languages; None where it is none, or its type is gone."""
        type_ = self.types.ready.get(use.operation.removeprefix("licence."))
        if type_ is None or not use.operation.startswith("licence."):
            return None
        purpose = next((one.name for one in type_.spec.purposes if one.name.zh == use.purpose), None)
        return None if purpose is None else (purpose, type_.spec.basis)

    def issuer_code(self, adapter: str) -> str | None:
        """Return the credit code of the department that issues; None where it is not on line here."""
        manifest = self.gateway.manifests.get(adapter)
        return None if manifest is None else manifest.department.code

    async def ask(self, types: Sequence[ReadyType], subject: Subject, context: Context, route: str) -> Gathered:
        """Ask issuers for their records of a subject until the request's deadline; one question for each type."""
        asks = [self._question(one) for one in types]
        gathered = await self.gather(
            asks,
            Person(subject.number, subject.name, subject.ids),
            deadline=context.deadline,
            lang=context.lang,
            traceparent=context.traceparent,
        )
        if self.learn is not None and gathered.own_ids:
            await self.learn(subject, gathered.own_ids)
        if self.traces is not None:
            outcome = "complete" if gathered.complete else "partial"
            took_ms = max((part.took_ms for part in gathered.parts), default=0.0)
            self.traces.note(context.trace_id, context.principal, route, outcome, took_ms, gathered.records)
        return gathered

    def _question(self, type_: ReadyType) -> Ask:
        source = type_.spec.source
        assert source is not None
        known = self.gateway.wants.get(source.want)
        adapter, operation = (known.adapter, known.operation) if known else (type_.spec.issuer, source.want)
        return Ask(want=source.want, adapter=adapter, operation=operation, consumer="licences")


def snapshot_context(licence_id: str) -> str:
    """Return what a licence's snapshot is sealed for."""
    return f"licences.body:{licence_id}"


def copy_context(copy_id: str) -> str:
    """Return what the purpose and the taker of a copy are sealed for."""
    return f"licence_copies.about:{copy_id}"


def instant(moment: datetime) -> str:
    """Return an instant as snapshots hold it: RFC 3339, to the second."""
    return moment.isoformat(timespec="seconds")
