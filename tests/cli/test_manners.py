"""How commands behave towards people and programs, whatever they do."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import onestop
from onestop.cli.entry import main, root
from onestop.cli.manners import unexplained
from onestop.cli.speech import Exit, Halt, language
from onestop.errors import UpstreamTimeout
from onestop.settings import BadSettings
from onestop.texts import LANGUAGES, catalogue


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch, tmp_path):
    for name in [name for name in os.environ if name.startswith("ONESTOP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("LANG", "C.UTF-8")
    monkeypatch.delenv("LC_ALL", raising=False)
    monkeypatch.chdir(tmp_path)


def test_every_command_and_option_is_explained_in_both_languages():
    assert list(unexplained(root)) == []


def test_both_catalogues_have_the_same_keys():
    zh, en = ({k for k in catalogue(lang) if k.startswith("cli.")} for lang in LANGUAGES)
    assert zh ^ en == set()


def test_a_wrong_command_is_a_usage_error_with_the_nearest_one(capsys):
    assert main(["sandbx"]) == Exit.USAGE
    assert "Did you mean sandbox?" in capsys.readouterr().err


def test_a_wrong_option_is_a_usage_error_with_the_nearest_one(capsys):
    assert main(["demo", "--prot", "9000"]) == Exit.USAGE
    assert "--port" in capsys.readouterr().err


@pytest.mark.parametrize("args", [["--lang", "fr", "version"], ["version", "--lang", "fr"], ["version", "--lang"]])
def test_an_unknown_language_is_a_usage_error(args):
    assert main(args) == Exit.USAGE


@pytest.mark.parametrize("args", [["--lang", "zh", "nosuch"], ["nosuch", "--lang=zh"]])
def test_the_language_may_stand_anywhere(args, capsys):
    assert main(args) == Exit.USAGE
    assert "没有命令" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "en_GB.UTF-8"}, "en"),
        ({"ONESTOP_LANG": "zh", "LC_ALL": "en_GB.UTF-8"}, "zh"),
        ({}, "en"),
    ],
)
def test_the_language_comes_from_the_environment(environ, expected):
    assert language(environ) == expected


def test_help_fits_eighty_columns(capsys):
    for lang in LANGUAGES:
        for path in ([], ["demo"], ["sandbox", "clock"], ["case", "show"], ["doctor"]):
            assert main([*path, "--help", "--lang", lang]) == Exit.OK
    from onestop.cli.widths import width

    assert max(map(width, capsys.readouterr().out.splitlines())) <= 80


def test_json_is_one_document(capsys):
    assert main(["version", "--json"]) == Exit.OK
    assert set(json.loads(capsys.readouterr().out)) == {"onestop", "python"}


def test_people_fit_eighty_columns_and_their_numbers_are_test_numbers(capsys):
    assert main(["sandbox", "people", "--lang", "zh"]) == Exit.OK
    from onestop.cli.widths import width

    lines = capsys.readouterr().out.splitlines()
    assert max(map(width, lines)) <= 80
    assert all(" 99" in line for line in lines[1:])


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (["case", "show", "latest"], Exit.UNREACHABLE),
        (["sandbox", "heal"], Exit.UNREACHABLE),
        (["adapter", "list", "--adapters", "."], Exit.CONFIGURATION),
        (["sandbox", "clock", "advance"], Exit.USAGE),
        (["sandbox", "fail", "gongan", "--for", "soon"], Exit.USAGE),
        (["demo", "--port", "80"], Exit.USAGE),
    ],
)
def test_a_failure_is_one_sentence_with_what_to_do_and_no_trace(args, code, capsys):
    assert main(args) == code
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("onestop: ")
    assert "  → " in said.err
    assert "Traceback" not in said.err
    assert "{" not in said.err


def test_an_unknown_setting_is_a_configuration_error(monkeypatch, capsys):
    monkeypatch.setenv("ONESTOP_PROT", "9000")
    assert main(["doctor"]) == Exit.CONFIGURATION
    assert "ONESTOP_PROT" in capsys.readouterr().err


@pytest.mark.parametrize("told", ["0.0.0.0", "192.0.2.1"])
def test_the_demo_refuses_to_leave_the_machine(told, monkeypatch, capsys):
    monkeypatch.setenv("ONESTOP_HOST", told)
    assert main(["demo"]) == Exit.CONFIGURATION
    monkeypatch.setenv("ONESTOP_PROFILE", "demo")
    assert main(["run"]) == Exit.CONFIGURATION
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Halt("clock_production", Exit.CONFIGURATION), 3),
        (BadSettings("ONESTOP_X is not a setting"), 3),
        (UpstreamTimeout("silent"), 4),
        (RuntimeError("unforeseen"), 1),
        (PermissionError(13, "Permission denied"), 1),
        (KeyboardInterrupt(), 130),
    ],
)
def test_every_kind_of_failure_has_its_number(fault, code, monkeypatch, capsys):
    def fail(*_: object, **__: object) -> None:
        raise fault

    monkeypatch.setattr(root.commands["version"], "callback", fail)
    assert main(["version"]) == code
    assert "Traceback" not in capsys.readouterr().err


def test_debug_shows_where_it_arose(monkeypatch, capsys):
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("unforeseen")

    monkeypatch.setattr(root.commands["version"], "callback", fail)
    assert main(["version", "--debug"]) == Exit.FAILED
    assert "Traceback" in capsys.readouterr().err


def test_a_reader_who_goes_away_gets_no_complaint():
    command = f"{sys.executable} -m onestop sandbox people | head -1"
    environ = os.environ | {"PYTHONPATH": str(Path(onestop.__file__).parents[1])}
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, env=environ)
    assert done.stderr == ""


def test_colours_are_for_terminals_only(capsys):
    main(["sandbox", "people"])
    assert "\x1b" not in capsys.readouterr().out


def test_status_of_a_gateway_that_is_not_there_says_so(monkeypatch, capsys):
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens on it
        monkeypatch.setenv("ONESTOP_PROFILE", "sandbox")
        monkeypatch.setenv("ONESTOP_PORT", str(taken.getsockname()[1]))
        assert main(["status"]) == Exit.UNREACHABLE
    assert capsys.readouterr().err.startswith("onestop: ")
