"""How a look-up can be wrong before any department is asked."""

from onestop.errors import Conflict, Invalid, NotFound


class UnknownWant(Invalid):
    """A want that no department on line answers."""

    code = "lookup.unknown_want"


class NoSuchCompletion(NotFound):
    """No such handle, or somebody else's."""

    code = "completion.unknown"


class ChallengeUnknown(NotFound):
    """No such challenge, or another office's."""

    code = "challenge.unknown"


class ChallengeExists(Conflict):
    """This use was disputed before; one answer is owed, not two."""

    code = "challenge.exists"


class ChallengeAnswered(Conflict):
    """The office has answered."""

    code = "challenge.answered"


class NotInEntry(Invalid):
    """The entry holds no use by that department, or several, so that it has to be said which one is meant."""

    code = "challenge.not_in_entry"
