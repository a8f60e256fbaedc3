"""Alive, ready, well: three answers that mean three things."""

import httpx
import pytest

from onestop.crypto import Keys
from onestop.db import Pool, open_pool
from onestop.http import health
from onestop.http.app_parts import build
from onestop.http.health import LineHealth
from onestop.rounds import FAILS_OFTEN, attempt
from onestop.settings import Settings

from .conftest import client_of

pytestmark = pytest.mark.anyio


async def test_a_well_process_says_so(nobody: httpx.AsyncClient) -> None:
    assert (await nobody.get("/livez")).json() == {"status": "ok"}
    ready = await nobody.get("/readyz")
    assert (ready.status_code, ready.json()["status"]) == (200, "ready")
    well = (await nobody.get("/healthz")).json()
    assert (well["status"], well["degraded"]) == ("ok", [])


async def test_without_a_database_it_lives_and_is_not_ready(dsn: str, site_settings: Settings) -> None:
    gone = await open_pool(dsn, size=2)
    await gone.close()
    async with client_of(build([], settings=site_settings, pool=gone), None) as nobody:
        assert (await nobody.get("/livez")).status_code == 200
        ready = await nobody.get("/readyz")
        assert (ready.status_code, ready.json()["code"]) == (503, "database.unavailable")
        assert ready.headers["retry-after"] == "5"
        told = await nobody.get("/healthz")
        assert (told.status_code, told.json()["degraded"]) == (200, ["database"])


async def test_an_older_schema_is_not_ready(pool: Pool, keys: Keys) -> None:
    livez, readyz, _ = health.routes(pool, newest=9_999)
    with pytest.raises(Exception, match="this release wants 9999"):
        await readyz.fn()
    assert (await livez.fn()).status == "ok"


async def test_what_a_worker_fails_at_again_and_again_shows_until_it_goes_well(
    pool: Pool, nobody: httpx.AsyncClient
) -> None:
    async def fails() -> None:
        raise OSError("the folder is gone")

    async def goes() -> None: ...

    async def degraded(worker: str = "w-1") -> list[str]:
        await health.tell_rounds(pool, worker)
        return list((await nobody.get("/healthz")).json()["degraded"])

    for _ in range(FAILS_OFTEN - 1):
        await attempt("healing", fails, adapter="bureau")
    assert await degraded() == []
    await attempt("healing", fails, adapter="bureau")
    await attempt("healing", goes, adapter="another")
    assert await degraded() == ["worker/healing bureau"]
    await attempt("healing", goes, adapter="bureau")
    assert await degraded("w-2") == ["worker/healing bureau"], "the first worker has not said that it is over"
    await pool.execute("UPDATE failing_rounds SET told_at = now() - interval '3 minutes'")
    assert await degraded("w-2") == [], "and may never say so"
    assert await degraded() == []
    assert await pool.fetchval("SELECT count(*) FROM failing_rounds") == 0


async def test_only_healthz_knows_departments(pool: Pool, site_settings: Settings) -> None:
    async def lines() -> list[LineHealth]:
        return [
            LineHealth(department="minzheng", operation="marriage", state="open"),
            LineHealth(department="gongan", operation="household", state="ok"),
        ]

    async with client_of(build([], settings=site_settings, pool=pool, lines=lines), None) as nobody:
        told = (await nobody.get("/healthz")).json()
        assert (told["status"], told["degraded"]) == ("degraded", ["minzheng/marriage"])
        assert (await nobody.get("/readyz")).status_code == 200
        assert "minzheng" not in (await nobody.get("/readyz")).text
