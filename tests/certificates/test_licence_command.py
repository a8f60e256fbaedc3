"""`onestop licence` tells the catalogue, and checks what is shown without asking anybody."""

import json
import time

import pytest

from onestop.cli.entry import main
from onestop.identity.signing import SigningKey


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


def test_what_is_shown_is_checked_with_the_published_keys_alone(tmp_path, capsys):
    key = SigningKey.generate()
    keys, shown = tmp_path / "keys.json", tmp_path / "shown.txt"
    keys.write_text(json.dumps({"keys": [key.public_jwk()]}))

    def check(ends_in_s, signer=key, kind="licence-show+jws", file=keys):
        claims = {"licence": "1.2.156", "exp": int(time.time()) + ends_in_s, "fields": {"holder": "林晓舟"}}
        shown.write_text(f"http://127.0.0.1/verify/licence#{signer.sign(claims, kind)}")
        code = main(["licence", "check", str(shown), "--keys", str(file), "--lang", "en"])
        said = capsys.readouterr()
        return code, said.out, said.err

    code, out, _ = check(3600)
    assert code == 0
    assert "林晓舟" in out
    for odd in ({"signer": SigningKey.generate()}, {"kind": "licence+jws"}):
        code, out, err = check(3600, **odd)
        assert (code, out) == (1, "")
        assert "not genuine" in err
    code, out, err = check(-60)
    assert (code, out) == (5, "")
    assert "too old" in err
    assert check(3600, file=shown)[0] == 2
