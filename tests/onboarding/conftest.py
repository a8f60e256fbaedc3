"""Two departments, an office that approves, an operator; the life of their adapters on a real database."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from onestop.crypto import Keys
from onestop.db import Pool
from onestop.http.wake import Announcer
from onestop.ids import new_id
from onestop.onboarding import service_moves, service_secrets, store_runs
from onestop.onboarding.models import Actor, Moving, Push, Submitting, Version
from onestop.onboarding.service import Life
from onestop.settings import Settings
from tests.gateway.department import manifest_text

ONE = Actor(id="maker-one", role="department", department="one")
TWO = Actor(id="maker-two", role="department", department="two")
OFFICE = Actor(id="office", role="governance")
OPERATOR = Actor(id="operator", role="operator")
CODES = {"one": b"11990100MB9T0002XE", "two": b"11990100MB9T00089N"}
LIN, ZHOU = "990102199203140221", "990102199008210351"


def certificate(days: int) -> str:
    """Return a certificate of the tests that ends so many days from now."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "one.example.com")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=400))
        .not_valid_after(now + timedelta(days=days))
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM).decode()


def manifest(name: str = "one", version: str = "1.0.0", **changes: str) -> str:
    """Return a manifest of a department of the tests; `changes` are texts put in place of others."""
    data = manifest_text(name).replace(CODES["one"], CODES.get(name, CODES["one"]))
    text = data.decode().replace('version = "1.0.0"', f'version = "{version}"')
    for old, new in changes.items():
        text = text.replace(old, new)
    return text


async def record_run(
    pool: Pool, adapter: str, version: str, digest: bytes, against: Any = "sandbox", passed: bool = True
) -> str:
    """Write a run that ended, as if it had been made; return its id."""
    id_ = new_id("run")
    async with pool.acquire() as db, db.transaction():
        assert await store_runs.begin(db, id_, adapter, version, digest, against, "x")
        assert await store_runs.end(db, id_, against, passed, {})
    return id_


class Room:
    """An adapter's life with the few steps that every test takes."""

    def __init__(self, life: Life) -> None:
        self.life = life
        self.pool = life.pool

    async def push(self, actor: Actor = ONE, text: str | None = None, **kind: str) -> Version:
        push = Push(manifest=text or manifest(**kind))
        return await self.life.commit(lambda db: self.life.push(db, actor, push))

    async def move(
        self, actor: Actor, of: Version | tuple[str, str], name: Any, *, numbers: Sequence[str] = (), **told: Any
    ) -> Version:
        adapter, number = (of.adapter, of.version) if isinstance(of, Version) else of
        moving = Submitting(**told) if name == "submit" else Moving(**told)
        return await self.life.commit(
            lambda db: service_moves.move(self.life, db, actor, adapter, number, name, moving, numbers=numbers)
        )

    async def green(self, of: Version, against: Any = "sandbox", passed: bool = True) -> None:
        await record_run(self.pool, of.adapter, of.version, of.digest, against, passed)

    async def diff_digest(self, of: Version) -> str:
        found = await self.life.diff(self.pool, OPERATOR, of.adapter, of.version, None, "en")
        return found.digest

    async def approved(self, text: str | None = None, actor: Actor = ONE, **kind: str) -> Version:
        made = await self.push(actor, text, **kind)
        await self.move(actor, made, "submit")
        await self.green(made)
        return await self.move(OFFICE, made, "approve", diff_digest=await self.diff_digest(made))

    async def on_trial(self, text: str | None = None, actor: Actor = ONE, **kind: str) -> Version:
        made = await self.approved(text, actor, **kind)
        return await self.move(actor, made, "trial", numbers=[LIN])

    async def live(self, text: str | None = None, actor: Actor = ONE, **kind: str) -> Version:
        made = await self.on_trial(text, actor, **kind)
        return await self.move(actor, made, "publish")

    async def place(self, adapter: str, url: str, actor: Actor = OPERATOR, **more: Any) -> None:
        told = service_secrets.SetPlace(url=url, **more)
        await service_secrets.check_places(self.life, told)
        await self.life.commit(
            lambda db: service_secrets.set_place(self.life, db, actor, adapter, "live", told)
        )  # fmt: skip

    async def secret(self, name: str, value: str, actor: Actor = ONE, adapter: str = "one", **told: Any) -> Any:
        new = service_secrets.NewSecret(environment="live", name=name, value=value, **told)
        return await self.life.commit(lambda db: service_secrets.add_secret(self.life, db, actor, adapter, new))


@pytest.fixture
def told(settings: Settings, tmp_path: Path) -> Settings:
    (tmp_path / "adapters").mkdir(exist_ok=True)
    return msgspec.structs.replace(settings, adapters_dir=tmp_path / "adapters", outbound_allow=("127.0.0.0/8",))


@pytest.fixture
async def room(pool: Pool, keys: Keys, told: Settings) -> AsyncIterator[Room]:
    await pool.execute(
        "TRUNCATE adapters, adapter_versions, adapter_moves, conformance_runs, adapter_notices, adapter_places,"
        " adapter_secrets, department_keys, maintenance_windows, agreements, quota_counts, adapter_templates,"
        " machine_keys, effects, line_shares"
    )
    announce = Announcer(pool)
    yield Room(Life(pool, keys, told, {}, announce))
    await announce.close()
