"""Effects that go out, and answers that come in, as files: for departments that exchange nothing else.

Below the folder: `out/` (ours, each with a manifest file beside it), `in/` (theirs), `done/` and `bad/` (theirs, after
they were read). A file appears whole or not at all. What is marked as sent in a file that is not there is written again
under the same name; what is in it is never written twice. docs/effects.md tells a department's developer the rest.
"""

import asyncio
import hashlib
import os
import secrets
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import structlog

from onestop.crypto import Keys
from onestop.db import Pool
from onestop.gateway import file_rows, store, store_files
from onestop.gateway.callbacks import take_answer
from onestop.gateway.effect_rows import values_of
from onestop.gateway.effect_verdicts import to_desk
from onestop.gateway.effects import Handler
from onestop.gateway.file_rows import BadFile, BadRow, Row
from onestop.gateway.manifest import Files, Manifest, Operation
from onestop.gateway.mapping.language import MappingFailed, tree
from onestop.gateway.operations import Prepared
from onestop.gateway.service import Gateway
from onestop.gateway.store_registry import insert_notice
from onestop.ids import new_id
from onestop.rounds import attempt, repeat

log = structlog.get_logger(__name__)

_LOOK_S = 1.0
_ANSWER_WITHIN_S = 30 * 86400.0  # where no manifest says it any more
_LEASE_S = 60.0  # to write one file
_MOST_BYTES = 67_108_864
_MOST_TOLD = 1000  # bad rows in one report
_UNFINISHED = (".tmp", ".part", ".filepart", ".crdownload")


class FileManifest(msgspec.Struct, frozen=True, kw_only=True):
    """What stands beside a file: with it a reader knows that it has the whole file."""

    file: str
    adapter: str
    operation: str
    rows: int
    sha256: str
    codec: str
    charset: str


class Fault(msgspec.Struct, frozen=True):
    """One row that was not taken."""

    row: int
    cause: str


class Report(msgspec.Struct, kw_only=True):
    """What came of a file of answers; holds no personal data."""

    file: str
    rows: int = 0
    new: int = 0
    repeated: int = 0
    bad: list[Fault] = []
    cause: str | None = None  # where the file could not be read at all


class FileDrop:
    """Writes and reads the files of one folder; several may work on one folder that all of them see."""

    def __init__(
        self, pool: Pool, keys: Keys, gateway: Gateway, region: str, handler: Handler, folder: Path | None
    ) -> None:
        self._pool, self._keys, self._gateway, self._region, self._handler = pool, keys, gateway, region, handler
        self._folder = folder
        self.worker = f"f-{secrets.token_hex(6)}"

    async def run(self) -> None:
        """Look every second, until cancelled."""
        await repeat("files", self.look, _LOOK_S)

    async def look(self) -> None:
        """Write every file that is due and read every file that came; one department's fault is its own."""
        # One without an operation by file may still have files of operations that an earlier version had.
        users = [one for one in self._gateway.manifests.values() if one.files]
        if self._folder is None:
            if any(map(_by_file, users)):
                log.warning("files_without_folder", adapters=[one.id for one in users])
            return
        for manifest in users:
            assert manifest.files is not None  # as chosen above
            await attempt("files", partial(self._look_at, manifest, manifest.files, self._folder), adapter=manifest.id)

    async def _look_at(self, manifest: Manifest, files: Files, folder: Path) -> None:
        await asyncio.to_thread(_make_folders, folder)
        await self._finish_begun(manifest, files, folder)
        await self._write_due(manifest, files, folder)
        await self._read_all(manifest, files, folder)

    # --- out ----------------------------------------------------------------------------------------------------------

    async def _write_due(self, manifest: Manifest, files: Files, folder: Path) -> None:
        for one in await store_files.waiting(self._pool, self._region, manifest.id):
            if one.number < files.most_rows and one.oldest_s < files.every_s:
                continue
            name = await store_files.next_file(self._pool)
            batch = f"{manifest.id}-{name.at}-{name.nth}.{files.codec}"
            taken = await store_files.take_into_file(
                self._pool, self._region, manifest.id, one.operation, self.worker, batch, files.most_rows, _LEASE_S
            )
            if taken:
                await self._put_out(manifest, files, folder, batch, taken)

    async def _put_out(
        self, manifest: Manifest, files: Files, folder: Path, batch: str, taken: Sequence[store_files.InFile]
    ) -> None:
        """Write a file of effects that are marked as sent in it, and note that it is there."""
        operation = _operation(manifest, taken[0].operation)
        if operation is None:
            await self._tell_gone(manifest, taken[0].operation, batch)
            for effect in taken:
                await self._set_aside(effect, f"{effect.operation} is no longer in the manifest")
            return
        rows, ids = [], []
        for effect in sorted(taken, key=lambda one: one.id):
            try:
                row = self._row(manifest, operation, effect)
                file_rows.write(files, [row])  # a row that cannot be written must not take the others with it
            except (MappingFailed, BadRow, LookupError, TypeError, ValueError) as fault:
                await self._set_aside(effect, type(fault).__name__)
                continue
            rows.append(row)
            ids.append(effect.id)
        if rows:
            data = file_rows.write(files, rows)
            told = FileManifest(
                file=batch,
                adapter=manifest.id,
                operation=operation.id,
                rows=len(rows),
                sha256=hashlib.sha256(data).hexdigest(),
                codec=files.codec,
                charset=files.charset,
            )
            await asyncio.to_thread(_publish, folder / "out", batch, data, msgspec.json.encode(told))
            await store_files.out(self._pool, self._region, self.worker, batch, ids, operation.answer_within_s)
            log.info("file_out", file=batch, rows=len(rows))

    def _row(self, manifest: Manifest, operation: Operation, effect: store_files.InFile) -> Row:
        values = values_of(self._keys, effect, effect.payload)
        body = operation.request.body or {}
        row: Row = {} if "key" in body.values() else {"key": effect.key}
        made: dict[str, Any] = tree(body, manifest.codes)(values)
        return row | made

    async def _set_aside(self, effect: store_files.InFile, cause: str) -> None:
        """Give an effect that no row can be made of to a person."""
        verdict = to_desk("upstream.unmappable", cause)
        assert verdict.settled is not None  # a desk verdict always tells something
        problem = {"code": "upstream.unmappable", "cause": cause}
        async with self._pool.acquire() as db, db.transaction():
            if await store.settle(db, effect, self.worker, "desk", "none", None, None, problem, None, "desk"):
                await self._handler(db, effect, verdict.settled)

    async def _finish_begun(self, manifest: Manifest, files: Files, folder: Path) -> None:
        """Look after files whose writer did not come back: what is in the file is out, and only the rest is written."""
        for batch in await store_files.begun(self._pool, self._region, manifest.id):
            taken = await store_files.take_over(self._pool, self._region, manifest.id, batch, self.worker, _LEASE_S)
            if not taken:
                continue
            written = await asyncio.to_thread(_read_own, folder / "out" / batch)
            if written is None:
                await self._put_out(manifest, files, folder, batch, taken)
                continue
            name = taken[0].operation
            operation = _operation(manifest, name)
            if operation is None:
                await self._tell_gone(manifest, name, batch)
            there = _keys_in(files, operation, written)
            await asyncio.to_thread(_complete, folder / "out", batch, written, manifest.id, name, files)
            ids = [effect.id for effect in taken if effect.key in there]
            within_s = operation.answer_within_s if operation is not None else _ANSWER_WITHIN_S
            await store_files.out(self._pool, self._region, self.worker, batch, ids, within_s)
            await store_files.not_out(self._pool, self._region, self.worker, batch)
            log.info("file_found", file=batch, rows=len(ids))

    async def _tell_gone(self, manifest: Manifest, operation: str, file: str) -> None:
        """Tell the owner that a file speaks of an operation that its manifest no longer has; once for each file."""
        log.warning("file_operation_gone", adapter=manifest.id, operation=operation, file=file)
        told = {"operation": operation, "file": file}
        id_ = "file-gone:" + hashlib.sha256(f"{manifest.id}\n{operation}\n{file}".encode()).hexdigest()[:32]
        await insert_notice(self._pool, id_, manifest.id, manifest.version, "file_operation_gone", told)

    # --- in -----------------------------------------------------------------------------------------------------------

    async def _read_all(self, manifest: Manifest, files: Files, folder: Path) -> None:
        for path in await asyncio.to_thread(_arrived, folder / "in", manifest.id):
            report = await self._read(manifest, files, path)
            if report is not None:
                await asyncio.to_thread(_put_away, folder, path, report)
                log.info("file_in", file=path.name, rows=report.rows, new=report.new, bad=len(report.bad))

    async def _read(self, manifest: Manifest, files: Files, path: Path) -> Report | None:
        """Take every row of a file; None where the file has gone meanwhile. Read twice, it changes nothing twice."""
        report = Report(file=path.name, bad=[])
        try:
            data = await asyncio.to_thread(_bytes_of, path)
            rows = await asyncio.to_thread(lambda: list(file_rows.read(files, data)))
        except FileNotFoundError:
            return None
        except BadFile as fault:
            report.cause = str(fault)
            return report
        readers = [self._gateway.operation(manifest.id, one.id) for one in _by_file(manifest)]
        for nth, row in rows:
            report.rows += 1
            try:
                new = await self._take(manifest, [one for one in readers if one is not None], row)
            except _Gone as fault:
                await self._tell_gone(manifest, fault.operation, path.name)
                report.bad.append(Fault(nth, str(fault)))
            except (BadRow, MappingFailed) as fault:
                report.bad.append(Fault(nth, str(fault)[:200]))
            else:
                report.new += new
                report.repeated += not new
        return report

    async def _take(self, manifest: Manifest, readers: Sequence[Prepared], row: Row | BadRow) -> bool:
        if isinstance(row, BadRow):
            raise row
        key = next((str(found) for one in readers if one.key and (found := _key_of(one, row))), row.get("key"))
        if not key or not isinstance(key, str):
            raise BadRow("it names no key of ours")
        async with self._pool.acquire() as db, db.transaction():
            effect = await store.by_key_for_update(db, self._region, manifest.id, key)
            if effect is None or effect.channel != "file":
                raise BadRow("nothing was sent under its key")
            prepared = next((one for one in readers if one.spec.id == effect.operation), None)
            if prepared is None:
                raise _Gone(effect.operation)
            answer = prepared.read(row)
            if answer.kind != "ok" or answer.outcome is None:
                raise BadRow(answer.reason or "it holds no outcome")
            new = await take_answer(db, self._keys, effect, prepared, answer, self._handler)
        if new:
            await self._gateway.changed(self._pool, effect.case_id)
        return new


class _Gone(BadRow):
    """An answer to an operation that the manifest no longer has: it stands in `bad`, and its effect waits."""

    def __init__(self, operation: str) -> None:
        super().__init__(f"its operation {operation} is no longer in the manifest")
        self.operation = operation


def _key_of(reader: Prepared, row: Row) -> Any:
    """Return what a reader finds as our key; None where a row of another operation has not its form."""
    try:
        return reader.key(row) if reader.key is not None else None
    except MappingFailed:
        return None


def _operation(manifest: Manifest, name: str) -> Operation | None:
    return next((one for one in manifest.operations if one.id == name), None)


def _by_file(manifest: Manifest) -> list[Operation]:
    return [one for one in manifest.operations if one.answer == "file"]


def _keys_in(files: Files, operation: Operation | None, data: bytes) -> set[str]:
    """Return the keys in a file of our own; every text where nobody knows any more which column they stand in."""
    rows = [row for _, row in file_rows.read(files, data) if isinstance(row, dict)]
    if operation is None:
        return {str(value) for row in rows for value in row.values()}
    body = operation.request.body or {}
    column = next((name for name, source in body.items() if source == "key"), "key")
    return {str(row[column]) for row in rows}


# --- the folder; all of it runs in a thread ---------------------------------------------------------------------------


def _make_folders(folder: Path) -> None:
    for name in ("out", "in", "done", "bad"):
        (folder / name).mkdir(parents=True, exist_ok=True, mode=0o770)


def _publish(folder: Path, name: str, data: bytes, manifest: bytes) -> None:
    """Write a file and then its manifest file; each appears whole, and stays when the power goes."""
    _write_whole(folder, name, data)
    _write_whole(folder, f"{name}.manifest.json", manifest)


def _write_whole(folder: Path, name: str, data: bytes) -> None:
    temporary = folder / f".{name}.{secrets.token_hex(4)}.tmp"
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o660), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(folder / name)
    _sync(folder)


def _sync(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _read_own(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _complete(folder: Path, name: str, data: bytes, adapter: str, operation: str, files: Files) -> None:
    """Write the manifest file that a crash left out."""
    beside = f"{name}.manifest.json"
    if not (folder / beside).exists():
        rows = sum(1 for _ in file_rows.read(files, data))
        told = FileManifest(
            file=name,
            adapter=adapter,
            operation=operation,
            rows=rows,
            sha256=hashlib.sha256(data).hexdigest(),
            codec=files.codec,
            charset=files.charset,
        )
        _write_whole(folder, beside, msgspec.json.encode(told))


def _arrived(folder: Path, adapter: str) -> list[Path]:
    """Return the department's finished files, in order of name; links and folders are none."""
    found = []
    with os.scandir(folder) as entries:
        for entry in entries:
            ready = entry.name.startswith(f"{adapter}-") and not entry.name.endswith(_UNFINISHED)
            if ready and entry.is_file(follow_symlinks=False):
                found.append(Path(entry.path))
    return sorted(found)


def _bytes_of(path: Path) -> bytes:
    """Read a file of the department's.

    Raises:
        BadFile: it is larger than 64 MiB.
    """
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
        data = file.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise BadFile("larger than 64 MiB")
    return data


def _put_away(folder: Path, path: Path, report: Report) -> None:
    """Move a file that was read to `done`, or to `bad` with its report beside it; none is ever written over."""
    bad = bool(report.bad or report.cause)
    target = folder / ("bad" if bad else "done") / path.name
    if target.exists():
        target = target.with_name(f"{new_id('file')}-{path.name}")
    report.bad = report.bad[:_MOST_TOLD]
    if bad:
        _write_whole(target.parent, f"{target.name}.report.json", msgspec.json.encode(report))
    try:
        path.rename(target)
    except FileNotFoundError:
        return  # another worker read it at the same time
    _sync(target.parent)
    _sync(path.parent)
