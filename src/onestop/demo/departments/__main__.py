"""Run one department: `python -m onestop.demo.departments gongan --port 8011 --state DIR --secrets FILE`."""

import argparse
import asyncio
import contextlib
import socket
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

import uvicorn

from onestop.demo.departments.desk import Desk
from onestop.demo.departments.faults import Manners
from onestop.demo.departments.server import System
from onestop.demo.secrets import read

# Imported by name, so that a process loads its own manner only: only two need an XML parser.
SYSTEMS = {
    "gongan": "rest_oauth.Gongan",
    "weijian": "app_sign.Weijian",
    "renshe": "callback.Renshe",
    "yibao": "soap.Yibao",
    "shichang": "api_key.Shichang",
    "shuiwu": "form_xml.Shuiwu",
    "minzheng": "basic_auth.Minzheng",
    "jiaoyu": "paged.Jiaoyu",
    "ziran": "api_key.Ziran",
    "gjj": "api_key.Gjj",
    "chengguan": "xml_rest.Chengguan",
    "xiaofang": "nested_json.Xiaofang",
}
PACE_MS = {"renshe": 1_000, "yibao": 1_500, "xiaofang": 150}
FLAKY_SHARE = {"minzheng": 0.05}


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until told to stop by SIGTERM or SIGINT."""
    told = _parser().parse_args(arguments)
    manners = Manners(delay_ms=PACE_MS.get(told.department, 0), flaky_share=FLAKY_SHARE.get(told.department, 0.0))
    secrets = read(told.secrets)[told.department]
    desk = Desk(told.department, told.state, secrets, now=told.now, seed=told.seed, manners=manners)
    try:
        listener = socket.create_server(("127.0.0.1", told.port), backlog=512)
    except OSError as fault:
        sys.exit(f"{told.department}: cannot listen on port {told.port}: {fault.strerror}")
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(told.department, desk, told.portal.rstrip("/"), listener))


async def _serve(id: str, desk: Desk, portal: str, listener: socket.socket) -> None:
    module, _, name = SYSTEMS[id].partition(".")
    kind = getattr(import_module(f"onestop.demo.departments.{module}"), name)
    department = kind(desk, portal) if id == "renshe" else kind(desk)
    if id == "renshe":
        department.start()
    config = uvicorn.Config(
        System(desk, department),
        loop="asyncio",
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="critical",  # an address or a stack of another's system is nobody's business, and may name a person
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=1,
    )
    await uvicorn.Server(config).serve([listener])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m onestop.demo.departments", description=__doc__)
    parser.add_argument("department", choices=sorted(SYSTEMS))
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--state", type=Path, required=True, help="folder of the ledger and of the faults in force")
    parser.add_argument("--portal", default="http://127.0.0.1:8000", help="whom renshe calls back")
    parser.add_argument("--secrets", type=Path, required=True, help="departments.toml of this installation")
    parser.add_argument("--seed", type=int, default=1, help="of the dice that decide which requests fail")
    parser.add_argument("--now", type=_instant, help="stop the department's clock at this instant")
    return parser


def _instant(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=UTC)


if __name__ == "__main__":
    main()
