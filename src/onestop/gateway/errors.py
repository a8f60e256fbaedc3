"""How a department's callback can be wrong, and what the gateway cannot find."""

from typing import ClassVar

from onestop.errors import Actor, Forbidden, Invalid, NotFound, Stage, TooMany, Unavailable


class NoSuchAdapter(NotFound):
    """No adapter of that name is on line here."""

    code = "adapter.unknown"


class CallbackNotGenuine(Forbidden):
    """The callback was not signed with the shared secret, or too long ago."""

    code = "callback.not_genuine"
    who_acts: ClassVar[Actor] = "department"


class CallbackUnreadable(Invalid):
    """The callback's body does not have the form the manifest declares."""

    code = "callback.unreadable"
    who_acts: ClassVar[Actor] = "department"


class CallbackUnknown(NotFound):
    """Nothing was sent under the key the callback names."""

    code = "callback.unknown"
    who_acts: ClassVar[Actor] = "department"


class NoSuchTrace(NotFound):
    """No trace of that id is kept, or it is somebody else's."""

    code = "trace.unknown"


# The last three are carried by parts of an answer; explanations name their stage and who acts.


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
