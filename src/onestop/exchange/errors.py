"""How a question between departments can be refused; agreement and quota are the gateway's own refusals."""

from typing import ClassVar

from onestop.errors import Malformed, NotFound, Stage


class QueryUnknown(NotFound):
    """No department on line answers such a question."""

    code = "exchange.unknown"


class HeaderMissing(Malformed):
    """The question does not say under which agreement, or for what, it is asked."""

    code = "exchange.header"
    stage: ClassVar[Stage] = "agreement"
