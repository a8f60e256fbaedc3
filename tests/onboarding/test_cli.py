"""An operator's commands on the database, with no gateway."""

import io
import json

import pytest
from joserfc.jwk import ECKey

from onestop.cli import main
from tests.onboarding.conftest import certificate, manifest


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
    assert "no conformance run against the department's test system" in said
    code, _, said = run("live", "one", "1.0.0", "--as", "wang")
    assert code == 1
    assert "testing; publish is not possible" in said
    code, out, _ = run("show", "one", "1.0.0")
    assert "✗ No green conformance run" in out
    assert json.loads(run("versions", "one", "--json")[1])["data"][0]["state"] == "testing"
    assert run("retire", "one", "1.0.0", "--as", "li")[0] == 0


def test_secrets_keys_and_windows_are_set_by_hand_and_no_value_is_shown(run, tmp_path):
    run("push", str(tmp_path / "manifest.toml"), "--as", "li", "--owner", "one")
    code, out, _ = run("secret", "set", "one", "api_key", "--as", "li", "--json", given="very-secret-word\n")
    listed = run("secret", "list", "one")[1]
    assert code == 0
    assert "very-secret-word" not in out + listed
    assert run("secret", "remove", "one", json.loads(out)["id"], "--as", "li")[0] == 0
    assert "sandbox" in listed, "without being told, it is for the environment this installation runs in"
    code, _, said = run("secret", "place", "one", "http://10.1.1.1", "--as", "li")
    assert code == 1
    assert "10.1.1.1:80 may not be called" in said
    more = ("--replica", "http://127.0.0.1:8", "--token-url", "http://127.0.0.1:7/t", "--config", "tenant=t=1")
    assert run("secret", "place", "one", "http://127.0.0.1:9", *more, "--environment", "live", "--as", "li")[0] == 0
    listed = run("secret", "list", "one")[1]
    for shown in ("http://127.0.0.1:9 http://127.0.0.1:8", "token_url: http://127.0.0.1:7/t", "config.tenant: t=1"):
        assert shown in listed
    code, _, said = run("secret", "place", "one", "http://127.0.0.1:9", "--config", "1=x", "--as", "li")
    assert (code, "config" in said) == (2, True)
    made = json.loads(run("key", "make", "one", "etl", "--as", "li", "--json")[1])
    assert made["key"] not in run("key", "list", "one")[1]
    assert run("key", "revoke", "one", made["id"], "--as", "li")[0] == 0
    assert run("key", "revoke", "one", made["id"], "--as", "li")[0] == 1
    noted = run("notices", "one", "--json")
    assert noted[0] == 0, noted
    told = json.loads(noted[1])["data"]
    kinds = [(notice["kind"], "cli:li" in notice["sentence"]) for notice in told]
    assert kinds.count(("machine_key", True)) == kinds.count(("machine_key_revoked", True)) == 1
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


def test_a_version_is_proved_and_approved_by_hand_with_a_reason_for_want_of_a_test_system(run, tmp_path):
    (tmp_path / "manifest.toml").write_text(manifest(version="3.0.0"), "utf-8")
    run("push", str(tmp_path / "manifest.toml"), "--as", "li", "--owner", "one")
    code, _, said = run("prove", "one", "3.0.0", "--as", "li")
    assert (code, "no address in the environment sandbox" in said) == (1, True)
    assert "PUT /v1/adapters/one/places/sandbox" in said, "what to do names the adapter"
    code, out, _ = run("prove", "one", "3.0.0", "--against", "simulator", "--as", "li")
    assert (code, "answered by: simulator" in out) == (0, True)
    assert run("submit", "one", "3.0.0", "--as", "li", "--no-test-system", "why")[0] == 1
    reason = "they have one system, in use day and night"
    assert run("submit", "one", "3.0.0", "--as", "li", "--no-test-system", reason)[0] == 0
    shown = run("diff", "one", "3.0.0", "--json")[1]
    assert reason in shown
    digest = json.loads(shown)["digest"]
    assert run("approve", "one", "3.0.0", "--as", "wang", "--diff", digest)[0] == 0
    assert reason in run("show", "one", "3.0.0")[1]


def test_what_ends_soon_is_said_where_an_operator_looks(run, tmp_path, monkeypatch, capsys):
    (tmp_path / "adapters" / "one").mkdir()
    (tmp_path / "adapters" / "one" / "manifest.toml").write_text(manifest(), "utf-8")
    file = tmp_path / "environment.toml"
    file.write_text(f'[adapters.one]\nurl = "http://127.0.0.1:9"\nclient_cert = """{certificate(5)}"""\n')
    file.chmod(0o600)
    monkeypatch.setenv("ONESTOP_ENVIRONMENT_FILE", str(file))
    assert "one: client_cert (sandbox) ends on" in run("list")[1]
    monkeypatch.setenv("ONESTOP_DATABASE_URL", "postgresql://127.0.0.1:9/none")
    assert "one: client_cert (sandbox) ends on" in run("list")[1]
    main(["doctor"])
    assert "these end soon: one client_cert" in capsys.readouterr().out
    file.write_text(f'[adapters.one]\nurl = "http://127.0.0.1:9"\nclient_cert = """{certificate(-5)}"""\n')
    main(["doctor"])
    assert "these are over: one client_cert" in capsys.readouterr().out


def test_agreements_are_asked_for_decided_and_counted_by_hand(run, tmp_path):
    run("push", str(tmp_path / "manifest.toml"), "--as", "li", "--owner", "one")
    purposes = ("--purpose-zh", "出生一件事", "--purpose-en", "The birth bundle", "--as", "li")
    assert run("agreement", "propose", "one", "Not A Consumer", *purposes)[0] == 2
    assert run("agreement", "propose", "one", "birth", "--operation", "absent", *purposes)[0] == 1
    assert run("agreement", "propose", "one", "birth", "--per-day", "0", *purposes)[0] == 2
    code, out, said = run("agreement", "propose", "one", "birth", "--per-day", "40", *purposes, "--json")
    assert code == 0, said
    made = json.loads(out)
    assert (made["state"], made["decided_by"], made["begins"][-1]) == ("active", "cli:li", "Z")
    assert run("agreement", "approve", "one", made["id"], "--as", "wang")[0] == 1
    assert json.loads(run("quota", "one", "--json")[1])["data"][0]["remaining"] == 40
    assert "birth" in run("quota", "one")[1]
    code, out, _ = run("agreement", "end", "one", made["id"], "--why", "over", "--as", "wang")
    assert (code, "ended" in out) == (0, True)
    assert "The birth bundle" in run("agreement", "list", "one")[1]
    assert json.loads(run("quota", "one", "--json")[1])["data"] == []
    code, out, _ = run("policy", "one", "--portal", "agreed", "--approves", "owner", "--as", "li")
    assert (code, "portal agreed" in out) == (0, True)
    assert json.loads(run("agreement", "list", "one", "--json")[1])["portal"] == "agreed"
    assert run("policy", "one", "--portal", "agreed", "--as", "li")[0] == 2, "nothing becomes a default unsaid"


def test_a_template_is_written_and_filled_by_hand_and_its_next_version_proposed(run, tmp_path):
    body = manifest().replace('version = "1.0.0"', 'version = "${version}"').replace("= 16", "= ${places}")
    files = {"body.toml": body, "kinds": '{"version": "version", "places": "integer"}', "no": "[]"}
    for name, text in (files | {"values": '{"version": "6.0.0", "places": 4}'}).items():
        (tmp_path / name).write_text(text, "utf-8")
    written = ("template", "write", "bureaux", str(tmp_path / "body.toml"), "--as", "li", "--parameters")
    assert run(*written, str(tmp_path / "no"))[0] == 2
    assert run(*written, str(tmp_path / "kinds"))[0] == 0
    filled = ("template", "instantiate", "bureaux", "--values", str(tmp_path / "values"), "--as", "li")
    code, out, said = run(*filled, "--owner", "one", "--json")
    assert (code, said) == (0, "")
    assert json.loads(out)["state"] == "draft"
    code, out, _ = run(*written, str(tmp_path / "kinds"))
    assert (code, "6.0.1" in out) == (0, True)
    assert "places version" in run("template", "list")[1]
    notices = json.loads(run("notices", "one", "--json")[1])["data"]
    assert notices[0]["kind"] == "template_proposed"
    assert "6.0.1" in run("notices", "one")[1]


def test_a_version_is_withdrawn_and_a_live_one_deprecated_only_as_over_the_api(run, tmp_path):
    (tmp_path / "manifest.toml").write_text(manifest(version="5.0.0"), "utf-8")
    run("push", str(tmp_path / "manifest.toml"), "--as", "li", "--owner", "one")
    code, _, said = run("withdraw", "one", "5.0.0", "--as", "li")
    assert code == 1
    assert "draft; withdraw is not possible" in said
    run("submit", "one", "5.0.0", "--as", "li")
    assert run("withdraw", "one", "5.0.0", "--as", "li")[0] == 0
    code, _, said = run("deprecate", "one", "5.0.0", "--as", "li", "--why", "over")
    assert code == 1
    assert "draft; deprecate is not possible" in said


def test_a_signing_key_is_registered_by_hand_and_only_its_public_half(run, tmp_path):
    run("push", str(tmp_path / "manifest.toml"), "--as", "li", "--owner", "one")
    key = ECKey.generate_key("P-256", private=True)
    private = json.dumps(key.as_dict(private=True))
    assert run("signing-key", "add", "one", "k1", "--as", "li", given=private)[0] == 1
    assert run("signing-key", "add", "one", "k1", "--as", "li", given="no JSON")[0] == 2
    assert run("signing-key", "add", "one", "k1", "--as", "li", given=json.dumps(key.as_dict(private=False)))[0] == 0
    assert run("signing-key", "remove", "one", "k1", "--as", "li")[0] == 0
    assert run("signing-key", "remove", "one", "k1", "--as", "li")[0] == 1
