"""Asking a department's system how it is: its health path, and example queries about test persons."""

import asyncio
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import structlog

from onestop.gateway.auth.kinds import always
from onestop.gateway.auth.recipes import Outgoing
from onestop.gateway.auth.tls import tls_context
from onestop.gateway.line import CallFailed, Line, Where
from onestop.gateway.manifest import Manifest, Operation, Probe
from onestop.onboarding import overrun, store_play
from onestop.onboarding.service import Life
from onestop.onboarding.simulator import Simulator
from onestop.onboarding.simulator_examples import Book, Recorded
from onestop.outbound.addresses import AllowList
from onestop.outbound.errors import OutboundError
from onestop.outbound.message import build_request
from onestop.outbound.pool import Pool
from onestop.rounds import attempt, repeat

if TYPE_CHECKING:
    from onestop.onboarding.drift import DriftWatch

log = structlog.get_logger(__name__)

QUERY_EVERY_S: Final = 120.0
_WITHIN_S: Final = 5.0
_ROUND_S: Final = 5.0
_TELL_AFTER: Final = 3


async def ask_probe(manifest: Manifest, where: Where, allow: AllowList) -> int | None:
    """Ask the health path about nobody; its status, None where there was no answer.

    It goes by the department's own TLS and with what every request carries (`[always]`), without `[auth]`.
    """
    probe = manifest.probe
    if probe is None:
        return None
    url = urlsplit(where.url)
    secure = url.scheme == "https"
    port = url.port or (443 if secure else 80)
    host = url.hostname or ""
    tls = tls_context(manifest, where.secrets) if secure else None
    pool = Pool(host, port, allow=allow, tls=tls, max_connections=1, max_waiting=1, connect_s=2.0)
    try:
        name = f"{host}:{port}" if url.port else host
        out = Outgoing(probe.method, f"{url.scheme}://{name}", url.path.rstrip("/") + probe.path, "", [], b"")
        add = always(manifest, where.secrets, where.config)
        if add is not None:
            add(out)
        message = build_request(out.method, out.target, name, out.headers, b"")
        reply = await pool.ask(message, asyncio.get_running_loop().time() + _WITHIN_S)
        return reply.status
    except OutboundError:
        return None
    finally:
        await pool.close()


class Prober:
    """Asks, in turn with the other processes, what is to be asked regularly."""

    def __init__(
        self, life: Life, lines: Callable[[], Mapping[str, Line]], watch: "DriftWatch", examples: Path | None
    ) -> None:
        self._life, self._lines, self._watch, self._examples = life, lines, watch, examples
        self._asked: dict[tuple[str, str], list[tuple[Operation, dict[str, Any], str]]] = {}

    async def run(self) -> None:
        """Ask until cancelled."""
        await repeat("probe_round", self.round, _ROUND_S)

    async def round(self, every_s: float = QUERY_EVERY_S) -> None:
        """Ask everything that is due now; what goes wrong with one department is no matter of the others."""
        for line in list(self._lines().values()):
            name, probe = line.manifest.id, line.manifest.probe
            if probe is not None:
                await attempt("probe", partial(self._health, line, probe), adapter=name)
                await attempt("overrun", partial(self._overrun, line, probe), adapter=name)
            if self._life.settings.profile != "production":
                await attempt("probe", partial(self._ask, line, every_s), adapter=name)

    async def _ask(self, line: Line, every_s: float) -> None:
        for operation, values, number in self._queries(line):
            asked = partial(self._query, line, operation, values, number, every_s)
            await attempt("probe", asked, adapter=line.manifest.id, operation=operation.id)

    def _queries(self, line: Line) -> list[tuple[Operation, dict[str, Any], str]]:
        """Return the example queries about test persons: the first good one of each operation."""
        key = (line.manifest.id, line.manifest.version)
        if key not in self._asked:
            folder = self._examples / line.manifest.id / "examples" if self._examples is not None else None
            books = Simulator(line.manifest, examples=folder).books
            self._asked[key] = [
                (operation, good.asking({"subject.name": "-"}), good.values["subject.number"])
                for operation in line.manifest.operations
                if operation.kind == "query" and (good := _good(books.get(operation.id))) is not None
            ]
        return self._asked[key]

    async def _health(self, line: Line, probe: Probe) -> None:
        name, pool = line.manifest.id, self._life.pool
        if not await store_play.claim_probe(pool, name, "probe", probe.every_s):
            return
        begun = time.monotonic()
        status = await ask_probe(line.manifest, line.where, AllowList(self._life.settings.outbound_allow))
        await self._tell(name, "probe", str(status or "no answer"), begun, status in probe.accept)

    async def _overrun(self, line: Line, probe: Probe) -> None:
        async def well() -> bool:
            allow = AllowList(self._life.settings.outbound_allow)
            return await ask_probe(line.manifest, line.where, allow) in probe.accept

        await overrun.look(self._life, line.manifest.id, line.manifest.windows, well)

    async def _query(
        self, line: Line, operation: Operation, values: dict[str, Any], number: str, every_s: float
    ) -> None:
        name = line.manifest.id
        if not await store_play.claim_probe(self._life.pool, name, operation.id, every_s):
            return
        begun = time.monotonic()
        try:
            answer = await line.ask(operation.id, values, operation.total_s, number, lane="batch")
        except CallFailed as failure:
            await self._tell(name, operation.id, failure.kind, begun, False)
            return
        if answer.reply is not None and answer.kind in ("ok", "bad_reply"):
            self._watch.probed(line, operation.id, answer.reply.body)
        await self._tell(name, operation.id, answer.kind, begun, answer.kind == "ok")

    async def _tell(self, adapter: str, operation: str, outcome: str, begun: float, good: bool) -> None:
        took = round((time.monotonic() - begun) * 1000)
        failures = await store_play.probed(self._life.pool, adapter, operation, outcome, took, good)
        if failures == _TELL_AFTER:
            await self._life.notify(
                self._life.pool, adapter, None, "probe_failed", operation=operation, outcome=outcome, failures=failures
            )


def _good(book: Book | None) -> Recorded | None:
    """Return a recorded good example about a test person."""
    for example in book.examples if book is not None else ():
        if example.good and not example.made and example.values.get("subject.number", "").startswith("99"):
            return example
    return None
