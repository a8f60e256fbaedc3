"""Whether an agreement covers a question; pure."""

import re
from datetime import datetime

from onestop.exchange.errors import HeaderMissing
from onestop.gateway.models import Agreement

# A file number, a case, a task: visible characters as a header may hold them.
_REFERENCE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,118}[\x21-\x7e])?")
_PERSON = re.compile(r"(?<![0-9])[0-9]{17}[0-9Xx](?![0-9])")  # it would stand in the audit for good
_ID = re.compile(r"[a-z0-9_]{1,40}")


def header(name: str, value: bytes | None) -> str:
    """Return what a header of the question says.

    Raises:
        HeaderMissing: it is not there, is not of the form that it has, or holds a person's number.
    """
    told = (value or b"").decode("latin-1").strip()
    if (_ID if name == "Agreement" else _REFERENCE).fullmatch(told) is None:
        raise HeaderMissing(name=name)
    if _PERSON.search(told):
        raise HeaderMissing(name=name)
    return told


def covers(found: Agreement | None, told: str, now: datetime) -> bool:
    """Tell whether the agreement in force for a question is the one it names, at this moment."""
    return found is not None and found.id == told and found.begins <= now and (found.ends is None or now < found.ends)
