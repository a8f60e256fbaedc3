"""`onestop audit export` and `verify`, over a database and over a file."""

import asyncio
import json

import pytest

import onestop_verify
from audit import ledger
from onestop.audit.sealer import Sealer, witness_of
from onestop.cli import main
from onestop.crypto import Keys
from onestop.db import open_pool


async def over(dsn, work):
    pool = await open_pool(dsn, size=2)
    try:
        return await work(pool)
    finally:
        await pool.close()


@pytest.fixture
def place(dsn, tmp_path, monkeypatch):
    monkeypatch.setenv("ONESTOP_DATABASE_URL", dsn)
    monkeypatch.setenv("ONESTOP_STATE_DIR", str(tmp_path))
    works = lambda pool: Sealer(pool, Keys.load(tmp_path), ledger.R, witness_of(tmp_path, ledger.R))  # noqa: E731
    asyncio.run(over(dsn, lambda pool: ledger.fill(pool, works(pool))))
    return tmp_path


def test_an_untouched_ledger_is_verified_and_its_export_by_the_one_file(place, capsys):
    assert main(["audit", "verify", "--fresh", "3600", "--lang", "zh"]) == 0
    assert "记录 96" in capsys.readouterr().out
    out, keys = place / "out", place / "keys.json"
    assert main(["audit", "export", "--out", str(out), "--keys-out", str(keys)]) == 0
    anchors = str(place / "anchors" / f"{ledger.R}.jsonl")
    assert onestop_verify.main(["export", str(out), "--keys", str(keys), "--anchors", anchors]) == 0
    assert main(["audit", "verify", str(out), "--keys", str(keys), "--anchors", anchors]) == 0


def test_what_was_changed_is_told_and_ends_with_5(place, dsn, capsys):
    asyncio.run(over(dsn, lambda pool: pool.execute("UPDATE audit_entries SET actor = 'x' WHERE actor = 'b'")))
    assert main(["audit", "verify", "--json"]) == 5
    told = json.loads(capsys.readouterr().out)
    assert {one["kind"] for one in told["findings"]} == {"changed"}
    assert told["entries_per_second"] > 0


def test_without_keys_nothing_is_believed(place, tmp_path, capsys):
    (place / "keys" / "root.key").unlink()
    assert main(["audit", "verify"]) == 3
    bad = tmp_path / "bad.json"
    bad.write_text("no")
    assert main(["audit", "verify", "--keys", str(bad)]) == 2
    assert capsys.readouterr().err


def test_another_key_is_announced_by_command_and_its_ledger_verified(place, capsys):
    assert main(["audit", "rotate"]) == 0
    assert "announces" in capsys.readouterr().out
    assert main(["audit", "rotate", "--lang", "zh"]) == 0
    assert "已有宣布的密钥" in capsys.readouterr().out
    assert main(["audit", "verify"]) == 0


def test_without_an_entry_no_key_is_announced(place, dsn, capsys, monkeypatch):
    monkeypatch.setattr("onestop.cli.audit._ROUNDS", 1)
    asyncio.run(over(dsn, lambda pool: pool.execute(f"TRUNCATE {ledger.TABLES}")))
    (place / "anchors" / f"{ledger.R}.jsonl").unlink()
    assert main(["audit", "rotate"]) == 1
    assert "no entry" in capsys.readouterr().err
