"""The secrets of one demo installation: drawn once, told to both sides in two files only the owner can read."""

import os
import secrets
import tomllib
from collections.abc import Mapping
from pathlib import Path

from onestop.demo.people import departments

ENVIRONMENT = "environment.toml"  # read by the portal
DEPARTMENTS = "departments.toml"  # read by the departments, and by whoever plays the operator of the sandbox

# What each department's system wants to see from its callers.
_CALLER_SECRETS: dict[str, tuple[str, ...]] = {
    "gongan": ("client_id", "client_secret"),
    "weijian": ("app_key", "app_secret"),
    "renshe": ("api_key", "callback_secret"),
    "yibao": ("app_key", "app_secret"),
    "shichang": ("api_key",),
    "shuiwu": ("api_key",),
    "minzheng": ("username", "password"),
    "jiaoyu": ("app_key", "app_secret"),
    "ziran": ("api_key",),
    "gjj": ("api_key",),
    "chengguan": ("api_key",),
    "xiaofang": ("api_key",),
}
# Known to the department alone, or to the department and the sandbox's operator.
_OWN_SECRETS = ("control_secret", "ledger_key", "token_key")
_NAMES = {"client_id": "onestop-yunxi", "app_key": "onestop", "username": "onestop"}


def make(state_dir: Path, portal_port: int = 8000, host: str = "127.0.0.1") -> None:
    """Write both files; secrets already drawn are kept, addresses follow `portal_port`."""
    state_dir.mkdir(parents=True, exist_ok=True)
    known = read(state_dir / DEPARTMENTS) if (state_dir / DEPARTMENTS).exists() else {}
    own: dict[str, dict[str, str]] = {}
    told: dict[str, dict[str, str]] = {}
    for department in departments():
        if department.port_offset is None:
            continue
        url = f"http://{host}:{portal_port + department.port_offset}"
        names = _CALLER_SECRETS[department.id]
        kept = known.get(department.id, {})
        drawn = {name: kept.get(name) or _NAMES.get(name) or secrets.token_hex(24) for name in names + _OWN_SECRETS}
        own[department.id] = {"url": url, **drawn}
        told[f"adapters.{department.id}"] = {"url": url, **{name: drawn[name] for name in names}}
    _write(state_dir / DEPARTMENTS, "The departments' side of the demo: what they expect of their callers.", own)
    _write(state_dir / ENVIRONMENT, "Where the departments' systems are, and what to show them.", told)


def read(path: Path) -> dict[str, dict[str, str]]:
    """Return the departments' side by department id."""
    return tomllib.loads(path.read_text("utf-8"))


def control_door(state_dir: Path, department_id: str) -> tuple[str, str]:
    """Return the address of one department's system and the secret of its control door.

    Raises:
        KeyError: there is no such department, or it has no system.
    """
    own = read(state_dir / DEPARTMENTS)[department_id]
    return own["url"], own["control_secret"]


def _write(path: Path, heading: str, tables: Mapping[str, Mapping[str, str]]) -> None:
    lines = [f"# {heading}"]
    for table, entries in tables.items():
        # Every value is made here, of letters, digits and the signs of an address: nothing needs escaping.
        lines += ["", f"[{table}]", *(f'{name} = "{value}"' for name, value in entries.items())]
    new = path.with_suffix(".new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    new.replace(path)
