"""How an adapter's life can be refused: each says why, and what to do.

NotFound   AdapterAbsent · VersionAbsent · ThingAbsent
Forbidden  MoveNotYours · SecondPersonNeeded
Conflict   MoveNotNow · VersionTaken · VersionFixed · NothingToReturnTo · TooManySecrets · AgreementDecided
Invalid    ChecklistOpen · SignatureWrong · DepartmentDiffers · PlaceNotAllowed · PlaceIsLive · SecretUnreadable ·
           WindowWrong · OverrideWrong · ParameterWrong · TemplateWrong · AgreementWrong · ReasonMissing
"""

from typing import ClassVar

from onestop.errors import Actor, Conflict, Forbidden, Invalid, NotFound, Stage


class AdapterAbsent(NotFound):
    """No adapter of that name, or somebody else's: the same."""

    code = "adapter.absent"


class VersionAbsent(NotFound):
    """The adapter has no such version."""

    code = "adapter.version_absent"


class ThingAbsent(NotFound):
    """The adapter has no secret, key, window, agreement or template of that name."""

    code = "adapter.thing_absent"


class MoveNotYours(Forbidden):
    """The move is for another role."""

    code = "adapter.move_not_yours"


class SecondPersonNeeded(Forbidden):
    """Who made or submitted a version does not approve it."""

    code = "adapter.second_person"


class MoveNotNow(Conflict):
    """The version's state does not allow the move."""

    code = "adapter.move_not_now"


class VersionTaken(Conflict):
    """The version is there already, with other bytes or no longer a draft."""

    code = "adapter.version_taken"


class VersionFixed(Conflict):
    """Only a draft is replaced."""

    code = "adapter.version_fixed"


class NothingToReturnTo(Conflict):
    """No earlier version was live in the last thirty days, and no file stands behind."""

    code = "adapter.nothing_to_return_to"


class TooManySecrets(Conflict):
    """Two values of one name are valid already."""

    code = "adapter.secrets_full"


class AgreementDecided(Conflict):
    """The agreement is decided, or another one of the same consumer and operation holds."""

    code = "agreement.decided"


class ChecklistOpen(Invalid):
    """Something the move needs is missing; each is named."""

    code = "adapter.checklist"
    who_acts: ClassVar[Actor] = "department"


class SignatureWrong(Invalid):
    """The manifest's signature is missing or not that of a registered key."""

    code = "adapter.signature"
    who_acts: ClassVar[Actor] = "department"


class DepartmentDiffers(Invalid):
    """The manifest names another department, adapter or version than it may."""

    code = "adapter.department_differs"
    who_acts: ClassVar[Actor] = "department"


class PlaceNotAllowed(Invalid):
    """The address is outside what this installation may call."""

    code = "adapter.place_not_allowed"
    who_acts: ClassVar[Actor] = "operator"


class PlaceIsLive(Invalid):
    """The test system's address is the live system's: a run against it would prove nothing, and write there."""

    code = "adapter.place_is_live"
    who_acts: ClassVar[Actor] = "department"


class SecretUnreadable(Invalid):
    """A certificate or key cannot be read, or is over."""

    code = "adapter.secret_unreadable"


class WindowWrong(Invalid):
    """A maintenance window that ends before it begins, is over, or is too long."""

    code = "adapter.window_wrong"


class OverrideWrong(Invalid):
    """An override without a reason or an operation of the adapter, over already, or for longer than a day."""

    code = "adapter.override_wrong"


class ParameterWrong(Invalid):
    """A template's parameter is missing, unknown, or of another type."""

    code = "template.parameter"


class TemplateWrong(Invalid):
    """The template does not name its parameters rightly, or does not give a manifest."""

    code = "template.bad"


class AgreementWrong(Invalid):
    """The agreement names an operation the adapter has not, or an end before its beginning."""

    code = "agreement.wrong"
    stage: ClassVar[Stage] = "agreement"


class ReasonMissing(Invalid):
    """The move needs a reason that its owner can read."""

    code = "adapter.reason_missing"
