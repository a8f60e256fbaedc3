"""How a look-up can be wrong before any department is asked."""

from onestop.errors import Invalid, NotFound


class UnknownWant(Invalid):
    """A want that no department on line answers."""

    code = "lookup.unknown_want"


class NoSuchCompletion(NotFound):
    """No such handle, or somebody else's."""

    code = "completion.unknown"
