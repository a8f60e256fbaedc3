"""How certificates and licences can fail.

NotFound   CertificateUnknown, LicenceTypeUnknown, LicenceUnknown, UseCodeUnknown
Forbidden  UseCodeOfAnother
Conflict   LicenceNotValid (…Suspended, …Expired, …Revoked, …Superseded), ChangeNotAllowed,
           UseCodeUsed, UseCodeExpired, UseCodeOtherMatter, ShowExpired
Invalid    BadLicenceType, ChangeUnfounded, PurposeUnknown, SceneUnknown, MatterUnknown, ShowForged
"""

from typing import ClassVar

from onestop.errors import Conflict, Forbidden, Invalid, NotFound, Stage


class CertificateUnknown(NotFound):
    """The case has no certificate yet, or is not the caller's."""

    code = "certificate.unknown"
    who_acts = "applicant"


class BadLicenceType(Invalid):
    """A licence type's file cannot be used; the sentence says which file and why."""

    code = "licence.type_bad"
    who_acts = "operator"


class LicenceTypeUnknown(NotFound):
    """No licence type of that code is known here."""

    code = "licence.type_unknown"


class LicenceUnknown(NotFound):
    """No licence of that name, or another person's, or another department's: the same to the caller."""

    code = "licence.unknown"
    who_acts = "applicant"


class LicenceNotValid(Conflict):
    """The licence is not valid: it is neither shown nor used. One of the four below says how; why is the holder's."""

    who_acts = "applicant"


class LicenceSuspended(LicenceNotValid):
    """Its issuer suspended the licence, and may restore it."""

    code = "licence.suspended"


class LicenceExpired(LicenceNotValid):
    """The last day of the licence is over."""

    code = "licence.expired"


class LicenceRevoked(LicenceNotValid):
    """Its issuer ended the licence."""

    code = "licence.revoked"


class LicenceSuperseded(LicenceNotValid):
    """Another version stands in the place of the licence."""

    code = "licence.superseded"


class ChangeNotAllowed(Conflict):
    """A licence in this state cannot be changed so."""

    code = "licence.change_not_allowed"
    who_acts = "department"


class ChangeUnfounded(Invalid):
    """The change does not say which licence, has another's reason, or names fields the type does not have."""

    code = "licence.change_unfounded"
    who_acts = "department"


class PurposeUnknown(Invalid):
    """Licences of this type are not used for such a purpose."""

    code = "licence.purpose_unknown"


class SceneUnknown(Invalid):
    """Licences of this type are not shown on such an occasion."""

    code = "licence.scene_unknown"


class MatterUnknown(Invalid):
    """A use code needs a case of the holder's own, of the item, and a department with a part in it."""

    code = "licence.matter_unknown"
    who_acts = "applicant"


class UseCodeUnknown(NotFound):
    """There is no such use code."""

    code = "licence.code_unknown"


class UseCodeOfAnother(Forbidden):
    """The use code was made for another department."""

    code = "licence.code_other_taker"
    stage: ClassVar[Stage] = "mandate"


class UseCodeUsed(Conflict):
    """The use code was redeemed before."""

    code = "licence.code_used"
    who_acts = "applicant"


class UseCodeExpired(Conflict):
    """The minutes of the use code are over."""

    code = "licence.code_expired"
    who_acts = "applicant"


class UseCodeOtherMatter(Conflict):
    """The use code was made for another item or case."""

    code = "licence.code_other_matter"


class ShowForged(Invalid):
    """What is shown was not signed here, or not for showing."""

    code = "licence.show_not_genuine"


class ShowExpired(Conflict):
    """The minute of what is shown is over."""

    code = "licence.show_expired"
    who_acts = "applicant"


class Unprintable(Invalid):
    """The document's font has no glyph for a character; nothing is printed with a gap."""

    code = "licence.unprintable"


class CopyUnknown(NotFound):
    """There is no copy of that id, or it is another person's."""

    code = "licence.copy_unknown"
    who_acts = "applicant"
