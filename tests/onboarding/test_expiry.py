"""What ends is told to whom it concerns: thirty days, seven days and one day before, and when it is over, once each."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from onestop.identity import service_machine_keys as keys
from onestop.onboarding import service_expiry
from tests.onboarding.conftest import ONE, TWO, certificate

pytestmark = pytest.mark.anyio


async def told(room, actor, adapter):
    """Return the notices about endings, the oldest first, as (kind, sentence)."""
    found = await room.life.notices(actor, adapter, "en")
    return [(n.kind, n.sentence) for n in reversed(found.data) if "expir" in n.kind]


async def warn(room, settings=None):
    return await service_expiry.warn_of_expiry(room.pool, settings or room.life.settings)


async def make(room, department, label, days):
    new = keys.NewMachineKey(label=label, days=days)
    return await room.life.commit(lambda db: keys.make(db, room.life.settings, department, new, by="x"))


async def ends_in(room, table, days):
    column = "expires_at" if table == "machine_keys" else "not_after"
    await room.pool.execute(f"UPDATE {table} SET {column} = $1", datetime.now(UTC) + timedelta(days=days))


async def test_a_machine_key_is_told_of_at_each_stage_once_and_to_its_department_only(room):
    await room.push(ONE)
    await room.push(ONE, version="1.1.0")
    await room.push(TWO, None, name="two")
    made = await make(room, "one", "nightly", 365)
    stages = ((31, 0), (29, 1), (20, 0), (6.5, 1), (0.9, 1), (0.5, 0), (-0.1, 1), (-1, 0))
    for days, new in stages:
        await ends_in(room, "machine_keys", days)
        assert (days, await warn(room)) == (days, new)
        assert await warn(room) == 0
    notices = await told(room, ONE, "one")
    assert [kind for kind, _ in notices] == ["key_expiring"] * 3 + ["key_expired"]
    assert all(f"nightly …{made.key[-4:]}" in sentence for _, sentence in notices)
    assert made.key not in str(notices)
    assert await told(room, TWO, "two") == []


async def test_a_revoked_key_and_another_environment_s_are_not_told_of(room):
    await room.push(ONE)
    made = await make(room, "one", "old", 5)
    other = msgspec.structs.replace(room.life.settings, profile="sandbox")
    if keys.environment_of(other) == keys.environment_of(room.life.settings):
        other = msgspec.structs.replace(other, profile="production")
    assert await warn(room, other) == 0
    await room.life.commit(lambda db: keys.revoke(db, room.life.settings, "one", made.id, by="x"))
    assert await warn(room) == 0


async def test_a_secret_with_a_successor_is_not_told_of(room):
    await room.push(ONE)
    await room.secret("client_cert", certificate(20))
    await room.secret("client_cert", certificate(300))
    assert await warn(room) == 0
    await room.secret("ca", certificate(3))
    assert await warn(room) == 1
    await ends_in(room, "adapter_secrets", 0.5)
    assert await warn(room) == 3  # nothing holds longer any more: both certificates, and the authority's next stage


async def test_a_certificate_of_the_environment_file_is_told_of_too(room, tmp_path):
    await room.push(ONE)
    file = tmp_path / "environment.toml"
    pem = certificate(5)
    file.write_text(
        f'[adapters.one]\nurl = "http://127.0.0.1:9"\nclient_cert = """{pem}{certificate(400)}"""\napi_key = "secret"\n'
        f'ca = """-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----"""\n'
    )
    file.chmod(0o600)
    settings = msgspec.structs.replace(room.life.settings, environment_file=file)
    found = service_expiry.of_file(settings)
    assert [(one.adapter, one.name) for one in found] == [("one", "client_cert")]
    assert (await warn(room, settings), await warn(room, settings)) == (1, 0)
    assert [kind for kind, _ in await told(room, ONE, "one")] == ["expiring"]


async def test_a_department_that_lives_by_its_file_alone_is_told_under_its_adapter_s_name(room):
    await make(room, "three", "etl", 5)
    assert await warn(room) == 1
    row = await room.pool.fetchrow("SELECT adapter, kind FROM adapter_notices")
    assert tuple(row) == ("three", "key_expiring")
