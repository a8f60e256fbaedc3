"""`onestop adapter`: findings by file and line, for people and for programs; the schema for editors."""

import json
from pathlib import Path

import pytest

from onestop.cli.entry import main
from onestop.cli.speech import Exit

ROOT = Path(__file__).parents[2]


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    folder = tmp_path / "gjj"
    folder.mkdir()
    source = ROOT.joinpath("adapters/gjj/manifest.toml").read_text("utf-8")
    folder.joinpath("manifest.toml").write_text(source.replace("total_s = 2.0", "totl_s = 2.0"), "utf-8")
    return folder


def test_findings_come_with_line_sentence_and_fix_and_an_exit_code(broken, capsys):
    assert main(["--lang", "en", "adapter", "lint", str(broken)]) == Exit.FINDINGS
    told = capsys.readouterr().out
    assert str(broken / "manifest.toml") in told
    assert "error ADP-010" in told
    assert "operations[0].totl_s" in told
    assert "the nearest is total_s" in told
    assert "2 errors, 0 warnings" in told


def test_programs_are_told_the_same_as_json(broken, capsys):
    assert main(["--lang", "zh", "adapter", "lint", str(broken), "--json"]) == Exit.FINDINGS
    told = json.loads(capsys.readouterr().out)
    assert [one["rule"] for one in told["findings"]] == ["ADP-010", "ADP-002"]
    assert all(one["line"] > 1 and one["fix"] for one in told["findings"])
    assert "总时限" not in told["findings"][0]["where"]


def test_warnings_fail_only_when_that_is_asked_for(broken, capsys):
    path = broken / "manifest.toml"
    source = path.read_text("utf-8").replace("totl_s", "total_s").replace('impact_assessment = "PIA-2026-01"\n', "")
    path.write_text(source, "utf-8")
    assert main(["adapter", "lint", str(broken)]) == Exit.OK
    assert main(["adapter", "lint", str(broken), "--strict"]) == Exit.FINDINGS
    assert "ADP-073" in capsys.readouterr().out


def test_the_environment_is_looked_at_too(tmp_path, capsys):
    told = tmp_path / "environment.toml"
    told.write_text('[adapters.gjj]\nurl = "http://gjj.example"\n')
    assert main(["adapter", "lint", str(ROOT / "adapters/gjj"), "--environment", str(told)]) == Exit.FINDINGS
    out = capsys.readouterr().out
    assert "ADP-081" in out
    assert "ADP-133" in out
    told.write_text("[adapters")
    assert main(["adapter", "lint", "--environment", str(told)]) == Exit.CONFIGURATION


def test_the_schema_is_printed_or_written(tmp_path, capsys):
    assert main(["adapter", "schema"]) == Exit.OK
    printed = capsys.readouterr().out
    assert json.loads(printed)["$defs"]["Operation"]["additionalProperties"] is False
    assert main(["adapter", "schema", "--out", str(tmp_path / "s.json")]) == Exit.OK
    assert (tmp_path / "s.json").read_text("utf-8") == printed
