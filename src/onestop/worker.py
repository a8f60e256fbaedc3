"""The worker: what one process does that serves nobody and owes departments their effects."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial

from onestop import key_rotation, logs
from onestop.audit.sealer import Sealer, witness_of
from onestop.cases import service as cases
from onestop.gateway import store as gateway_store
from onestop.gateway import store_shares, store_traces
from onestop.gateway.effects import Dispatcher
from onestop.gateway.files import FileDrop
from onestop.http.health import tell_rounds
from onestop.http.wake import Announcer
from onestop.onboarding import drift
from onestop.onboarding.probes import Prober
from onestop.onboarding.service import Life
from onestop.onboarding.service_expiry import warn_of_expiry
from onestop.onboarding.service_runs import write_off
from onestop.outbound.addresses import AllowList
from onestop.outbound.transport import open_client
from onestop.overview import service as overview_service
from onestop.overview import service_escalation
from onestop.parts import Parts, adapters, announcing, open_parts
from onestop.provider import store as provider_store
from onestop.provider.service_logout import logouts
from onestop.rights import service_export
from onestop.rights.service import Rights
from onestop.rights.tombstones import Tombstones
from onestop.rounds import attempt, repeat
from onestop.settings import Settings

_SWEEP_EVERY_S = 3600.0
_TELL_ROUNDS_S = 15.0
_ESCALATE_EVERY_S = 30.0
_TOMBSTONES_S = 60.0
_EXPORTS_S = 2.0
_KEEP_TRACES_DAYS = 7
_KEEP_NONCES_S = 86_400.0  # far longer than any callback's time stamp is taken


async def work(settings: Settings) -> None:
    """Be one worker until cancelled: send what the ledger owes, write what came of it, sweep what is old."""
    logs.configure(settings.log_level)
    async with AsyncExitStack() as stack, open_parts(settings, "onestop worker") as parts:
        announce = Announcer(parts.pool)
        parts.gateway.changed = announcing(announce)
        parts.traces.start()
        handler = cases.outcome_handler(parts.office)
        worker = Dispatcher(parts.pool, parts.keys, parts.gateway, settings.region, handler, traces=parts.traces)
        drop = FileDrop(parts.pool, parts.keys, parts.gateway, settings.region, handler, settings.files_dir)
        loop = asyncio.get_running_loop()
        anew = key_rotation.resealing(parts.pool, parts.keys, settings.region)
        witness = witness_of(settings.state_dir, settings.region)
        sealer = Sealer(parts.pool, parts.keys, settings.region, witness, key_days=settings.anchor_key_days)
        works = (_sweep(parts), _escalate(parts), anew, drop.run(), sealer.run())
        beside = [loop.create_task(work) for work in works]
        sites = await stack.enter_async_context(open_client(allow=AllowList(settings.outbound_allow), timeout_s=5.0))
        beside.append(loop.create_task(logouts(parts.pool, parts.keys, settings, sites)))
        telling = partial(tell_rounds, parts.pool, worker.worker)
        beside.append(loop.create_task(repeat("rounds_told", telling, _TELL_ROUNDS_S)))
        stones = Tombstones(settings.state_dir, settings.region)
        beside.append(loop.create_task(repeat("tombstones", partial(stones.apply, parts.pool), _TOMBSTONES_S)))
        exporting = partial(service_export.work, parts.office)
        beside.append(loop.create_task(repeat("exports", exporting, _EXPORTS_S)))
        life = Life(parts.pool, parts.keys, settings, parts.gateway.files, announce)
        watch = drift.DriftWatch(life, lambda: parts.gateway.lines, examples=adapters(settings))
        watch.start()
        prober = Prober(life, lambda: parts.gateway.lines, watch, adapters(settings))
        beside.append(loop.create_task(prober.run()))
        running = asyncio.get_running_loop().create_task(worker.run())
        try:
            await asyncio.shield(running)
        except asyncio.CancelledError:
            worker.stop()
            await running
            raise
        finally:
            await watch.close()
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)
            await announce.close()
            await parts.traces.close()


async def _sweep(parts: Parts) -> None:
    """Delete, once an hour, what nobody will ask for again; nothing that cannot be deleted keeps the rest."""
    region, pool = parts.settings.region, parts.pool
    rights = Rights(parts.office)
    work: dict[str, Callable[[], Awaitable[object]]] = {
        "traces": partial(store_traces.delete_old, pool, region, _KEEP_TRACES_DAYS),
        "shares": partial(store_shares.delete_old_shares, pool, region, _KEEP_TRACES_DAYS),
        "completions": partial(overview_service.forget_old, pool, region),
        "callbacks": partial(gateway_store.delete_old_callbacks, pool, region, _KEEP_NONCES_S),
        "secrets": partial(_write_off, parts),
        "sign-ins at sites": partial(provider_store.delete_old, pool, region),
        "findings": partial(drift.forget_old, pool),
        "endings": partial(warn_of_expiry, pool, parts.settings),
        "retention": rights.keep_no_longer,
    }

    async def swept() -> None:
        for what, part in work.items():
            await attempt("sweep", part, what=what)

    await repeat("sweep", swept, _SWEEP_EVERY_S)


async def _write_off(parts: Parts) -> None:
    async with parts.pool.acquire() as db, db.transaction():
        await write_off(db)


async def _escalate(parts: Parts) -> None:
    """Give, twice a minute, an owner to what has none, and to a person what is past its day."""

    async def escalated() -> None:
        await attempt("escalation", partial(cases.escalate, parts.office), what="steps")
        await attempt("escalation", partial(service_escalation.escalate, parts.office), what="challenges")

    await repeat("escalation", escalated, _ESCALATE_EVERY_S, at_once=False)
