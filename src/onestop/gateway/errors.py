"""How a department's callback can be wrong, and what the gateway cannot find."""

from typing import ClassVar

from onestop.errors import Actor, Conflict, Forbidden, Internal, Invalid, NotFound, Stage, TooMany, Unavailable
from onestop.gateway.facts import Fact


class NoSuchAdapter(NotFound):
    """No adapter of that name is on line here."""

    code = "adapter.unknown"


class _OfCallback:
    """Knows whose callback it was and what decided; told to the department and the operator, not to the sender."""

    def __init__(self, adapter: str = "", fact: Fact | None = None) -> None:
        super().__init__(adapter)  # type: ignore[call-arg]  # the failure it stands beside
        self.adapter = adapter
        self.fact = fact


class CallbackNotGenuine(_OfCallback, Forbidden):
    """The callback was not signed with the shared secret, or too long ago."""

    code = "callback.not_genuine"
    who_acts: ClassVar[Actor] = "department"


class CallbackUnreadable(_OfCallback, Invalid):
    """The callback's body does not have the form the manifest declares."""

    code = "callback.unreadable"
    who_acts: ClassVar[Actor] = "department"


class CallbackUnknown(_OfCallback, NotFound):
    """Nothing was sent under the key the callback names."""

    code = "callback.unknown"
    who_acts: ClassVar[Actor] = "department"


class NoSuchTrace(NotFound):
    """No trace of that id is kept, or it is somebody else's."""

    code = "trace.unknown"


class NoSuchShare(NotFound):
    """No explanation is shared under that link: it is over, was revoked, or never was."""

    code = "share.unknown"


class NoSuchEffect(NotFound):
    """No effect of that id is there, or it is another department's."""

    code = "effect.unknown"


class LeaseLost(Conflict):
    """The lease ran out, or was never this caller's; the effect is somebody else's work by now."""

    code = "pull.lease_lost"
    who_acts: ClassVar[Actor] = "department"


class AnswerStands(Conflict):
    """Another outcome of this effect is on record, and what was decided stays decided."""

    code = "effect.answer_stands"
    who_acts: ClassVar[Actor] = "department"


class ReplyUnreadable(Invalid):
    """What was said of an effect is neither an outcome nor a reply as the manifest declares."""

    code = "pull.reply_unreadable"
    who_acts: ClassVar[Actor] = "department"


class EffectInHand(Conflict):
    """A worker or its department has the effect in hand at this moment."""

    code = "effect.in_hand"
    retry = "after"


class EffectPoison(Internal):
    """Handling an effect failed five times; a person decides what becomes of it."""

    code = "effect.poison"
    who_acts: ClassVar[Actor] = "operator"


# The last four are carried by parts of an answer; explanations name their stage and who acts.


class AgreementMissing(Forbidden):
    """There is no agreement under which this may be asked."""

    code = "agreement.missing"
    stage: ClassVar[Stage] = "agreement"


class QuotaExhausted(TooMany):
    """The agreed number of calls is used up."""

    code = "quota.exhausted"


class Quarantined(Unavailable):
    """The adapter is held back, by decision."""

    code = "adapter.quarantined"


class Stopped(Unavailable):
    """An operator has stopped the line for some hours."""

    code = "upstream.stopped"
    who_acts: ClassVar[Actor] = "operator"
