"""The OpenAPI document against the running city: thousands of requests made from it, good and bad ones."""

import os
import re
import subprocess
import sys
from pathlib import Path

from onestop.demo.visitor import Visitor

PATIENCE_S = 240  # only a hang takes so long
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)
# Streams do not end; the run must not sign itself out; and a document cannot be made in the millisecond it tries.
LEFT_OUT = "/events$|/document$|^/auth/sign-out$|^/v1/me/sessions/"
# To a citizen these answer 403 before anything is read; `FUZZ=1` goes there too, and draws requests of its own besides.
SPARED = "|^/v1/(adapters/|adapter-templates|ops/|clients|exchange/|tasks|data-use-challenges|pull/)"
WHOLE = bool(os.environ.get("FUZZ"))


def test_every_answer_is_one_the_document_tells_of(city, tmp_path):
    # A method that a path does not have is the framework's to refuse, everywhere alike: a few hundred requests saved.
    (tmp_path / "schemathesis.toml").write_text("[phases.coverage]\nunexpected-methods = []\n", "utf-8")
    command = [
        *(str(Path(sys.executable).with_name("schemathesis")), "run", f"{city.url}/schema/openapi.json"),
        *("--header", f"Authorization: Bearer {city.token('zhao')}"),
        *(
            "--phases",
            "examples,coverage,fuzzing" if WHOLE else "examples,coverage",
            "--max-examples",
            "2",
            "--seed",
            "1",
        ),
        *("--checks", ",".join(CHECKS), "--continue-on-failure"),
        *("--exclude-path-regex", LEFT_OUT if WHOLE else LEFT_OUT + SPARED, "--suppress-health-check", "all"),
        *("--generation-database", "none", "--warnings", "off", "--no-color"),
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    counted = re.search(r"(\d+) generated", done.stdout)
    assert counted is not None, done.stdout
    print(f"\n{counted[1]} requests made from the document")
    assert int(counted[1]) > 1000


def test_the_document_tells_of_every_address_it_serves(city):
    document = Visitor(city.url).get("/schema/openapi.json").json()
    operations = [(path, method, told) for path, item in document["paths"].items() for method, told in item.items()]
    assert len(operations) > 30
    for path, method, told in operations:
        assert told.get("operationId"), (method, path)
        assert told.get("summary"), (method, path)
        assert "responses" in told
        assert "security" in told, (method, path)
    problem = document["components"]["schemas"]["Problem"]
    assert {"type", "title", "status", "detail", "code", "request_id"} <= set(problem["required"])
