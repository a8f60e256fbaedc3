"""Somebody else's servers, as processes on free ports: Prism, WireMock, npm's soap, and small ones of node's http."""

import json
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.ports import free_port

HERE = Path(__file__).parent
PEERS = HERE / "peers"
DOCUMENTS = HERE / "documents"
PATIENCE_S = 40.0

LIN = {"number": "990102199203140221", "name": "林晓舟", "id": "p-1", "permits": 5}
CHEN = {"number": "990103198506300175", "name": "陈立", "id": "p-2", "permits": 1}
WANG = {"number": "990101199001010015", "name": "王平", "id": "p-3", "permits": 0}
STALE = {"number": "990101197501010011", "name": "周全"}
NOBODY = "990101197001010018"
PLAIN = "990101198001010013"  # whose attributes the register sends unsealed


def packages() -> str | None:
    """Return the folder of the servers' packages; None where npm is not there or cannot fetch them."""
    if shutil.which("npm") is None:
        return None
    done = subprocess.run([PEERS / "install"], capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else None


class Server:
    """One process; `log` is everything it wrote, access lines among it."""

    def __init__(self, name: str, port: int, command: Sequence[str | Path], folder: Path) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.port = port
        self._log = folder / f"{name}.log"
        self._name, self._ready = name, False
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [str(part) for part in command], stdout=log, stderr=subprocess.STDOUT, cwd=folder
            )

    @property
    def log(self) -> str:
        return self._log.read_text("utf-8", "replace")

    def ready(self, first: str = "/-/alive", **headers: str) -> "Server":
        """Wait until it answers; `first` is asked then, because Prism takes seconds over its first real question."""
        end = time.monotonic() + PATIENCE_S
        while not self._ready:
            if self._process.poll() is not None or time.monotonic() > end:
                raise AssertionError(f"{self._name} does not answer: {self.log[-2000:]}")
            try:
                httpx.get(self.url + first, headers=headers, trust_env=False, timeout=PATIENCE_S)
                self._ready = True
            except httpx.TransportError:
                time.sleep(0.05)
        return self

    def told(self, path: str) -> Any:
        """Ask the server itself what it did: its books, not its interface."""
        return httpx.get(self.url + path, trust_env=False, timeout=5).raise_for_status().json()

    def tell(self, path: str, value: Any) -> None:
        """Change how the server behaves."""
        httpx.put(self.url + path, json=value, trust_env=False, timeout=5).raise_for_status()

    def end(self) -> None:
        self._process.terminate()

    def gone(self) -> None:
        """Wait until it has ended."""
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(5)


PAY_KEY = "api_test_only_for_one_run"
BAG_KEY = "bag-key-1"
BAG_BASE = "/lvbag/individuelebevragingen/v2"
PAY_FRONT = {
    "key": {
        "header": "authorization",
        "value": f"Bearer {PAY_KEY}",
        "refusal": {"status": 401, "body": {"code": "P0920", "description": "Request blocked by firewall rules"}},
    },
    "pays": True,
}
BAG_FRONT = {
    "key": {
        "header": "x-api-key",
        "value": BAG_KEY,
        "refusal": {"status": 403, "body": {"status": 403, "title": "Forbidden", "code": "authorization"}},
    },
    "base": BAG_BASE,
    "demands": {"accept-crs": "epsg:28992"},
    "pages": 3,
}
NODO = {"key": "subscription-1", "username": "onestop", "password": "only-for-one-run"}
XTIF = {"paasid": "onestop_pass", "token": "only-for-one-run-token", "people": [LIN, CHEN, WANG]}
ZAKEN = {"client_id": "onestop", "secret": "only-for-one-run-0123456789abcdef", "people": [LIN, CHEN]}
SEALED = {
    "key": "attributes-key-1",
    "people": [
        LIN,
        {**STALE, "answer": "stale"},
        {**WANG, "answer": "forged"},
        {"number": PLAIN, "name": "赵宁", "answer": "plain"},
    ],
}


class Servers:
    """All of them, started at the same time; each is waited for when it is first needed."""

    def __init__(self, packages: str, folder: Path, recipient: dict[str, Any]) -> None:
        self._packages, self._folder = packages, folder
        self._all: list[Server] = []
        pay, bag = self._prism("govuk-pay.openapi.json"), self._prism("kadaster-bag.openapi.yaml")
        self._open311 = self._wiremock("open311") if shutil.which("java") else None
        self._pay, self._bag = self._front("pay", pay, PAY_FRONT), self._front("bag", bag, BAG_FRONT)
        self._behind = {"pay": pay, "bag": bag}
        self._nodo = self._node("nodo", NODO, self._packages, DOCUMENTS / "nodo.wsdl")
        self._xtif = self._node("xtif", XTIF)
        self._zaken = self._node("zaken", ZAKEN, self._packages)
        self._sealed = self._node("sealed", {**SEALED, "recipient": recipient}, self._packages)

    @property
    def open311(self) -> Server:
        if self._open311 is None:
            pytest.skip("WireMock needs java (Debian: openjdk-17-jre-headless)")
        return self._open311.ready()

    @property
    def pay(self) -> Server:
        self._behind["pay"].ready("/v1/payments/first", authorization="Bearer first")
        return self._pay.ready()

    @property
    def bag(self) -> Server:
        self._behind["bag"].ready("/adressen?postcode=6922KZ&huisnummer=1", **{"x-api-key": "first"})
        return self._bag.ready()

    @property
    def nodo(self) -> Server:
        return self._nodo.ready()

    @property
    def xtif(self) -> Server:
        return self._xtif.ready()

    @property
    def zaken(self) -> Server:
        return self._zaken.ready()

    @property
    def sealed(self) -> Server:
        return self._sealed.ready()

    def stop(self) -> None:
        for server in self._all:
            server.end()
        for server in self._all:
            server.gone()

    def _start(self, name: str, port: int, command: Sequence[str | Path]) -> Server:
        server = Server(name, port, command, self._folder)
        self._all.append(server)
        return server

    def _node(self, name: str, settings: dict[str, Any], *before: str | Path) -> Server:
        port = free_port()
        return self._start(name, port, ["node", PEERS / f"{name}.mjs", *before, json.dumps({**settings, "port": port})])

    def _prism(self, document: str) -> Server:
        port = free_port()
        prism = Path(self._packages) / "node_modules" / ".bin" / "prism"
        command = ["node", prism, "mock", "-h", "127.0.0.1", "-p", str(port), DOCUMENTS / document]
        return self._start(f"prism-{document}", port, command)

    def _front(self, name: str, behind: Server, settings: dict[str, Any]) -> Server:
        port = free_port()
        return self._start(name, port, ["node", PEERS / "front.mjs", str(port), str(behind.port), json.dumps(settings)])

    def _wiremock(self, name: str) -> Server:
        port = free_port()
        [jar] = Path(self._packages).glob("node_modules/wiremock/build/wiremock-standalone-*.jar")
        root = self._folder / name
        shutil.copytree(PEERS / name, root)
        command = ["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto", "-jar", jar]
        manners = ["--bind-address", "127.0.0.1", "--port", str(port), "--disable-banner", "--verbose"]
        return self._start(name, port, [*command, "--root-dir", root, *manners])
