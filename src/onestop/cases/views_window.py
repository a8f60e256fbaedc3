"""What a clerk at a window sends and gets, and what the one who is served confirms with."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from onestop.cases.views import Answers, Declarations
from onestop.identity.models import PersonName
from onestop.items.models import Code


class BeginForSomebody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a clerk sends to begin an application for whoever stands at the window."""

    number: Annotated[str, Meta(pattern=r"^[0-9A-Z]{15,18}$", examples=["990103195311020241"])]
    name: PersonName
    item: Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_-]{1,39}$", examples=["birth"])]
    situation: Annotated[dict[Code, bool], Meta(max_length=32)] = {}
    answers: Answers = {}


class ConfirmationCode(msgspec.Struct, frozen=True, kw_only=True):
    """The code a clerk tells the one at the window; it is told once and kept nowhere."""

    case: str
    code: str  # six digits
    valid_until: datetime
    attempts: int


class Confirm(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What somebody sends from a device of their own to have what a clerk wrote for them submitted."""

    code: Annotated[str, Meta(pattern=r"^[0-9]{6}$")]
    declarations: Declarations = ()
