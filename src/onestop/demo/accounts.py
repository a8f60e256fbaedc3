"""Who can sign in to the demo, and the registration of the portal at the demo's national platform."""

import os
import secrets
import tomllib
from functools import cache
from pathlib import Path

import msgspec

from onestop.demo.people import WORLD, departments, people
from onestop.identity.models import Identified, NumberType, Role

_PORTAL_SCOPES = ("openid", "profile", "id_number", "staff")
REGISTRATION = "identity.toml"  # read by the portal as its identity file, and by the platform as its list of clients


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody with a button on the sign-in page."""

    key: str
    name: str
    name_en: str
    role: Role
    department: str | None = None
    id_number: str | None = None  # None: a member of staff
    why: str = ""
    trigger: bool = False


class Registration(msgspec.Struct, frozen=True):
    """What portal and platform agreed on: one client, or the one that is told network numbers alone."""

    issuer: str
    client_id: str
    client_secret: str
    scopes: tuple[str, ...]


@cache
def accounts() -> tuple[Account, ...]:
    """Return everybody who can sign in: citizens, staff, one desk a department, then the trigger people."""
    citizens = [
        Account(
            key=person.key,
            name=person.name,
            name_en=person.name_latin,
            role="citizen",
            id_number=person.id_number,
            why=person.why,
            trigger=person.key.isdigit(),
        )
        for person in people()
    ]
    staff = [
        msgspec.convert(told, Account) for told in tomllib.loads((WORLD / "staff.toml").read_text("utf-8"))["staff"]
    ]
    desks = [
        Account(key=f"desk-{d.id}", name=d.name, name_en=d.name_en, role="department", department=d.id)
        for d in departments()
    ]
    return (*(c for c in citizens if not c.trigger), *staff, *desks, *(c for c in citizens if c.trigger))


def find_person(text: str) -> Identified | None:
    """Return the account of that key, name or number, as the platform vouches for it; None where there is none."""
    for account in accounts():
        if text in (account.key, account.name, account.id_number):
            kind: NumberType = "account" if account.id_number is None else "citizen_id"
            return Identified(
                number_type=kind,
                number=account.id_number or f"demo {account.key}",
                name=account.name,
                role=account.role,
                department=account.department,
                level=3,
            )
    return None


def register(state: Path, port: int, host: str = "127.0.0.1") -> tuple[Registration, ...]:
    """Write the portal's identity file and return its clients, the portal's own first; drawn secrets are kept."""
    path = state / REGISTRATION
    issuer = f"http://{host}:{port}"
    if path.exists():
        told = tomllib.loads(path.read_text("utf-8"))["provider"]
        if told[0]["issuer"] == issuer:
            return tuple(
                Registration(one["issuer"], one["client_id"], one["client_secret"], tuple(one["scopes"]))
                for one in told
            )
    fresh = (
        Registration(issuer, "onestop-portal", secrets.token_urlsafe(32), _PORTAL_SCOPES),
        Registration(issuer, "onestop-network", secrets.token_urlsafe(32), ("openid",)),
    )
    state.mkdir(parents=True, exist_ok=True)
    # Two starters at once: the file appears whole, and the first one's stands.
    new = path.with_suffix(f".{os.getpid()}")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        for text, one in zip((_FILE, _NETWORK), fresh, strict=True):
            scopes = ", ".join(f'"{scope}"' for scope in one.scopes)
            file.write(text.format(issuer=issuer, id=one.client_id, secret=one.client_secret, scopes=scopes))
    new.replace(path)
    return fresh


# Levels as provinces count them: 1 name and number, 2 face or bank card, 3 in person or by certificate.
_FILE = """\
# Where people sign in to this demo.

[[provider]]
name = "national"
issuer = "{issuer}"
client_id = "{id}"
client_secret = "{secret}"
scopes = [{scopes}]
level = 1
levels = {{ level1 = 1, level2 = 2, level3 = 3 }}
roles = ["citizen", "clerk", "department", "governance", "operator"]
label = {{ zh = "国家政务服务平台统一身份认证（演示）", en = "National identity platform (demo)" }}
"""

# The same platform, to a client that is told a name of its own for everybody and nothing else, as 网号 are.
_NETWORK = """
[[provider]]
name = "network"
issuer = "{issuer}"
client_id = "{id}"
client_secret = "{secret}"
scopes = [{scopes}]
tells = "pseudonym"
level = 1
levels = {{ level1 = 1, level2 = 2, level3 = 3 }}
label = {{ zh = "国家网络身份认证（网号，演示）", en = "Network identity number (demo)" }}
"""
