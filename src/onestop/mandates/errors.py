"""How acting for others can be refused.

NotFound     MandateUnknown
Forbidden    NotBegun · Expired · NotLive · OutOfScope · DeedExcluded · LimitReached · NotHandedOn · LevelTooLow ·
             NameDiffers · GuardianNeeded
Conflict     MoveNotOpen
Invalid      OfferRefused
Unavailable  NotVouched
"""

from typing import ClassVar

from onestop.errors import Actor, Conflict, Forbidden, Invalid, NotFound, Stage, Unavailable


class MandateUnknown(NotFound):
    """No mandate of that id was given to the caller or by them; somebody else's reads the same."""

    code = "mandate.unknown"
    stage: ClassVar[Stage] = "mandate"


class NotBegun(Forbidden):
    """The mandate's period has not begun."""

    code = "mandate.not_begun"
    who_acts: ClassVar[Actor] = "applicant"


class Expired(Forbidden):
    """The mandate's period is over."""

    code = "mandate.expired"
    who_acts: ClassVar[Actor] = "applicant"


class NotLive(Forbidden):
    """The mandate was never completed, was refused, or has ended."""

    code = "mandate.not_live"
    who_acts: ClassVar[Actor] = "applicant"


class OutOfScope(Forbidden):
    """The matter is none that the mandate covers."""

    code = "mandate.out_of_scope"
    who_acts: ClassVar[Actor] = "applicant"


class DeedExcluded(Forbidden):
    """The matter is covered, but not this kind of act."""

    code = "mandate.deed_excluded"
    who_acts: ClassVar[Actor] = "applicant"


class LimitReached(Forbidden):
    """As many cases were submitted, or as much was paid, as the mandate allows."""

    code = "mandate.limit_reached"
    who_acts: ClassVar[Actor] = "applicant"


class NotHandedOn(Forbidden):
    """The mandate may not be handed on, or not so far, or not with so much in it."""

    code = "mandate.not_handed_on"
    who_acts: ClassVar[Actor] = "applicant"


class LevelTooLow(Forbidden):
    """The session's real-name level is lower than the mandate needs."""

    code = "mandate.level_too_low"
    stage: ClassVar[Stage] = "assurance"


class NameDiffers(Forbidden):
    """The giver named somebody else under the receiver's number: a typing mistake gives nobody a right."""

    code = "mandate.name_differs"
    who_acts: ClassVar[Actor] = "applicant"


class GuardianNeeded(Forbidden):
    """The person is too young to do this alone."""

    code = "mandate.guardian_needed"
    who_acts: ClassVar[Actor] = "applicant"


class MoveNotOpen(Conflict):
    """The mandate is in a state in which this party cannot do that."""

    code = "mandate.move_not_open"


class OfferRefused(Invalid):
    """The mandate cannot be offered like this; every fault is named."""

    code = "mandate.offer_refused"


class NotVouched(Unavailable):
    """The department that vouches for the mandate does not answer, so it is not known whether it still holds."""

    code = "mandate.not_vouched"
    stage: ClassVar[Stage] = "upstream"
    who_acts: ClassVar[Actor] = "department"
