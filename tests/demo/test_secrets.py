"""Secrets of an installation: drawn once, readable by their owner only, the same on both sides."""

import tomllib

import pytest

from onestop.demo import secrets
from onestop.gateway.auth.kinds import credentials
from onestop.gateway.line import environment
from onestop.gateway.manifest import load
from onestop.resources import shipped


def test_both_files_are_the_owners_alone_and_agree(tmp_path):
    secrets.make(tmp_path, 9000)
    for name in (secrets.ENVIRONMENT, secrets.DEPARTMENTS):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600
    told = tomllib.loads((tmp_path / secrets.ENVIRONMENT).read_text())["adapters"]
    own = secrets.read(tmp_path / secrets.DEPARTMENTS)
    assert told["gongan"]["url"] == "http://127.0.0.1:9011"
    assert all(own[name][key] == value for name, table in told.items() for key, value in table.items())
    assert "control_secret" not in (tmp_path / secrets.ENVIRONMENT).read_text()


def test_secrets_outlive_a_move_to_other_ports_and_differ_between_installations(tmp_path):
    secrets.make(tmp_path / "a", 9000)
    secrets.make(tmp_path / "b", 9000)
    first = secrets.read(tmp_path / "a" / secrets.DEPARTMENTS)
    secrets.make(tmp_path / "a", 9500)
    moved, other = (secrets.read(tmp_path / name / secrets.DEPARTMENTS) for name in "ab")
    assert moved["ziran"]["url"] == "http://127.0.0.1:9519"
    assert moved["ziran"]["api_key"] == first["ziran"]["api_key"] != other["ziran"]["api_key"]
    assert secrets.control_door(tmp_path / "a", "ziran") == (moved["ziran"]["url"], moved["ziran"]["control_secret"])


def test_a_department_without_a_system_has_no_control_door(tmp_path):
    secrets.make(tmp_path)
    with pytest.raises(KeyError):
        secrets.control_door(tmp_path, "zwfw")


def test_the_environment_holds_every_secret_the_manifests_ask_for(tmp_path):
    secrets.make(tmp_path)
    told = environment(tomllib.loads((tmp_path / secrets.ENVIRONMENT).read_text()))
    manifests = load(shipped("adapters"))
    for manifest in manifests.values():
        if not manifest.desk:
            assert credentials(manifest, told[manifest.id].secrets, None)
        if manifest.callback:
            assert told[manifest.id].secrets["callback_secret"]
