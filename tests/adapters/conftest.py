"""Departments that nobody here wrote, each a process of its own; started once for the run, all at the same time."""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from joserfc.jwk import ECKey

from onestop.crypto import Keys
from onestop.db import Pool
from onestop.gateway import effect_verdicts
from onestop.gateway.line import Where
from tests.adapters.office import Office, office
from tests.adapters.servers import BAG_BASE, BAG_KEY, NODO, PAY_KEY, SEALED, XTIF, ZAKEN, Servers, packages


@pytest.fixture(scope="session")
def recipient() -> ECKey:
    """Our own key, for answers that are sealed for us."""
    return ECKey.generate_key("P-256", private=True)


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory, recipient: ECKey) -> Iterator[Servers]:
    folder = packages()
    if folder is None:
        pytest.skip("npm is not installed or cannot fetch the servers' packages")
    running = Servers(folder, tmp_path_factory.mktemp("servers"), recipient.as_dict(private=False))
    yield running
    running.stop()


@pytest.fixture(scope="session")
def places(servers: Servers, recipient: ECKey) -> dict[str, Callable[[], Where]]:
    """Where each department is, and its secrets."""
    return {
        "attributes": lambda: Where(
            servers.sealed.url,
            {
                "api_key": SEALED["key"],
                "decrypt_key": json.dumps(recipient.as_dict(private=True)),
                "verify_key": json.dumps(servers.sealed.told("/-/key")),
            },
        ),
        "bag": lambda: Where(servers.bag.url + BAG_BASE, {"api_key": BAG_KEY}),
        "govpay": lambda: Where(servers.pay.url, {"api_key": PAY_KEY}),
        "nodo": lambda: Where(
            servers.nodo.url,
            {"username": NODO["username"], "password": NODO["password"], "subscription_key": NODO["key"]},
        ),
        "open311": lambda: Where(servers.open311.url + "/open311/v2", {"api_key": "city-key-1"}),
        "xtif": lambda: Where(servers.xtif.url + "/ebus", {"paasid": XTIF["paasid"], "token": XTIF["token"]}),
        "zaken": lambda: Where(servers.zaken.url, {"client_id": ZAKEN["client_id"], "jwt_key": ZAKEN["secret"]}),
    }


@pytest.fixture
def open_office(pool: Pool, keys: Keys, tmp_path: Path) -> Callable[..., AbstractAsyncContextManager[Office]]:
    """Open a gateway of one department: its name, where it is, its secrets."""
    return lambda name, url, **secrets: office(pool, keys, tmp_path, name, url, **secrets)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try again soon, where the ledger would wait seconds."""
    monkeypatch.setattr(effect_verdicts, "backoff_s", lambda attempt: 0.05)
