"""Root keys by command: another one, which one seals, and nothing lost on the way."""

import asyncio
import json

import pytest

from onestop.cli.entry import main
from onestop.crypto import Keys

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def installation(dsn, monkeypatch, tmp_path):
    monkeypatch.setenv("ONESTOP_DATABASE_URL", dsn)
    monkeypatch.setenv("ONESTOP_STATE_DIR", str(tmp_path))


def listed(capsys):
    assert main(["keys", "list", "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_key_that_is_not_there_cannot_seal(capsys):
    assert main(["keys", "use", "2"]) != 0
    assert "root key 2" in capsys.readouterr().err
    assert listed(capsys) == {"keys": [1], "current": 1}


async def test_a_new_key_seals_and_old_rows_are_sealed_anew(pool, tmp_path, capsys):
    old = Keys.load(tmp_path)
    sealed = old.seal(b"{}", "signing_keys.private_jwk:k1")
    insert = "INSERT INTO signing_keys (kid, purpose, algorithm, public_jwk, private_jwk)"
    await pool.execute(f"{insert} VALUES ('k1', 'test', 'ES256', '{{}}', $1)", sealed)
    for command in (["keys", "add"], ["keys", "use", "2"], ["--lang", "zh", "keys", "list"]):
        assert main(command) == 0
    assert "加密与解密" in capsys.readouterr().out
    for moved in (1, 0):
        assert await asyncio.to_thread(main, ["keys", "reseal", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["signing_keys"] == moved
    assert (await pool.fetchval("SELECT private_jwk FROM signing_keys WHERE kid = 'k1'"))[:2] == bytes([0x81, 2])
    assert listed(capsys) == {"keys": [1, 2], "current": 2}
