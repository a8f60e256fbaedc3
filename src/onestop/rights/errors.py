"""How a person's wish about their data can be refused.

Forbidden  LevelNeeded, OwnApproval
NotFound   ErasureUnknown, ExportUnknown
Conflict   MustBeKept, ExportNotReady
"""

from typing import ClassVar

from onestop.errors import Actor, Conflict, Forbidden, NotFound, Stage


class LevelNeeded(Forbidden):
    """Who asks for all of a person's data, or for its end, has to be known more surely, and be that person."""

    code = "rights.level_needed"
    stage: ClassVar[Stage] = "assurance"
    who_acts: ClassVar[Actor] = "applicant"


class OwnApproval(Forbidden):
    """Nobody approves what they asked for."""

    code = "rights.own_approval"


class ErasureUnknown(NotFound):
    """There is no such erasure waiting."""

    code = "rights.erasure_unknown"


class MustBeKept(Conflict):
    """The law still asks for something of this person's to be kept."""

    code = "rights.must_be_kept"
    stage: ClassVar[Stage] = "basis"


class ExportUnknown(NotFound):
    """There is no such export of the caller's, or its days are over."""

    code = "rights.export_unknown"


class ExportNotReady(Conflict):
    """The export is still being made, or could not be."""

    code = "rights.export_not_ready"
