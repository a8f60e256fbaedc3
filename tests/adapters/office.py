"""A gateway of one department over real sockets: look-ups over its line, submissions through the ledger's worker."""

import asyncio
import secrets
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from onestop.crypto import Keys
from onestop.db import Connection, Pool
from onestop.gateway import effects, store
from onestop.gateway.fanout import Person, gather
from onestop.gateway.line import CallFailed
from onestop.gateway.manifest import Manifest
from onestop.gateway.models import Effect, NewEffect, Part, Settled
from onestop.gateway.operations import Answer
from onestop.gateway.service import Gateway
from onestop.ids import new_id
from onestop.settings import Settings

REGION = "990100"
PATIENCE_S = 15.0
DEPARTMENTS = Path(__file__).parent / "departments"


class Office:
    """What the tests ask of a gateway, and of its ledger."""

    def __init__(self, gateway: Gateway, pool: Pool, keys: Keys, name: str) -> None:
        self._gateway, self._pool, self._keys, self.name = gateway, pool, keys, name
        self.heard: list[tuple[str, Settled]] = []
        self.late: list[Part] = []

    @property
    def manifest(self) -> Manifest:
        return self._gateway.manifests[self.name]

    async def look_up(self, want: str, person: dict[str, Any], *, within_s: float = 5.0) -> Part:
        """Ask what a department holds about a person, as "my affairs" does."""
        deadline = asyncio.get_running_loop().time() + within_s
        asks, about = [self._gateway.wants[want]], Person(person["number"], person["name"])
        gathered = await gather(self._gateway.lines, asks, about, deadline=deadline, on_late=self.late.append)
        [part] = gathered.parts
        return part

    async def ask(self, operation: str, **payload: Any) -> Answer | CallFailed:
        """Ask something that is about no person."""
        values = {"payload": payload, "case": {"number": "C-1"}, "now": "2026-11-25T10:00:00+08:00"}
        line = self._gateway.lines[self.name]
        try:
            return await line.ask(operation, values, line.operations[operation].spec.total_s)
        except CallFailed as failure:
            return failure

    async def submit(self, operation: str, **payload: Any) -> Effect:
        """Intend an effect and wait until it is settled; the ledger's last word on it."""
        return await self.settled(await self.intend(operation, **payload))

    async def intend(self, operation: str, **payload: Any) -> str:
        key = f"{secrets.token_hex(8)}-{operation.replace('_', '-')}-1"
        effect = NewEffect(
            id=new_id("eff"), case_id=new_id("case"), step="s", adapter=self.name, operation=operation, key=key,
            payload={"case": {"number": "C-1"}, **payload},
        )  # fmt: skip
        async with self._pool.acquire() as db, db.transaction():
            await effects.intend(db, self._keys, self._gateway, REGION, [effect])
        return key

    async def settled(self, key: str) -> Effect:
        """Wait until an effect is settled and no answer is awaited any more."""
        await until(lambda: any(outcome.outcome not in ("pending", "extended") for outcome in self.outcomes(key)))
        effect = await store.by_key_for_update(self._pool, REGION, self.name, key)
        assert effect is not None
        return effect

    def outcomes(self, key: str) -> list[Settled]:
        """Return what the case heard of an effect, in order."""
        return [settled for heard, settled in self.heard if heard == key]

    async def handle(self, _: Connection, effect: Effect, settled: Settled) -> None:
        self.heard.append((effect.key, settled))


@asynccontextmanager
async def office(pool: Pool, keys: Keys, folder: Path, name: str, url: str, **secrets_: str) -> AsyncIterator[Office]:
    """Open a gateway with one department and its entry of the environment file; its worker runs meanwhile."""
    place = folder / secrets.token_hex(4)
    shutil.copytree(DEPARTMENTS / name, place / name)
    told = "".join(f"{key} = '''{value}'''\n" for key, value in {"url": url, **secrets_}.items())
    (place / "environment.toml").write_text(f"[adapters.{name}]\n{told}")
    settings = Settings(
        adapters_dir=place, environment_file=place / "environment.toml", outbound_allow=("127.0.0.1/32",)
    )
    gateway = Gateway.open(settings)
    opened = Office(gateway, pool, keys, name)
    worker = effects.Dispatcher(pool, keys, gateway, REGION, opened.handle)
    running = asyncio.create_task(worker.run())
    try:
        yield opened
    finally:
        worker.stop()
        await running
        await gateway.close()


async def until(check: Callable[[], bool], patience_s: float = PATIENCE_S) -> None:
    end = asyncio.get_running_loop().time() + patience_s
    while not check():
        assert asyncio.get_running_loop().time() < end, "it never happened"
        await asyncio.sleep(0.02)
