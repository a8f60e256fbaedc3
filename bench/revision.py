"""An earlier onestop as a contender: its own files, its own lock, its own `project.py`, in bench/.home/revisions."""

import json
import subprocess
from dataclasses import fields
from pathlib import Path
from typing import Any

from contenders import Ask, Contender, Given
from install import HERE, HOME, say

TOP = HERE.parent
# Run by the revision's Python over the revision's bench: formats may have changed since.
_PREPARE = """
import dataclasses, json, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import project
from contenders import Given
told = json.loads(sys.argv[2])
made = project.prepare(Given(told["dsn"], told["departments"], told["citizens"], Path(told["home"])))
print(json.dumps(dataclasses.asdict(made), default=str))
"""


def build(revision: str) -> tuple[str, Path]:
    """Check a revision out and install it by its own lock, the first time; return its short name and folder.

    Raises:
        SystemExit: there is no such revision, or it cannot be installed.
    """
    found = subprocess.run(
        ["git", "-C", str(TOP), "rev-parse", "--short=7", "--verify", f"{revision}^{{commit}}"],
        capture_output=True,
        text=True,
        check=False,
    )
    if found.returncode:
        raise SystemExit(f"bench: there is no revision {revision} here")
    short = found.stdout.strip()
    folder = HOME / "revisions" / short
    if not (folder / "installed").exists():
        say(f"installing onestop {short} by its own lock")
        folder.mkdir(parents=True, exist_ok=True)
        archive = subprocess.run(["git", "-C", str(TOP), "archive", short], capture_output=True, check=True).stdout
        subprocess.run(["tar", "-x", "-C", str(folder)], input=archive, check=True)
        if subprocess.run(["make", "-s", "-C", str(folder), "setup"], check=False).returncode:
            raise SystemExit(f"bench: onestop {short} cannot be installed; see above")
        (folder / "installed").touch()
    return short, folder


def name_of(short: str) -> str:
    return f"onestop@{short}"


def prepare(short: str, folder: Path, given: Given) -> Contender:
    """Let the revision make what one start of it needs, and take it over as a contender."""
    told = {
        "dsn": given.dsn,
        "departments": given.departments,
        "citizens": given.citizens,
        "home": str(given.home.resolve()),
    }
    command = [str(folder / ".venv/bin/python"), "-c", _PREPARE, str(folder / "bench"), json.dumps(told)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"bench: onestop {short} could not be prepared: {done.stderr[-2000:]}")
    made: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    known = {field.name for field in fields(Contender)}
    made = {field: _as_here(value) for field, value in made.items() if field in known}
    paths = {field: Path(made[field]) for field in ("tokens", "event_paths") if made.get(field)}
    return Contender(**{**made, **paths, "name": name_of(short), "argv": list(made["argv"])})


def _as_here(value: Any) -> Any:
    if isinstance(value, dict) and {"method", "path"} <= value.keys():
        return Ask(**value)
    return tuple(value) if isinstance(value, list) and not any(isinstance(one, list) for one in value) else value
