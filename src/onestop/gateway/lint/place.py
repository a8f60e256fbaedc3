"""Rules about who answers and where: the department's code, region, contact, network, and this environment's entry."""

import re
from collections.abc import Collection, Iterator, Mapping
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from stdnum.cn import uscc

from onestop.gateway.auth.needs import needs
from onestop.gateway.lint.findings import Hit, Subject, hit
from onestop.gateway.manifest import (
    Manifest,
)

# GB/T 2260: the first two digits are a province; 99 is what this project's invented regions begin with.
_PROVINCES: Final = frozenset((
    "11", "12", "13", "14", "15", "21", "22", "23", "31", "32", "33", "34", "35", "36", "37", "41", "42", "43", "44",
    "45", "46", "50", "51", "52", "53", "54", "61", "62", "63", "64", "65", "71", "81", "82", "99",
))  # fmt: skip
_MAIL: Final = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_PHONE: Final = re.compile(r"\+?[\d\s()-]{5,20}")
_SECRET: Final = re.compile(r"\{secret\.([A-Za-z_][\w-]*)\}")


def who(s: Subject) -> Iterator[Hit]:
    """A contact nobody can write to, a code that is none, a region that is none."""
    department, region = s.manifest.department, s.manifest.region
    if not (_MAIL.fullmatch(department.contact) or _PHONE.fullmatch(department.contact)):
        yield hit("ADP-120", ("department", "contact"))
    if uscc.calc_check_digit(department.code[:-1]) != department.code[-1]:
        yield hit("ADP-121", ("department", "code"), digit=uscc.calc_check_digit(department.code[:-1]))
    elif department.code[2:4] != region[:2]:
        yield hit("ADP-123", ("region",), region=region, code=department.code[2:8])
    if region[:2] not in _PROVINCES:
        yield hit("ADP-122", ("region",), region=region)


def words(s: Subject) -> Iterator[Hit]:
    """Purpose, basis or title that is there and says nothing."""
    for path, operation in s.operations():
        for name in ("title", "purpose", "basis"):
            told = getattr(operation, name)
            for lang in ("zh", "en"):
                if not getattr(told, lang).strip():
                    yield hit("ADP-014", (*path, name, lang), name=name)


RULES = (who, words)


def network(s: Subject, reachable: Collection[str]) -> Iterator[Hit]:
    """A department on a network that this installation may not reach."""
    told = s.manifest.department.network
    if told not in reachable and not s.manifest.desk:
        yield hit("ADP-130", ("department", "network"), network=told, reachable=" ".join(sorted(reachable)))


def environment(s: Subject, told: Mapping[str, Any]) -> Iterator[Hit]:
    """What this environment lacks for the department: its address, its secrets, a road nobody listens on."""
    manifest = s.manifest
    if manifest.desk:
        return
    entry = told.get("adapters", told).get(manifest.id)
    if not isinstance(entry, Mapping):
        yield hit("ADP-131", ("id",), id=manifest.id)
        return
    url = _address(str(entry.get("url", "")))
    if url is None or url.scheme not in ("http", "https") or not url.hostname:
        yield hit("ADP-132", ("id",), id=manifest.id)
    elif url.scheme == "http" and manifest.auth.__struct_config__.tag != "none" and not _is_own(url.hostname):
        yield hit("ADP-081", ("auth",), host=url.hostname)
    for name in sorted(needed(manifest) - set(entry)):
        yield hit("ADP-133", ("auth",), name=name)


def _address(text: str) -> SplitResult | None:
    try:
        return urlsplit(text)
    except ValueError:
        return None


def _is_own(host: str) -> bool:
    """Tell whether what is sent there never leaves this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def needed(manifest: Manifest) -> set[str]:
    """Return the names of the secrets a manifest cannot do without; the certificate's key may be in one with it."""
    return set(needs(manifest).secrets - {"client_cert_key"})
