"""What can be wrong with a question about the ledger."""

from typing import ClassVar

from onestop.errors import Conflict, NotFound, Retry


class DataUseUnknown(NotFound):
    """No entry of that id, or it is about somebody else."""

    code = "data_use.unknown"


class NotAnchored(Conflict):
    """The entry was written a moment ago: no signed anchor is over it yet."""

    code = "data_use.not_anchored"
    retry: ClassVar[Retry] = "after"
