"""What a failure leaves in the log: where it happened, never whom it was about."""

import json
import subprocess
import sys

FAILING = """
import asyncpg, structlog
from onestop import logs

def serve(number, name, token):
    row = {"number": number, "name": name}
    raise asyncpg.UniqueViolationError(f"duplicate key for {number}\\nDETAIL:  Key (name)=({name}) already exists.")

def work():
    try:
        serve("990102199203140221", "林晓舟", "very-secret-token")
    except asyncpg.UniqueViolationError as fault:
        fault.add_note("林晓舟")
        raise RuntimeError("no case for 990102199203140221") from fault

logs.configure("info")
try:
    work()
except RuntimeError:
    structlog.get_logger().exception("not_served", adapter="gongan")
"""


def test_a_logged_failure_names_frames_and_kinds_and_nobody():
    ended = subprocess.run([sys.executable, "-c", FAILING], capture_output=True, text=True, check=True, timeout=60)
    entry = json.loads(ended.stderr)
    assert (entry["event"], entry["adapter"], entry["level"]) == ("not_served", "gongan", "error")
    assert [told["exc_type"] for told in entry["exception"]] == ["RuntimeError", "UniqueViolationError"]
    assert [frame["name"] for frame in entry["exception"][1]["frames"]] == ["work", "serve"]
    assert entry["exception"][0]["exc_value"] == "no case for 9901********0221"
    for secret in ("990102199203140221", "林晓舟", "very-secret-token"):
        assert secret not in ended.stderr
