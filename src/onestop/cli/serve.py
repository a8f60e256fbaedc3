"""`onestop run` and `onestop worker`: the processes of an installation."""

import asyncio
import os
import signal
import socket
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

import click
import uvicorn

from onestop.cli.moved_clock import follow
from onestop.cli.place import database
from onestop.cli.speech import Exit, Halt, Speaker
from onestop.rounds import repeat

if TYPE_CHECKING:
    from onestop.settings import Settings

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@click.command("run")
@click.option("--host", default=None)
@click.option("--port", type=click.IntRange(1, 65_535), default=None)
@click.option("--all", "with_worker", is_flag=True)
@click.option("--drain", "drain_s", type=click.IntRange(1, 600), default=10, show_default=True)
@click.pass_obj
def run(speaker: Speaker, host: str | None, port: int | None, with_worker: bool, drain_s: int) -> int:
    from onestop.settings import load

    settings = load(os.environ, host=host, port=port)
    if settings.profile == "demo" and settings.host not in _LOOPBACK:
        raise Halt("demo_loopback", Exit.CONFIGURATION, host=settings.host)
    return _loop(_serve(speaker, settings, drain_s, with_worker))


@click.command("worker")
@click.pass_obj
def worker(speaker: Speaker) -> int:
    from onestop.settings import load

    return _loop(_work_alone(load(os.environ)))


class _Server(uvicorn.Server):
    """uvicorn, started and stopped by us; says `ready` exactly when it serves."""

    def __init__(self, config: uvicorn.Config, speaker: Speaker, url: str) -> None:
        super().__init__(config)
        self._speaker = speaker
        self._url = url

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        if self.started and not self.should_exit:
            self._speaker.line(f"ready {self._url}")

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # the loop's own handlers set should_exit


async def _serve(speaker: Speaker, settings: "Settings", drain_s: int, with_worker: bool) -> int:
    from onestop.app import create_app

    listener = _listen(settings)
    await _reach_database(settings)
    config = uvicorn.Config(
        create_app(settings),
        http="httptools",
        ws="none",
        lifespan="on",
        proxy_headers=False,
        server_header=False,
        date_header=False,
        access_log=False,
        log_config=None,
        log_level="warning",
        timeout_keep_alive=75,
        timeout_graceful_shutdown=drain_s,
    )
    server = _Server(config, speaker, f"http://{settings.host}:{settings.port}")
    ended_by: list[int] = []

    def end(number: int) -> None:
        server.force_exit = bool(ended_by) and number == signal.SIGINT  # the second Ctrl-C waits for nobody
        ended_by.append(number)
        server.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, end, number)
    beside = _beside(settings, with_worker)
    try:
        await server.serve([listener])
    finally:
        listener.close()
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)
    if not server.started:
        raise Halt("not_started", Exit.FAILED, port=settings.port)
    return Exit.INTERRUPTED if ended_by[:1] == [signal.SIGINT] else Exit.OK


def _beside(settings: "Settings", with_worker: bool, again_s: float = 5.0) -> list[asyncio.Task[NoReturn]]:
    """Begin what nobody waits for: whatever ends it is told of, and it begins anew."""
    work = {"clock": partial(follow, settings)}
    if with_worker:
        work["worker"] = partial(_work, settings)
    return [asyncio.create_task(repeat(name, one, again_s), name=name) for name, one in work.items()]


def _listen(settings: "Settings") -> socket.socket:
    """Take the port before anything else is opened.

    Raises:
        Halt: it is in use, or the address is none of this machine's.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family, backlog=2048)
    except OSError as fault:
        where = f"{settings.host}:{settings.port}"
        raise Halt("cannot_listen", Exit.FAILED, where=where, reason=fault.strerror or fault) from fault


async def _reach_database(settings: "Settings") -> None:
    """Say in one sentence that the database told is silent; the embedded one is started later.

    Raises:
        Halt: it does not answer.
    """
    if settings.database_url is not None:
        async with database(settings):
            return


async def _work_alone(settings: "Settings") -> int:
    ended = asyncio.Event()
    ended_by: list[int] = []

    def end(number: int) -> None:
        ended_by.append(number)
        ended.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, end, number)
    await _reach_database(settings)
    tasks = [asyncio.create_task(_work(settings)), *_beside(settings, with_worker=False)]
    waiting = asyncio.create_task(ended.wait())
    done, _ = await asyncio.wait({tasks[0], waiting}, return_when=asyncio.FIRST_COMPLETED)
    for task in (*tasks, waiting):
        task.cancel()
    with suppress(asyncio.CancelledError):
        await asyncio.gather(*tasks, return_exceptions=True)
    if tasks[0] in done:
        tasks[0].result()
    return Exit.INTERRUPTED if ended_by[:1] == [signal.SIGINT] else Exit.OK


async def _work(settings: "Settings") -> None:
    from onestop.worker import work

    await work(settings)


def _loop(main: Coroutine[Any, Any, int]) -> int:
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)
