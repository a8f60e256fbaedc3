"""An operator's commands, each a process of its own, on the database and with no gateway."""

import json
import os
import subprocess
import sys

import pytest

from tests.onboarding.conftest import LIN, manifest


@pytest.fixture
def run(dsn, tmp_path):
    (tmp_path / "adapters").mkdir()
    (tmp_path / "manifest.toml").write_text(manifest(), "utf-8")
    told = {
        **os.environ,
        "ONESTOP_DATABASE_URL": dsn,
        "ONESTOP_STATE_DIR": str(tmp_path),
        "ONESTOP_ADAPTERS_DIR": str(tmp_path / "adapters"),
        "ONESTOP_OUTBOUND_ALLOW": "127.0.0.0/8",
        "ONESTOP_LANG": "en",
        "ONESTOP_PROFILE": "sandbox",
    }

    def command(*args, given=""):
        done = subprocess.run(
            [sys.executable, "-m", "onestop", "adapter", *args],
            env=told, input=given, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout, done.stderr

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
    code, out, _ = run("secret", "set", "one", "api_key", "--as", "li", given="very-secret-word\n")
    assert code == 0
    assert "very-secret-word" not in out + run("secret", "list", "one")[1]
    assert run("secret", "place", "one", "http://10.1.1.1", "--as", "li")[0] == 1
    code, out, _ = run("versions", "one", "--json")
    assert json.loads(out)["data"][0]["state"] == "testing"
    assert LIN not in out
