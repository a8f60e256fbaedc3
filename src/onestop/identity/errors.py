"""How identity can fail.

Malformed        BadReturn · BadCallback · FlowUnknown · IssuerMixed
Unauthenticated  BadToken
Forbidden        SignInRefused: LevelNotReached · DemoOnly
NotFound         ProviderUnknown · SessionUnknown · PersonUnknown · MachineKeyUnknown · LinkUnknown
Conflict         TooManyMachineKeys · AlreadyBound · NothingToBind
TooMany          TooManyUnmaskings · TooManyAttempts
Invalid          BadNumber: BadShape · BadChecksum · BadBirthDate · UnknownRegion · DivisionAbolished · LegacyNumber ·
                 WrongKind · BadStaffNumber · RealIdentity · FictionalNumber
UpstreamFailed   ProviderFailed
UpstreamTimeout  ProviderSilent
"""

from typing import ClassVar

from onestop.errors import (
    Actor,
    Conflict,
    Forbidden,
    Invalid,
    Malformed,
    NotFound,
    Stage,
    TooMany,
    Unauthenticated,
    UpstreamFailed,
    UpstreamTimeout,
)


class BadReturn(Malformed):
    """The way back after signing in is not a page of onestop."""

    code = "identity.bad_return"
    stage: ClassVar[Stage] = "identity"


class BadCallback(Malformed):
    """The answer brought back from the provider lacks a parameter, or has one twice."""

    code = "identity.bad_callback"
    stage: ClassVar[Stage] = "identity"


class FlowUnknown(Malformed):
    """No sign-in of this browser waits for that answer: it is over, was answered already, or began elsewhere."""

    code = "identity.flow_unknown"
    stage: ClassVar[Stage] = "identity"


class IssuerMixed(Malformed):
    """The answer comes from another provider than the one asked (RFC 9207)."""

    code = "identity.issuer_mixed"
    stage: ClassVar[Stage] = "identity"


class BadToken(Unauthenticated):
    """A token was refused; `reason` is one word for logs and tests, never a part of the token."""

    code = "identity.bad_token"

    def __init__(self, reason: str) -> None:
        super().__init__(f"token refused: {reason}", reason=reason)
        self.reason = reason


class SignInRefused(Forbidden):
    """The provider did not let the person in, or the person turned back."""

    code = "identity.sign_in_refused"
    stage: ClassVar[Stage] = "identity"


class LevelNotReached(SignInRefused):
    """The person signed in less surely than was asked for, or nobody here can vouch for that level."""

    code = "identity.level_not_reached"
    stage: ClassVar[Stage] = "assurance"
    who_acts: ClassVar[Actor] = "applicant"


class DemoOnly(Forbidden):
    """Tokens by name are given out in the demo and sandbox profiles alone."""

    code = "identity.demo_only"
    stage: ClassVar[Stage] = "identity"


class ProviderUnknown(NotFound):
    """No provider of that name is set up."""

    code = "identity.provider_unknown"
    stage: ClassVar[Stage] = "identity"


class SessionUnknown(NotFound):
    """No live session of the caller has that id."""

    code = "identity.session_unknown"
    stage: ClassVar[Stage] = "identity"


class PersonUnknown(NotFound):
    """The demo world has nobody of that name or number."""

    code = "identity.person_unknown"
    stage: ClassVar[Stage] = "identity"


class MachineKeyUnknown(NotFound):
    """The department has no such key, or it was revoked before."""

    code = "identity.machine_key_unknown"
    stage: ClassVar[Stage] = "identity"


class LinkUnknown(NotFound):
    """Nothing of that id is bound to the caller."""

    code = "identity.link_unknown"
    stage: ClassVar[Stage] = "identity"


class AlreadyBound(Conflict):
    """The network number is bound to another person, or this person has another one of the same provider."""

    code = "identity.already_bound"
    stage: ClassVar[Stage] = "identity"
    who_acts: ClassVar[Actor] = "applicant"


class NothingToBind(Conflict):
    """Only somebody who is signed in by a network number that is nobody's yet can have it bound."""

    code = "identity.nothing_to_bind"
    stage: ClassVar[Stage] = "identity"
    who_acts: ClassVar[Actor] = "applicant"


class TooManyMachineKeys(Conflict):
    """The department has as many keys as it may."""

    code = "identity.machine_keys_full"
    stage: ClassVar[Stage] = "identity"


class TooManyUnmaskings(TooMany):
    """This person was shown as many whole numbers within an hour as one may be."""

    code = "identity.unmaskings_full"
    stage: ClassVar[Stage] = "quota"
    who_acts: ClassVar[Actor] = "caller"


class TooManyAttempts(TooMany):
    """As many tries to sign in, ask for a token or refresh one as there may be within a window."""

    code = "identity.too_many_attempts"
    stage: ClassVar[Stage] = "identity"


class BadNumber(Invalid):
    """An identity number that cannot be taken here."""

    code = "identity.bad_number"
    stage: ClassVar[Stage] = "identity"
    who_acts: ClassVar[Actor] = "applicant"


class BadShape(BadNumber):
    """Not seventeen digits and a digit or X."""

    code = "identity.bad_shape"


class BadChecksum(BadNumber):
    """The last character does not fit the others (GB 11643, GB 32100)."""

    code = "identity.bad_checksum"


class BadBirthDate(BadNumber):
    """The number holds a birth date that does not exist or has not come."""

    code = "identity.bad_birth_date"


class UnknownRegion(BadNumber):
    """The number begins with an area of no province."""

    code = "identity.unknown_region"


class DivisionAbolished(BadNumber):
    """The number's area was abolished before its holder could have a number, or is not one yet."""

    code = "identity.division_abolished"


class LegacyNumber(BadNumber):
    """A number of the fifteen digits from before 1999, which has no check digit."""

    code = "identity.legacy_number"


class WrongKind(BadNumber):
    """A good number, but of a document of another kind than was said."""

    code = "identity.wrong_kind"


class BadStaffNumber(BadNumber):
    """Not a department, a colon and a number of that house's own."""

    code = "identity.bad_staff_number"


class FictionalNumber(BadNumber):
    """The number begins with 99: a demo person, who does not exist in production."""

    code = "identity.fictional_number"


class RealIdentity(BadNumber):
    """The number may be a real person's; a demo or sandbox takes none and keeps none."""

    code = "sandbox.real_identity"
    who_acts: ClassVar[Actor] = "caller"


class ProviderFailed(UpstreamFailed):
    """The provider answered, but not with what the protocol asks for."""

    code = "identity.provider_failed"
    who_acts: ClassVar[Actor] = "operator"


class ProviderSilent(UpstreamTimeout):
    """The provider did not answer in time."""

    code = "identity.provider_silent"
    who_acts: ClassVar[Actor] = "operator"
