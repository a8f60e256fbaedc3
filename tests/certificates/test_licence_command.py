"""`onestop licence` tells the catalogue, in both languages, for people and programs."""

import json

import pytest

from onestop.cli.entry import main


@pytest.mark.parametrize(("lang", "says"), [("zh", "结婚证"), ("en", "Marriage certificate")])
def test_the_catalogue_is_told(lang, says, tmp_path, capsys):
    assert main(["licence", "types", "--lang", lang, "--state", str(tmp_path)]) == 0
    assert says in capsys.readouterr().out
    assert main(["licence", "type", "marriage_certificate", "--lang", lang, "--state", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    assert says in told
    assert "spouse_id" in told
    assert main(["licence", "type", "marriage_certificate", "--json", "--state", str(tmp_path)]) == 0
    assert json.loads(capsys.readouterr().out)["code"] == "marriage_certificate"


def test_an_unknown_type_is_told_as_such(tmp_path, capsys):
    assert main(["licence", "type", "nothing", "--lang", "en", "--state", str(tmp_path)]) == 1
    assert "nothing" in capsys.readouterr().err
