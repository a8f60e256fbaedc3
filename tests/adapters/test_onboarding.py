"""From a department's own document to a manifest, by the command line alone; every step timed."""

import os
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest

from onestop.gateway.lint.linter import lint
from onestop.gateway.manifest import load
from tests.adapters.office import DEPARTMENTS
from tests.adapters.servers import DOCUMENTS

SOURCES = {
    "attributes": "sealed.openapi.yaml",
    "bag": "kadaster-bag.openapi.yaml",
    "govpay": "govuk-pay.openapi.json",
    "nodo": "nodo.wsdl",
    "open311": "open311.openapi.yaml",
    "xtif": "xtif.swagger.json",
    "zaken": "zaken.openapi.yaml",
}


def onestop(*words: str | Path) -> tuple[subprocess.CompletedProcess[str], float]:
    """Run a command as a person would; what it said, and how long it took."""
    begun = time.monotonic()
    command = [sys.executable, "-m", "onestop", *map(str, words)]
    environment = {**os.environ, "ONESTOP_LANG": "en", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    return done, time.monotonic() - begun


@pytest.fixture(scope="module")
def into(tmp_path_factory):
    """Where the manifests are written to that the import makes."""
    return tmp_path_factory.mktemp("imported")


@pytest.mark.parametrize("name", SOURCES)
def test_a_document_and_a_few_answers_make_a_manifest_without_errors(name, into, record_property):
    answers = DEPARTMENTS / name / "answers.toml"
    done, took = onestop("adapter", "import", DOCUMENTS / SOURCES[name], "--answers", answers, "--into", into)
    assert done.returncode == 0, done.stdout + done.stderr
    record_property("import_s", round(took, 2))
    print(f"{name}: {len(answers.read_text().splitlines())} lines of answers, imported in {took:.2f} s")
    assert took < 15
    text = (into / name / "manifest.toml").read_bytes()
    assert [finding.rule for finding in lint(text) if finding.severity == "error"] == []
    taken = [operation["id"] for operation in tomllib.loads(text.decode())["operations"]]
    assert set(taken) == set(tomllib.loads(answers.read_text())["operations"])


def test_the_departments_manifests_have_nothing_the_linter_minds():
    for name in load(DEPARTMENTS):
        found = lint((DEPARTMENTS / name / "manifest.toml").read_bytes(), f"{name}/manifest.toml")
        assert [finding for finding in found if finding.severity == "error"] == []
