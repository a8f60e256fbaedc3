"""The registry at run time: what is live in the database takes the place of the file of the same id, while calls flow.

Every process follows a change within five seconds: it hears of it, and looks every two seconds as a safety net. Lines
are made before they are shown and closed after the longest call over them must have ended, so that no call is cut.
"""

import asyncio
import contextlib
import hashlib
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import partial
from typing import Final, Literal

import asyncpg
import msgspec
import structlog

from onestop import clock
from onestop.crypto import Keys
from onestop.db import Pool
from onestop.gateway import manifest as manifests
from onestop.gateway import store_registry as store
from onestop.gateway.facts import Fact
from onestop.gateway.line import Line, Where
from onestop.gateway.line_shares import TOPIC as SHARES
from onestop.gateway.line_shares import LineShares
from onestop.gateway.manifest import BadManifest, Manifest
from onestop.gateway.overrides import Overrides
from onestop.gateway.places import choose, environment_of, placed
from onestop.gateway.quotas import Counter
from onestop.gateway.registry_read import KEEP_FOR, Read, next_due, read_all
from onestop.gateway.service import Gateway, Shown, Trial, in_words, is_called, open_line, places, read_files
from onestop.http.wake import Listener
from onestop.outbound.addresses import AllowList
from onestop.resources import shipped
from onestop.rounds import attempt
from onestop.settings import Settings

log = structlog.get_logger(__name__)

TOPIC: Final = "registry"
POLL_S: Final = 2.0
_LINGER_S: Final = 75.0  # the longest call may take sixty seconds
_JOIN_S: Final = 2.0  # the others give within moments, unless all they have is in use
_KEPT: Final = 3  # versions before the live one

_LineKey = tuple[str, str, bytes, bytes]  # adapter, version, digests of manifest and place


_TRIALS: Final = "adapter_versions.subjects"


def trial_index(keys: Keys, number: str) -> bytes:
    """Return the blind index by which a trial lists a person."""
    return keys.blind_index(number, _TRIALS)


def trial_indices(keys: Keys, number: str) -> frozenset[bytes]:
    """Return every index a trial may list a person by, whichever suite was in use when it began."""
    return frozenset(keys.blind_indices(number, _TRIALS))


class _Picture:
    """What is being put together to be shown."""

    def __init__(self) -> None:
        self.manifests: dict[str, Manifest] = {}
        self.lines: dict[str, Line] = {}
        self.kept: dict[tuple[str, str], Line] = {}
        self.trials: dict[str, Trial] = {}
        self.stopped: set[str] = set()
        self.faults: dict[str, str] = {}
        self.closed: dict[str, Fact] = {}
        self.keys: set[_LineKey] = set()


class Registry:
    """Keeps one process's gateway as the database says."""

    def __init__(
        self, gateway: Gateway, pool: Pool, dsn: str, keys: Keys, settings: Settings, *, serves: bool = False
    ) -> None:
        """`serves`: this process answers people, whose calls come without notice."""
        self._gateway, self._pool, self._keys = gateway, pool, keys
        self._environment = environment_of(settings)
        self._allow, self._networks = AllowList(settings.outbound_allow), settings.networks
        self._files, _, self._file_faults, self._file_remarks = read_files(settings.adapters_dir or shipped("adapters"))
        self._told = places(settings)
        self._number = -1
        self._read: Read | None = None
        self._due: datetime | None = None
        self._lines: dict[_LineKey, Line] = {}
        self._parsed: dict[bytes, Manifest] = {}
        self._late: dict[bytes, str] = {}  # by digest: what a later rule finds in a manifest that serves all the same
        self._leaving: list[tuple[float, Line]] = []
        self._wakened = asyncio.Event()
        self._lock = asyncio.Lock()
        self._listener = Listener(dsn, self)
        self._counter = Counter(pool, gateway.quotas)
        self.shares = LineShares(pool, self._every_line, serves=serves)
        self._task: asyncio.Task[None] | None = None
        gateway.indices = lambda number: trial_indices(keys, number)

    async def start(self) -> None:
        """Show what the database says, and go on following it; a database that is away leaves the files in place."""
        for name, line in self._gateway.lines.items():
            self._lines[self._key(line.manifest, _file_digest(line.manifest), self._told.get(name))] = line
            self.shares.give(line)
        await self._look()
        self._listener.start()
        await self._join()
        self._counter.start()
        self._task = asyncio.create_task(self._following(), name="adapter registry")

    async def close(self) -> None:
        """Stop following, add what was counted, cut the lines; nothing is called after this."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._listener.close()
        await self._counter.close()
        await self.shares.leave()

    def wake(self, topic: str) -> None:
        """Look at once, where it concerns adapters."""
        if topic in (TOPIC, SHARES):
            self._wakened.set()

    def wake_all(self) -> None:
        """Look at once: something may have been missed."""
        self._wakened.set()

    async def _following(self) -> None:
        while True:
            # Python 3.11's wait_for loses a cancellation that comes with the waking; close() would wait for ever.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL_S):
                    await self._wakened.wait()
            self._wakened.clear()
            await self._look()
            await attempt("registry_letting_go", self._let_go)

    async def _join(self) -> None:
        """Wait a moment for the others to give: who begins before would say that departments are busy."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_JOIN_S):
                while self.shares.short:
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(_JOIN_S / 4):
                            await self._wakened.wait()
                    self._wakened.clear()
                    await self._look()

    async def _look(self) -> None:
        try:
            await self.refresh()
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as fault:
            log.warning("registry_not_read", fault=type(fault).__name__)
        except Exception:
            # What serves goes on serving; the next look tries again.
            log.exception("registry_not_followed")

    async def refresh(self) -> None:
        """Read what changed and show it, cheap where nothing did; then give and take this process's shares."""
        async with self._lock:
            if not await self._follow():
                await self._divide(self._gateway.lines)

    async def _follow(self) -> bool:
        """Show what changed; False: nothing did."""
        number = await store.mark(self._pool)
        now = clock.real_now()
        if number == self._number and (self._due is None or now < self._due):
            return False
        if number != self._number or self._read is None:
            self._read = await read_all(self._pool, self._keys, self._environment)
            self._number = number
        await self._apply(self._read, now)
        return True

    async def _divide(self, live: Mapping[str, Line]) -> None:
        """Do the round of the shares for these and all other lines; where it fails each keeps what it has."""
        every = (*self._every_line(), *live.values())  # what is live has the last word
        await attempt("line_shares", partial(self.shares.round, [line.manifest for line in every]))

    def _every_line(self) -> Iterator[Line]:
        """Return every line that may have calls under way, each once: shown, kept, leaving."""
        shown = {id(line): line for line in self._gateway.every_line()}
        yield from (shown | {id(line): line for line in self._lines.values()}).values()
        yield from (line for _, line in self._leaving)

    async def _apply(self, read: Read, now: datetime) -> None:
        picture = _Picture()
        picture.faults |= self._file_faults
        for adapter in sorted({*self._files, *read.served}):
            try:
                self._place(picture, adapter, read, now)
            except Exception as fault:  # a defect that one adapter brings out leaves the others followed
                log.exception("adapter_not_placed", adapter=adapter)
                self._go_on(picture, adapter, fault)
        begun = [one for one in read.agreements if one.begins <= now and (one.ends is None or one.ends > now)]
        self._gateway.quotas.set(begun, read.closed)
        await self._divide(picture.lines)  # before they are shown: a line without a share says it is busy
        self._gateway.show(
            Shown(
                manifests=picture.manifests,
                lines=picture.lines,
                kept=picture.kept,
                trials=picture.trials,
                stopped=frozenset(picture.stopped),
                one_offs=read.one_offs,
                faults=picture.faults,
                closed=picture.closed,
                overrides=Overrides(read.overrides),
                owners=read.owners,
            )
        )
        self._retire(picture.keys)
        self._due = next_due(read, now)
        await self._tell(picture.faults, "not_loaded")
        await self._tell(self._broken_later(read), "later_rule")
        log.info("registry_followed", number=self._number, lines=len(picture.lines), faults=len(picture.faults))

    def _broken_later(self, read: Read) -> dict[str, str]:
        """Return by adapter what a rule finds that came after the version which serves, or is tried."""
        rows = [row for served in read.served.values() for row in served if row.state in ("trial", "live")]
        live = {row.adapter for row in rows if row.state == "live"}
        files = {name: remark for name, remark in self._file_remarks.items() if name not in live}
        return files | {row.adapter: self._late[row.digest] for row in rows if row.digest in self._late}

    # ---- one adapter

    def _place(self, picture: _Picture, adapter: str, read: Read, now: datetime) -> None:
        """Put one adapter into the picture: what serves, what is tried, what is kept warm."""
        where = self._where(adapter, read, now)
        rows = read.served.get(adapter, [])
        live = next((row for row in rows if row.state == "live"), None)
        held = next((row for row in rows if row.state == "quarantined"), None)
        file = self._files.get(adapter)
        if live is not None:
            self._serve(picture, adapter, self._manifest(picture, live), live.digest, where)
        elif held is not None:
            manifest = self._manifest(picture, held)
            if manifest is not None:
                picture.manifests[adapter] = manifest
            picture.stopped.add(adapter)
        elif file is not None:
            self._serve(picture, adapter, file, _file_digest(file), where)
        for row in [row for row in rows if row.state in ("deprecated", "quarantined")][:_KEPT]:
            if row.state == "quarantined" or (row.live_until and now - row.live_until <= KEEP_FOR):
                self._keep(picture, self._manifest(picture, row), row.digest, where)
        if file is not None:
            self._keep(picture, file, _file_digest(file), where)
        trial = next((row for row in rows if row.state == "trial"), None)
        if trial is not None:
            line = self._keep(picture, self._manifest(picture, trial), trial.digest, where)
            if line is not None:
                picture.trials[adapter] = Trial(line, frozenset(trial.subjects))

    def _serve(
        self, picture: _Picture, adapter: str, manifest: Manifest | None, digest: bytes, where: Where | None
    ) -> None:
        line = None
        if manifest is not None:
            picture.manifests[adapter] = manifest
            line = self._line(picture, manifest, digest, where)
        before = self._gateway.lines.get(adapter)
        if line is None and adapter in picture.faults and before is not None:
            # What cannot be loaded does not take away what works: the line in place goes on, and the fault is told.
            line, picture.manifests[adapter] = before, before.manifest
            picture.keys |= {key for key, known in self._lines.items() if known is before}
        if line is not None:
            picture.lines[adapter] = line
            picture.kept.setdefault((adapter, line.manifest.version), line)

    def _go_on(self, picture: _Picture, adapter: str, fault: Exception) -> None:
        """Leave an adapter that could not be put into the picture as it is served now."""
        picture.faults[adapter] = type(fault).__name__
        shown = self._gateway.shown
        if adapter in shown.manifests:
            picture.manifests[adapter] = shown.manifests[adapter]
        if adapter in shown.lines:
            picture.lines[adapter] = shown.lines[adapter]
        if adapter in shown.trials:
            picture.trials[adapter] = shown.trials[adapter]
        if adapter in shown.stopped:
            picture.stopped.add(adapter)
        picture.kept.update({key: line for key, line in shown.kept.items() if key[0] == adapter})
        picture.keys |= {key for key in self._lines if key[0] == adapter}

    def _keep(self, picture: _Picture, manifest: Manifest | None, digest: bytes, where: Where | None) -> Line | None:
        if manifest is None or (manifest.id, manifest.version) in picture.kept:
            return None if manifest is None else picture.kept[manifest.id, manifest.version]
        line = self._line(picture, manifest, digest, where)
        if line is not None:
            picture.kept[manifest.id, manifest.version] = line
        return line

    def _manifest(self, picture: _Picture, row: store.Served) -> Manifest | None:
        found = self._parsed.get(row.digest)
        if found is None:
            try:
                name = f"{row.adapter} {row.version}"
                found, remark = manifests.parse_serving(row.manifest, name)
                self._parsed[row.digest] = found
                if remark is not None:
                    self._late[row.digest] = remark
            except BadManifest as fault:  # an older release wrote what this one no longer takes
                picture.faults[row.adapter] = str(fault)
        return found

    def _where(self, adapter: str, read: Read, now: datetime) -> Where | None:
        """Return an adapter's place: the environment file's, overridden by the database's."""
        told = self._told.get(adapter)
        return placed(told, read.places.get(adapter), choose(read.values.get(adapter, ()), now))

    def _line(self, picture: _Picture, manifest: Manifest, digest: bytes, where: Where | None) -> Line | None:
        """Return the line that is there, or make it; None where there is no place, or it cannot be made."""
        if manifest.desk or (where is None and not is_called(manifest)):
            return None
        key = self._key(manifest, digest, where)
        line = self._lines.get(key)
        if line is None:
            made = open_line(manifest, where, self._allow, self._networks)
            if not isinstance(made, Line):
                picture.closed.setdefault(manifest.id, made)
                if made.code != "no_environment":
                    picture.faults[manifest.id] = in_words(made)
                return None
            line = self._lines[key] = made
            self.shares.give(made)
        picture.keys.add(key)
        return line

    @staticmethod
    def _key(manifest: Manifest, digest: bytes, where: Where | None) -> _LineKey:
        place = hashlib.sha256(msgspec.json.encode(where, order="deterministic")).digest() if where else b""
        return manifest.id, manifest.version, digest, place

    # ---- lines that leave

    def _retire(self, wanted: set[_LineKey]) -> None:
        until = asyncio.get_running_loop().time() + _LINGER_S
        for key in [key for key in self._lines if key not in wanted]:
            self._leaving.append((until, self._lines.pop(key)))

    async def _let_go(self) -> None:
        now = asyncio.get_running_loop().time()
        over = [line for until, line in self._leaving if until <= now]
        self._leaving = [(until, line) for until, line in self._leaving if until > now]
        for line in over:
            await attempt("registry_closing", line.close, adapter=line.manifest.id)

    async def _tell(self, faults: Mapping[str, str], kind: Literal["not_loaded", "later_rule"]) -> None:
        """Tell owners what could not be loaded, or breaks a later rule; once a day, however many processes meet it."""
        for adapter, sentence in faults.items():
            log.error(f"adapter_{kind}", adapter=adapter, fault=sentence)
            day = clock.real_now().date().isoformat()
            id_ = f"fault:{adapter}:{day}:{hashlib.sha256(sentence.encode()).hexdigest()[:16]}"
            await store.insert_notice(self._pool, id_, adapter, None, kind, {"fault": sentence})


def _file_digest(manifest: Manifest) -> bytes:
    """Return what tells a file's manifest from a database's: files have no digest of their own here."""
    return b"file:" + manifest.version.encode()
