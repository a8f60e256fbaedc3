"""Imports on behalf of callers: each in a process of its own, which is ended at its limit; a few at once."""

import asyncio
import base64
import binascii
import os
import sys
from contextlib import suppress
from typing import Final

import msgspec

from onestop.errors import FieldError, Invalid
from onestop.onboarding.importing.errors import DocumentTooLarge, DocumentUnusable, ImportBusy, ImportTooSlow
from onestop.onboarding.importing.models import Imported
from onestop.onboarding.importing.unpacking import check_size
from onestop.onboarding.importing.views import ImportDocument, Job, Result

# The process is told nothing of this installation: no settings, no secrets.
_TOLD: Final = ("PATH", "PYTHONPATH", "LANG", "LC_ALL", "VIRTUAL_ENV", "HOME")


class Importer:
    """The imports of one gateway process."""

    def __init__(self, *, at_once: int = 2, limit_s: float = 10.0) -> None:
        self.at_once, self.limit_s = at_once, limit_s
        self.running = 0

    async def run(self, wanted: ImportDocument, region: str) -> Imported:
        """Read a document without keeping the event loop busy.

        Raises:
            Invalid: there is no document, or two, or no base64.
            DocumentUnusable, DocumentTooLarge: as `service.import_document`.
            ImportBusy: as many as may are under way.
            ImportTooSlow: it took longer than `limit_s`, or more memory than it may.
        """
        job = _job(wanted, region)
        if self.running >= self.at_once:
            raise ImportBusy(retry_after_s=3.0)
        self.running += 1
        try:
            return _imported(await self._read(msgspec.json.encode(job)))
        finally:
            self.running -= 1

    async def _read(self, job: bytes) -> bytes:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "onestop.onboarding.importing",
            str(max(1, int(self.limit_s))),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={name: os.environ[name] for name in _TOLD if name in os.environ},
        )
        try:
            async with asyncio.timeout(self.limit_s):
                said, _ = await process.communicate(job)
        except TimeoutError:
            raise ImportTooSlow from None
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        if process.returncode != 0:
            raise ImportTooSlow
        return said


def _job(wanted: ImportDocument, region: str) -> Job:
    if (wanted.document is None) == (wanted.document_base64 is None):
        raise Invalid(errors=[FieldError(pointer="/document", code="missing")], count=1)
    if wanted.document is not None:
        data = wanted.document.encode("utf-8", "replace")
    else:
        try:
            data = base64.b64decode(wanted.document_base64 or "", validate=True)
        except (binascii.Error, ValueError):
            raise Invalid(errors=[FieldError(pointer="/document_base64", code="pattern")], count=1) from None
    check_size(len(data))
    companions = {name: text.encode("utf-8", "replace") for name, text in wanted.companions.items()}
    return Job(name=wanted.name, data=data, companions=companions, answers=wanted.answers, region=region)


def _imported(said: bytes) -> Imported:
    result = msgspec.json.decode(said, type=Result)
    if result.imported is not None:
        return result.imported
    if result.kind == "too_large":
        raise DocumentTooLarge(**result.told)  # type: ignore[arg-type]  # only texts for the sentence
    rest = {name: value for name, value in result.told.items() if name not in ("file", "line")}
    raise DocumentUnusable(result.reason, file=result.file, line=result.line, **rest)
