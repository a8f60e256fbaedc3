"""Verbs of an adapter's life: hand in, replace, look at, compare. Moves stand in `service_moves`.

A verb takes the connection of its caller's transaction; after the commit the caller says `announce`, so that every
gateway looks. To who may not touch an adapter it is absent.
"""

import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

from onestop import clock
from onestop.audit import service as audit
from onestop.crypto import Keys
from onestop.db import Connection, Db, Pool
from onestop.gateway import manifest as manifests
from onestop.gateway.manifest import BadManifest, Manifest
from onestop.gateway.registry import TOPIC
from onestop.ids import new_id
from onestop.onboarding import differences, rules, rules_proof, signatures, store, store_runs, store_terms
from onestop.onboarding.errors import AdapterAbsent, DepartmentDiffers, VersionAbsent, VersionFixed, VersionTaken
from onestop.onboarding.models import (
    Actor,
    Adapter,
    Check,
    Diff,
    Lint,
    Notice,
    NoticeList,
    Push,
    Version,
    VersionLine,
    VersionList,
    VersionView,
)
from onestop.settings import Settings
from onestop.texts import Language, text

T = TypeVar("T")
_MOST = 200
_HOLDS_DAYS = rules_proof.RUN_HOLDS.days


class Life:
    """The life of all adapters of an installation, as one process works on it."""

    def __init__(
        self,
        pool: Pool,
        keys: Keys,
        settings: Settings,
        files: Mapping[str, bytes],
        announce: Callable[[str], None],
    ) -> None:
        self.pool, self.keys, self.settings = pool, keys, settings
        self.files = files
        self._announce = announce

    def announce(self) -> None:
        """Let every gateway look; after the commit."""
        self._announce(TOPIC)

    async def commit(self, verb: Callable[[Connection], Awaitable[T]]) -> T:
        """Run a verb in a transaction of its own and announce what it changed."""
        async with self.pool.acquire() as db, db.transaction():
            result = await verb(db)
        self.announce()
        return result

    # ---- finding

    async def find(self, db: Db, actor: Actor, adapter_id: str) -> Adapter:
        """Return an adapter the actor may touch: from the database, or as its file says.

        Raises:
            AdapterAbsent: there is none, or it is somebody else's.
        """
        known = await store.adapter(db, adapter_id) or self._from_file(adapter_id)
        if known is None or not rules.owns(actor, known.owner):
            raise AdapterAbsent(adapter=adapter_id)
        return known

    def _from_file(self, adapter_id: str) -> Adapter | None:
        data = self.files.get(adapter_id)
        if data is None:
            return None
        return Adapter(id=adapter_id, owner=adapter_id, department_code=read_again(data).department.code)

    async def hold(self, db: Connection, actor: Actor, adapter_id: str) -> Adapter:
        """Return an adapter and hold it until the transaction ends; one known from its file alone gets its row.

        Raises:
            AdapterAbsent: there is none, or it is somebody else's.
        """
        known = await self.find(db, actor, adapter_id)
        await store.insert_adapter(db, known, actor.id)
        await store.lock_adapter(db, adapter_id)
        return known

    async def version(self, db: Db, actor: Actor, adapter_id: str, number: str) -> tuple[Adapter, Version]:
        """Return one version of an adapter the actor may touch.

        Raises:
            AdapterAbsent, VersionAbsent: there is none.
        """
        known = await self.find(db, actor, adapter_id)
        found = await store.version(db, adapter_id, number)
        if found is None:
            raise VersionAbsent(adapter=adapter_id, version=number)
        return known, found

    # ---- handing in

    async def push(
        self,
        db: Connection,
        actor: Actor,
        push: Push,
        *,
        owner: str | None = None,
        template: tuple[str, int, dict[str, Any]] | None = None,
    ) -> Version:
        """Take a manifest as a new draft; the first of an adapter makes the adapter.

        Raises:
            BadManifest: it cannot be read.
            AdapterAbsent: the adapter is somebody else's.
            DepartmentDiffers: it names another department than the adapter's, or one that is somebody else's.
            VersionTaken: that version is there.
            SignatureWrong: a signature came along and is wrong.
        """
        data = push.manifest.encode()
        manifest = read(data)
        known = await self._own(db, actor, manifest, owner)
        if push.signature is not None:  # required when it is submitted; a draft may wait for it
            await self.check_signature(db, known.owner, data, push.signature)
        await store.insert_adapter(db, known, actor.id)
        await store.lock_adapter(db, known.id)
        await self._own(db, actor, manifest, owner)  # again: somebody else's first manifest may have come between
        self._check_file(manifest, data)
        digest = hashlib.sha256(data).digest()
        args = (known.id, manifest.version, data, digest, push.signature, actor.id, template)
        if not await store.insert_version(db, *args):
            raise VersionTaken(adapter=known.id, version=manifest.version)
        return await self._handed_in(db, actor, known, manifest.version, digest, "push")

    async def replace(self, db: Connection, actor: Actor, adapter_id: str, number: str, push: Push) -> Version:
        """Put another manifest in a draft's place.

        Raises:
            BadManifest, SignatureWrong: as `push`.
            AdapterAbsent, VersionAbsent: there is none.
            DepartmentDiffers: it is another adapter's, version's or department's manifest.
            VersionFixed: it is no draft any more.
        """
        await self.hold(db, actor, adapter_id)
        known, found = await self.version(db, actor, adapter_id, number)
        data = push.manifest.encode()
        manifest = read(data)
        if (manifest.id, manifest.version, manifest.department.code) != (adapter_id, number, known.department_code):
            raise DepartmentDiffers(adapter=adapter_id, version=number, code_=known.department_code)
        if push.signature is not None:
            await self.check_signature(db, known.owner, data, push.signature)
        digest = hashlib.sha256(data).digest()
        if not await store.replace_draft(db, adapter_id, number, data, digest, push.signature, actor.id):
            raise VersionFixed(state=found.state, version=number)
        return await self._handed_in(db, actor, known, number, digest, "replace")

    async def _own(self, db: Connection, actor: Actor, manifest: Manifest, owner: str | None) -> Adapter:
        """Return the adapter a manifest belongs to, new or known, if the actor may hand it in."""
        code = manifest.department.code
        known = await store.adapter(db, manifest.id) or self._from_file(manifest.id)
        if known is not None:
            if not rules.owns(actor, known.owner):
                raise AdapterAbsent(adapter=manifest.id)
            if known.department_code != code:
                raise DepartmentDiffers(adapter=known.id, version=manifest.version, code_=known.department_code)
            return known
        whose = await store.owner_of_code(db, code) or next(
            (name for name, data in self.files.items() if read_again(data).department.code == code), None
        )
        own = actor.department if actor.role == "department" else owner or whose or manifest.id
        if own is None or (actor.role == "department" and whose not in (None, own)):
            raise DepartmentDiffers(adapter=manifest.id, version=manifest.version, code_=code)
        return Adapter(id=manifest.id, owner=own, department_code=code)

    async def check_signature(self, db: Db, department: str, data: bytes, signature: str | None) -> None:
        """Check a manifest's signature where there is one, or where one is required.

        Raises:
            SignatureWrong: it is not by a registered key of the department, or missing in production.
        """
        if signature is not None or self.settings.profile == "production":
            signatures.check(data, signature, await store_terms.department_keys(db, department))

    def _check_file(self, manifest: Manifest, data: bytes) -> None:
        """Refuse a version number that the shipped file has with other content: one number is one thing."""
        file = self.files.get(manifest.id)
        if file is not None and file != data and read_again(file).version == manifest.version:
            raise VersionTaken(adapter=manifest.id, version=manifest.version)

    async def _handed_in(
        self, db: Connection, actor: Actor, known: Adapter, number: str, digest: bytes, move: str
    ) -> Version:
        row = (new_id("mov"), known.id, number, move, None, "draft", digest, actor.id, actor.role, "")
        await store.insert_move(db, *row)
        await self.record(db, actor, f"adapter.{move}", f"{known.id}@{number}", {})
        found = await store.version(db, known.id, number)
        assert found is not None  # written above
        return found

    async def record(self, db: Db, actor: Actor, action: str, object_: str, detail: dict[str, Any]) -> None:
        """Write into the audit who did what to an adapter."""
        await audit.record(
            db, self.settings.region, actor=actor.id, action=action, object=object_, detail=detail
        )  # fmt: skip

    async def notify(self, db: Db, adapter_id: str, number: str | None, kind: str, **params: Any) -> None:
        """Tell an adapter's owner something."""
        await store.insert_notice(db, new_id("ntc"), adapter_id, number, kind, params)

    # ---- looking

    async def versions(
        self, actor: Actor, adapter_id: str, *, before: str | None = None, limit: int = 50
    ) -> VersionList:
        """Return an adapter's versions, the highest first; `before` is the cursor of the page before.

        Raises:
            AdapterAbsent: there is none, or it is somebody else's.
        """
        await self.find(self.pool, actor, adapter_id)
        size = max(1, min(limit, _MOST))
        rows = await store.versions(self.pool, adapter_id, _number(before), size + 1)
        more = len(rows) > size
        lines = [line_of(row) for row in rows[:size]]
        return VersionList(data=lines, next_cursor=lines[-1].version if more else None, has_more=more)

    async def view(self, db: Db, actor: Actor, adapter_id: str, number: str, lang: Language) -> VersionView:
        """Return a version whole: history, what it may do next, and what that needs.

        Raises:
            AdapterAbsent, VersionAbsent: there is none.
        """
        known, found = await self.version(db, actor, adapter_id, number)
        history = await store.moves(db, adapter_id, number)
        makers = makers_of([(made.move, made.by_whom) for made in history])
        return VersionView(
            adapter=adapter_id,
            version=number,
            state=found.state,
            digest=found.digest.hex(),
            made_by=found.made_by,
            made_at=found.made_at,
            state_at=found.state_at,
            revision=found.revision,
            moves=rules.open_moves(actor, known.owner, found, makers),
            checks=await self.checks(db, found, lang),
            history=history,
            manifest=found.manifest.decode(),
            signature=found.signature,
            approved_by=found.approved_by,
            template=found.template,
            no_test_system=found.no_test_system,
            next=text(f"adapter_next.{found.state}", lang),
        )

    async def checks(self, db: Db, found: Version, lang: Language) -> list[Check]:
        """Return what approval needs of the version itself, and whether it is there."""
        clean = not any(finding.severity == "error" for finding in lint(found.manifest, found.adapter))
        proof = await self.proof(db, found)
        said = text(f"adapter_check.conformance.{proof}", lang, reason=found.no_test_system or "-", days=_HOLDS_DAYS)
        return [
            Check(name="lint", passed=clean, sentence=text(f"adapter_check.lint.{_yes(clean)}", lang)),
            Check(name="conformance", passed=rules_proof.enough(proof), sentence=said),
        ]

    async def proof(self, db: Db, found: Version) -> rules_proof.Proof:
        """Return what the runs over exactly a version's bytes amount to."""
        runs = {run.against: run for run in await store_runs.last_runs(db, found.adapter, found.digest)}
        return rules_proof.proof(runs, found.no_test_system, read_again(found.manifest).desk, clock.real_now())

    async def diff(
        self, db: Db, actor: Actor, adapter_id: str, number: str, against: str | None, lang: Language
    ) -> Diff:
        """Return what changed since another version; without `against`, since what is live (else the file).

        Raises:
            AdapterAbsent, VersionAbsent: there is none.
        """
        _, found = await self.version(db, actor, adapter_id, number)
        old = await self._older(db, actor, found, against)
        new = read_again(found.manifest)
        stated = found.no_test_system
        if old is None:
            return differences.diff(None, b"", new, found.digest, lang, no_test_system=stated)
        old_digest = hashlib.sha256(old).digest()
        return differences.diff(read_again(old), old_digest, new, found.digest, lang, no_test_system=stated)

    async def _older(self, db: Db, actor: Actor, found: Version, against: str | None) -> bytes | None:
        if against is not None:
            return (await self.version(db, actor, found.adapter, against))[1].manifest
        serving = await store.in_state(db, found.adapter, "live", "quarantined")
        other = next((row for row in serving if row.version != found.version), None)
        return other.manifest if other is not None else self.files.get(found.adapter)

    async def notices(
        self, actor: Actor, adapter_id: str, lang: Language, *, before: str | None = None, limit: int = 50
    ) -> NoticeList:
        """Return what an adapter's owner was told, newest first.

        Raises:
            AdapterAbsent: there is none, or it is somebody else's.
        """
        await self.find(self.pool, actor, adapter_id)
        size = max(1, min(limit, _MOST))
        rows = await store.notices(self.pool, adapter_id, before, size + 1)
        more = len(rows) > size
        told = [_notice(row, lang) for row in rows[:size]]
        return NoticeList(data=told, next_cursor=told[-1].id if more else None, has_more=more)


# --- small pieces ----------------------------------------------------------------------------------------------------


def read(data: bytes) -> Manifest:
    """Read a manifest that was handed in.

    Raises:
        BadManifest: it cannot be used; says why.
    """
    return manifests.parse(data)


def lint(data: bytes, name: str) -> list[Lint]:
    """Return what is wrong with a manifest: the one place where the linter is called."""
    try:
        manifests.parse(data, name)
    except BadManifest as fault:
        return [Lint(rule=fault.rule, severity="error", where=name, sentence=str(fault), fix="")]
    return []


def read_again(data: bytes) -> Manifest:
    """Read a manifest that was taken before; what later rules find in it keeps nobody from looking at it.

    Raises:
        BadManifest: it cannot be used; says why.
    """
    return manifests.parse_serving(data)[0]


def makers_of(history: Sequence[tuple[str, str]]) -> list[str]:
    """Return who made or submitted a version, from its moves and who made them: none of them approves it."""
    return [who for move, who in history if move in ("push", "replace", "submit")]


def line_of(row: Version) -> VersionLine:
    """Return a version as one line of a list."""
    return VersionLine(
        version=row.version,
        state=row.state,
        digest=row.digest.hex(),
        made_by=row.made_by,
        made_at=row.made_at,
        state_at=row.state_at,
        template=row.template,
    )


def _notice(row: store.NoticeRow, lang: Language) -> Notice:
    sentence = text(f"adapter_notice.{row.kind}", lang, adapter=row.adapter, version=row.version or "", **row.params)
    return Notice(id=row.id, adapter=row.adapter, version=row.version, kind=row.kind, sentence=sentence, at=row.at)


def _number(cursor: str | None) -> str | None:
    """Return a version number used as a cursor; None where it is none."""
    parts = (cursor or "").split(".")
    good = len(parts) == 3 and all(part.isascii() and part.isdigit() and len(part) < 5 for part in parts)
    return cursor if good else None


def _yes(passed: bool) -> str:
    return "passed" if passed else "open"
