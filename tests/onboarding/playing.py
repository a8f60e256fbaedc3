"""Simulators on real sockets, and lines to them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import uvicorn

from onestop.gateway.line import Line, Where
from onestop.gateway.manifest import Manifest, load, parse
from onestop.onboarding.simulator import Simulator
from onestop.onboarding.simulator_secrets import sandbox_secrets
from onestop.onboarding.simulator_server import SimulatorApp
from onestop.outbound.addresses import AllowList
from onestop.resources import shipped

FOLDER = shipped("adapters")
MANIFESTS = load(FOLDER)
LOOPBACK = AllowList(["127.0.0.0/8"])
LIN, ZHOU = "990102199203140221", "990102199008210351"


@asynccontextmanager
async def listening(app: Any) -> AsyncIterator[str]:
    """Serve an ASGI application on a free port while the block runs; gives its address."""
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="critical", access_log=False, lifespan="off")
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    task = asyncio.get_running_loop().create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event to wait for
        await asyncio.sleep(0.005)
    port = server.servers[0].sockets[0].getsockname()[1]
    if isinstance(app, SimulatorApp):
        app.simulator.port = port
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = server.force_exit = True
        await task


class Played:
    """A simulator that listens, and a line to it."""

    def __init__(self, app: SimulatorApp, url: str, line: Line) -> None:
        self.app, self.url, self.line = app, url, line
        self.simulator = app.simulator


@asynccontextmanager
async def played(
    manifest: Manifest,
    examples: Path | None = None,
    callbacks: str | None = None,
    secrets: dict[str, str] | None = None,
    **spoilt: str,
) -> AsyncIterator[Played]:
    """Play a manifest; `spoilt` are secrets that the line has otherwise than the department."""
    manifest = msgspec.structs.replace(manifest, limits=msgspec.structs.replace(manifest.limits, per_second=None))
    told = {**sandbox_secrets(manifest), **(secrets or {})}
    app = SimulatorApp(Simulator(manifest, examples=examples, told=told), callbacks)
    async with listening(app) as url:
        line = Line(manifest, Where(url, {**app.simulator.secrets, **spoilt}, app.simulator.config), LOOPBACK)
        try:
            yield Played(app, url, line)
        finally:
            await line.close()


def shipped_one(adapter: str) -> tuple[Manifest, Path]:
    """Return a shipped manifest and the folder of its examples."""
    return MANIFESTS[adapter], FOLDER / adapter / "examples"


def manifest_of(operations: str, head: str = "") -> Manifest:
    """Return a manifest of one department with these operations, as TOML."""
    return parse((HEAD.replace("#HEAD", head) + operations).encode())


HEAD = """
manifest = 1
id = "made"
version = "1.0.0"
region = "990100"
#HEAD
[department]
code = "11990100MB9T0002XE"
name = { zh = "试", en = "Try" }
officer = { zh = "试", en = "Try" }
contact = "made@example.com"
system = { id = "sys-made", zh = "试", en = "Try" }
"""
