"""`onestop adapter import`: what it asks, writes and refuses, and with which number it ends."""

import http.server
import json
import os
import pty
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from onestop.cli.entry import main
from onestop.cli.importing import _load
from onestop.cli.speech import Exit
from onestop.gateway.manifest import parse
from onestop.onboarding.importing.service import import_document
from tests.onboarding.importing.conftest import ANSWERS, DOCUMENTS, SMALL

HUJI = DOCUMENTS / "huji.swagger.yaml"
FILLED = """
region = "990100"
basis = { zh = "《数据安全法》", en = "Data Security Law" }
purpose = { zh = "办理本人事项", en = "The person's own matter" }
"idempotent.apply" = "none"
[department]
code = "11990100MB9T0002XE"
name = { zh = "某局", en = "Some Bureau" }
officer = { zh = "某处处长", en = "Head of a division" }
contact = "desk@example.com"
"""


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for name in [name for name in os.environ if name.startswith("ONESTOP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("ONESTOP_LANG", "en")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "answers.toml").write_text(FILLED, "utf-8")
    return tmp_path


def test_open_questions_end_with_five_and_can_be_written_to_a_file(
    elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["adapter", "import", str(HUJI), "--write-answers", "open.toml"]) == Exit.FINDINGS
    assert "department.code: What is the department's unified social credit code?" in capsys.readouterr().out
    told = tomllib.loads((elsewhere / "open.toml").read_text("utf-8"))
    assert told["department.code"] == ""
    assert "#   get_ywsl_jd · status · GET /ywsl/jd\n" in (elsewhere / "open.toml").read_text("utf-8")
    assert told["basis"] == {"zh": "", "en": ""}
    assert not (elsewhere / "adapters").exists()


def test_a_filled_file_of_answers_gives_an_adapter_that_lints(
    elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    args = ["adapter", "import", str(HUJI), "--answers", "answers.toml", "--into", "out"]
    assert main(args) == Exit.OK
    assert "Tell the environment file: url, api_key" in capsys.readouterr().out
    folder = elsewhere / "out/huji"
    assert parse((folder / "manifest.toml").read_bytes()).id == "huji"
    assert "[adapters.huji]" in (folder / "README.md").read_text("utf-8")
    recorded = json.loads((folder / "examples/post_hjxx_query.ok.200.response.json").read_text("utf-8"))
    assert recorded["data"]["sfzh"] == "990101199001010017"
    assert main(["adapter", "lint", "out/huji"]) == Exit.OK


def test_an_adapter_that_is_there_is_not_written_over_unless_forced(
    elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    args = ["adapter", "import", str(HUJI), "--answers", "answers.toml", "--into", "out"]
    assert main(args) == Exit.OK
    path = elsewhere / "out/huji/manifest.toml"
    before = path.read_bytes()
    path.write_text("mine", "utf-8")
    assert main(args) == Exit.FAILED
    assert "is there already" in capsys.readouterr().err
    assert path.read_text("utf-8") == "mine"
    assert main([*args, "--force"]) == Exit.OK
    assert path.read_bytes() == before


def test_a_dry_run_writes_nothing(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["adapter", "import", str(HUJI), "--answers", "answers.toml", "--dry-run"]) == Exit.OK
    assert 'id = "huji"' in capsys.readouterr().out
    assert sorted(path.name for path in elsewhere.iterdir()) == ["answers.toml"]


def test_json_tells_everything_in_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["adapter", "import", str(DOCUMENTS / "wsdl"), "--json"]) == Exit.FINDINGS
    told = json.loads(capsys.readouterr().out)
    assert [operation["id"] for operation in told["operations"]] == ["get_person", "register_move"]
    assert "basis" in told["open"]
    assert told["written"] == []


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b'{"openapi": "3.0.0",\n "paths": [}', "line 2, column"),
        (b" " * 5_000_000, "4194304 bytes"),
        (b"<!DOCTYPE a><a/>", "document type"),
    ],
)
def test_a_document_that_cannot_be_used_is_refused_in_words(
    elsewhere: Path, content: bytes, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (elsewhere / "bad.json").write_bytes(content)
    assert main(["adapter", "import", "bad.json"]) == Exit.FAILED
    assert says in capsys.readouterr().err


def test_what_is_not_there_or_not_toml_is_said(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["adapter", "import", "nothing.json"]) == Exit.FAILED
    (elsewhere / "bad.toml").write_text("a = ", "utf-8")
    assert main(["adapter", "import", str(HUJI), "--answers", "bad.toml"]) == Exit.CONFIGURATION
    err = capsys.readouterr().err
    assert "there is no file nothing.json" in err
    assert "is not TOML" in err


class _Document(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = json.dumps(SMALL).encode() if self.path == "/small.json" else b""
        self.send_response(200 if body else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[int]:
    with http.server.HTTPServer(("127.0.0.1", 0), _Document) as made:
        thread = threading.Thread(target=made.serve_forever, daemon=True)
        thread.start()
        yield made.server_port
        made.shutdown()
        thread.join()


def test_an_address_is_fetched_only_where_the_list_allows(
    server: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    address = f"http://127.0.0.1:{server}/small.json"
    assert main(["adapter", "import", address]) == Exit.UNREACHABLE
    monkeypatch.setenv("ONESTOP_OUTBOUND_ALLOW", f"127.0.0.1/32:{server}")
    assert main(["adapter", "import", address]) == Exit.FINDINGS
    assert "Small (openapi-3.0)" in capsys.readouterr().out
    assert main(["adapter", "import", address.replace("small", "none")]) == Exit.UNREACHABLE
    assert "HTTP 404" in capsys.readouterr().err


def test_on_a_terminal_the_questions_are_asked_one_by_one(elsewhere: Path) -> None:
    own = {**ANSWERS["department"], "region": "990100", "basis": ANSWERS["basis"], "purpose": ANSWERS["purpose"]}
    lines: list[str] = []
    for question in import_document(HUJI.read_bytes(), HUJI.name, {}).questions:
        answer = own.get(question.id.removeprefix("department."), "none" if question.id == "idempotent.apply" else "")
        if question.kind == "words":
            lines += [answer["zh"], answer["en"]] if answer else ["", ""]
        else:
            lines.append(answer)
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "onestop", "adapter", "import", str(HUJI), "--into", "out"],
        stdin=theirs, stdout=theirs, stderr=theirs, env={**os.environ, "TERM": "dumb"},
    )  # fmt: skip
    os.close(theirs)
    os.write(ours, "".join(f"{line}\n" for line in lines).encode())
    said = b""
    try:
        while chunk := os.read(ours, 65_536):
            said += chunk
    except OSError:  # the terminal is gone with the process
        pass
    os.close(ours)
    assert process.wait(20) == Exit.OK, said.decode()
    assert parse((elsewhere / "out/huji/manifest.toml").read_bytes()).department.name.zh == "某局"
    assert "[huji]" in said.decode()


def test_what_lies_near_a_document_is_read_before_what_lies_deep_and_tools_folders_are_not(elsewhere: Path) -> None:
    reference = {"200": {"content": {"application/json": {"schema": {"$ref": "shapes/permit.json"}}}}}
    document = SMALL | {"paths": {"/a": {"get": {"responses": reference}}}}
    (elsewhere / "permits.json").write_text(json.dumps(document))
    for name in ("node_modules/a.json", ".cache/a.json", *(f"a/deep/{n:03}.json" for n in range(300))):
        (elsewhere / name).parent.mkdir(parents=True, exist_ok=True)
        (elsewhere / name).write_text("{}")
    (elsewhere / "shapes").mkdir()
    (elsewhere / "shapes/permit.json").write_text(
        json.dumps({"type": "object", "properties": {"no": {"type": "string"}}})
    )
    _, _, beside = _load(str(elsewhere / "permits.json"))
    assert next(iter(beside)) == "shapes/permit.json"
    assert not [name for name in beside if "node_modules" in name or ".cache" in name]
