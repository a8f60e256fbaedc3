"""Nouns of a question between departments."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from onestop.gateway.models import Part
from onestop.identity.models import PersonName

SubjectNumber = Annotated[str, Meta(pattern=r"^[0-9A-Z]{15,18}$", examples=["990102199203140221"])]


class About(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whom a question is about."""

    number: SubjectNumber
    number_type: Literal["citizen_id", "uscc"] = "citizen_id"
    name: PersonName | None = None  # where the operation asks with the name


class AskDepartment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a department sends to ask another one."""

    subject: About


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """What the other department said, and under which agreement."""

    agreement: str
    purpose: str  # the reference that the question came with
    part: Part  # person numbers in it are whole: they are matched, not shown
    trace_id: str
