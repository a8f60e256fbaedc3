"""How certificates and licences can fail.

NotFound   CertificateUnknown, LicenceTypeUnknown, LicenceUnknown
Conflict   LicenceNotValid, ChangeNotAllowed
Invalid    BadLicenceType, ChangeUnfounded
"""

from onestop.errors import Conflict, Invalid, NotFound


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
    """The licence is suspended, expired, revoked or superseded; it is neither shown nor used."""

    code = "licence.not_valid"
    who_acts = "applicant"


class ChangeNotAllowed(Conflict):
    """A licence in this state cannot be changed so."""

    code = "licence.change_not_allowed"
    who_acts = "department"


class ChangeUnfounded(Invalid):
    """The change does not say which licence, has another's reason, or names fields the type does not have."""

    code = "licence.change_unfounded"
    who_acts = "department"
