"""Departments that nobody here wrote, each a process of its own; started once for the run, all at the same time."""

from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from joserfc.jwk import ECKey

from onestop.crypto import Keys
from onestop.db import Pool
from onestop.gateway import effect_verdicts
from tests.adapters.office import Office, office
from tests.adapters.servers import Servers, packages


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


@pytest.fixture
def open_office(pool: Pool, keys: Keys, tmp_path: Path) -> Callable[..., AbstractAsyncContextManager[Office]]:
    """Open a gateway of one department: its name, where it is, its secrets."""
    return lambda name, url, **secrets: office(pool, keys, tmp_path, name, url, **secrets)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try again soon, where the ledger would wait seconds."""
    monkeypatch.setattr(effect_verdicts, "backoff_s", lambda attempt: 0.05)
