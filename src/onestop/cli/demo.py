"""`onestop demo`: the whole city on this machine, told step by step."""

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import click

from onestop import __version__
from onestop.cli.place import demo_folder
from onestop.cli.speech import Exit, Halt, Speaker
from onestop.cli.widths import pad

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_HIGHEST_PORT = 65_535 - 22


@click.command("demo")
@click.option("--port", type=click.IntRange(1024, _HIGHEST_PORT), default=None)
@click.option("--reset", is_flag=True)
@click.option("--tour", is_flag=True)
@click.option("--state", type=click.Path(path_type=Path, file_okay=False))
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def demo(speaker: Speaker, port: int | None, reset: bool, tour: bool, state: Path | None, as_json: bool) -> int:
    speaker.as_json = as_json
    if os.environ.get("ONESTOP_HOST", "127.0.0.1") not in _LOOPBACK:
        raise Halt("demo_loopback", Exit.CONFIGURATION, host=os.environ["ONESTOP_HOST"])
    port = port or _told_port()
    if tour:
        from onestop.cli.tour import take

        return take(speaker, demo_folder(state), port, reset)
    return asyncio.run(_run(speaker, demo_folder(state), port, reset))


def _told_port() -> int:
    told = os.environ.get("ONESTOP_PORT", "8000")
    if not told.isdigit() or not 1024 <= int(told) <= _HIGHEST_PORT:
        raise Halt("demo_port", Exit.CONFIGURATION, port=told, highest=_HIGHEST_PORT)
    return int(told)


async def _run(speaker: Speaker, path: Path, port: int, reset: bool) -> int:
    from onestop.demo import supervisor
    from onestop.demo.children import Ended
    from onestop.demo.folder import Folder, NotOurs, Taken

    folder = Folder(path)
    try:
        folder.claim()
        if reset:
            folder.clear()
        supervisor.check_ports(port)
        city = supervisor.City(folder.path, port, os.environ)
        told = Teller(speaker)
        told.begins(str(folder.path))
        ended_by = await supervisor.Supervisor(city, folder, told).run()
    except NotOurs as fault:
        raise Halt("demo_not_ours", folder=path) from fault
    except Taken as fault:
        running = fault.record
        params = {"pid": running.pid, "url": running.url} if running else {"pid": "?", "url": "?"}
        raise Halt("demo_runs", folder=path, **params) from fault
    except supervisor.PortTaken as fault:
        raise Halt("demo_port_taken", port=fault.port, portal=port, other=other_port(port)) from fault
    except Ended as fault:
        raise Halt("demo_ended", name=fault.name, words=fault.last_words or "-", log=fault.log) from fault
    except supervisor.Silent as fault:
        raise Halt("demo_silent", names=fault, logs=folder.path / "logs") from fault
    return Exit.INTERRUPTED if ended_by is signal.SIGINT else Exit.OK


def other_port(port: int) -> int:
    """Return a port whose whole range lies beyond this one's."""
    return port + 1000 if port + 1000 <= _HIGHEST_PORT else port - 1000


class Teller:
    """Turns what the supervisor tells into lines, or into one JSON object a line."""

    def __init__(self, speaker: Speaker) -> None:
        self._speaker = speaker

    def begins(self, folder: str) -> None:
        """Say what this is before anything else happens."""
        if self._speaker.as_json:
            self._speaker.show({"event": "begin", "onestop": __version__, "profile": "demo", "folder": folder})
        else:
            self._speaker.tell("demo.begin", version=__version__, folder=folder)

    def __call__(self, event: str, **facts: Any) -> None:
        """Say one event; a reader who went away stops nothing."""
        try:
            if self._speaker.as_json:
                self._speaker.show({"event": event, **_rounded(facts)})
            elif event == "step":
                self._step(facts)
            elif event == "ready":
                self._ready(facts["url"])
            else:
                self._speaker.tell(f"demo.{event}", **_rounded(facts))
        except BrokenPipeError:
            return

    def _step(self, facts: dict[str, Any]) -> None:
        say = self._speaker.say
        name = pad(say(f"demo.step.{facts['name']}.name"), 16)
        which = "given" if facts["name"] == "postgresql" and not facts["embedded"] else "says"
        what = pad(say(f"demo.step.{facts['name']}.{which}", **facts), 44)
        self._speaker.line(f"[{facts['number']}/{facts['of']}] {name} {what} {facts['took_s']:5.1f} s")

    def _ready(self, url: str) -> None:
        self._speaker.tell("demo.open", url=url)
        self._speaker.tell("demo.sign_in")
        self._speaker.tell("demo.next")
        self._speaker.line(f"ready {url}")


def _rounded(facts: dict[str, Any]) -> dict[str, Any]:
    return {name: round(value, 3) if isinstance(value, float) else value for name, value in facts.items()}
