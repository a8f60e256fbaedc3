"""An operator's commands on the database, with no gateway."""

import io
import json

import pytest

from onestop.cli import main
from tests.onboarding.conftest import manifest


@pytest.fixture
def run(dsn, tmp_path, monkeypatch, capsys):
    (tmp_path / "adapters").mkdir()
    (tmp_path / "manifest.toml").write_text(manifest(), "utf-8")
    told = {
        "DATABASE_URL": dsn, "STATE_DIR": str(tmp_path), "ADAPTERS_DIR": str(tmp_path / "adapters"),
        "OUTBOUND_ALLOW": "127.0.0.0/8", "LANG": "en", "PROFILE": "sandbox",
    }  # fmt: skip
    for name, value in told.items():
        monkeypatch.setenv(f"ONESTOP_{name}", value)

    def command(*args, given=""):
        monkeypatch.setattr("sys.stdin", io.StringIO(given))
        code = main(["adapter", *args])
        said = capsys.readouterr()
        return code, said.out, said.err

    return command


def test_a_version_is_led_by_hand_and_the_same_hand_does_not_approve(run, tmp_path):
    code, out, _ = run("push", str(tmp_path / "manifest.toml"), "--as", "li", "--owner", "one", "--json")
    assert (code, json.loads(out)["state"]) == (0, "draft")
    assert run("submit", "one", "1.0.0", "--as", "li")[0] == 0
    digest = json.loads(run("diff", "one", "1.0.0", "--json")[1])["digest"]
    code, _, said = run("approve", "one", "1.0.0", "--as", "li", "--diff", digest)
    assert code == 1
    assert "cli:li made or submitted this version" in said
    code, _, said = run("approve", "one", "1.0.0", "--as", "wang", "--diff", digest)
    assert code == 1
    assert "no green conformance run" in said
    code, _, said = run("live", "one", "1.0.0", "--as", "wang")
    assert code == 1
    assert "testing; publish is not possible" in said
    code, out, _ = run("show", "one", "1.0.0")
    assert "✗ No green conformance run" in out
    assert json.loads(run("versions", "one", "--json")[1])["data"][0]["state"] == "testing"
    assert run("retire", "one", "1.0.0", "--as", "li")[0] == 0


def test_secrets_keys_and_windows_are_set_by_hand_and_no_value_is_shown(run, tmp_path):
    run("push", str(tmp_path / "manifest.toml"), "--as", "li", "--owner", "one")
    code, out, _ = run("secret", "set", "one", "api_key", "--as", "li", given="very-secret-word\n")
    assert code == 0
    assert "very-secret-word" not in out + run("secret", "list", "one")[1]
    code, _, said = run("secret", "place", "one", "http://10.1.1.1", "--as", "li")
    assert code == 1
    assert "10.1.1.1:80 may not be called" in said
    made = json.loads(run("key", "make", "one", "etl", "--as", "li", "--json")[1])
    assert made["key"] not in run("key", "list", "one")[1]
    assert run("key", "revoke", "one", made["id"], "--as", "li")[0] == 0
    assert run("key", "revoke", "one", made["id"], "--as", "li")[0] == 1
    window = run("window", "add", "one", "2099-01-01T22:00", "2099-01-02T02:00", "--as", "li", "--json")
    assert json.loads(window[1])["begins"].startswith("2099-01-01T14:00")  # told in China Standard Time
    assert run("window", "end", "one", json.loads(window[1])["id"], "--as", "li")[0] == 0


def test_a_line_is_stopped_by_hand_with_a_reason_and_an_end_and_taken_back(run, tmp_path):
    run("push", str(tmp_path / "manifest.toml"), "--as", "li", "--owner", "one")
    assert run("override", "set", "one", "stopped", "--for", "2", "--as", "li")[0] == 2
    assert run("override", "set", "one", "stopped", "--reason", "leaks", "--as", "li")[0] == 2
    assert run("override", "set", "one", "stopped", "--reason", "leaks", "--for", "25", "--as", "li")[0] == 2
    code, out, _ = run("override", "set", "one", "stopped", "--reason", "leaks", "--for", "2", "--as", "li")
    assert (code, "one.*: stopped" in out) == (0, True)
    assert "leaks" in run("override", "list", "one")[1]
    assert run("override", "end", "one", "--as", "li")[0] == 0
    assert run("override", "end", "one", "--as", "li")[0] == 1
