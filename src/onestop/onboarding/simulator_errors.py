"""How a simulator in the portal, and a conformance run, can be refused."""

from onestop.errors import Conflict, Forbidden


class SimulatorClosed(Forbidden):
    """Real people are served here, and no test key of the department was shown."""

    code = "sandbox.off"


class NoPlaceToAsk(Conflict):
    """Nobody told where the system is that a run should ask."""

    code = "conformance.no_place"


class RunUnderWay(Conflict):
    """A run of the adapter against the same system is under way; the refusal names it."""

    code = "conformance.running"
