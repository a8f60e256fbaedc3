"""How a release or a consent can be refused.

Forbidden  BasisMissing, GuardianNeeded
NotFound   PurposeUnknown, WardUnknown, GuardianUnknown
Conflict   ConsentNotAsked, NoticeChanged
"""

from typing import ClassVar

from onestop.errors import Actor, Conflict, Forbidden, NotFound, OnestopError, Stage


class BasisMissing(Forbidden):
    """No purpose covers the release, or the consent it rests on is not there, or not any more."""

    code = "basis.missing"
    stage: ClassVar[Stage] = "basis"
    who_acts: ClassVar[Actor] = "applicant"


class GuardianNeeded(Forbidden):
    """A child under 14 cannot consent; a guardian does."""

    code = "basis.guardian_needed"
    stage: ClassVar[Stage] = "basis"
    who_acts: ClassVar[Actor] = "applicant"


class PurposeUnknown(NotFound):
    """There is no purpose of that code."""

    code = "basis.purpose_unknown"


class WardUnknown(NotFound):
    """The caller is nobody's guardian of that id, or not any more."""

    code = "basis.ward_unknown"


class GuardianUnknown(NotFound):
    """There is no such guardian, or it has ended."""

    code = "basis.guardian_unknown"


class ConsentNotAsked(Conflict):
    """The purpose rests on a duty, not on consent: there is nothing to give or to withdraw."""

    code = "basis.no_consent_asked"
    stage: ClassVar[Stage] = "basis"


class NoticeChanged(Conflict):
    """What was consented to is not what the notice says now."""

    code = "basis.notice_changed"
    stage: ClassVar[Stage] = "basis"


class BadPurposes(OnestopError):
    """The file of purposes or of retention cannot be used; nothing starts with it."""

    code = "basis.bad_purposes"
