"""How the case room can fail.

NotFound   CaseUnknown · TaskUnknown · OperationUnknown · DoubtUnknown
Conflict   CaseClosed · NotDraft · NotCorrecting · TaskAnswered · NothingToSend · CodeMissing · DoubtExists
Stale      VersionStale · ContentChanged
Invalid    FormInvalid · DeclarationMissing · NotFromDepartment
Forbidden  NotTheDesk · CodeWrong · VisitorNameDiffers
TooMany    TooManyVisits
"""

from onestop.errors import Conflict, Forbidden, Invalid, NotFound, Stale, TooMany


class CaseUnknown(NotFound):
    """No case of the caller's has that id; somebody else's reads the same."""

    code = "case.unknown"


class OperationUnknown(NotFound):
    """No operation of the caller's has that id."""

    code = "operation.unknown"


class TaskUnknown(NotFound):
    """The caller's desk has no task of that id."""

    code = "task.unknown"


class CaseClosed(Conflict):
    """The case is decided or withdrawn and takes no further step."""

    code = "case.closed"
    who_acts = "applicant"


class NotDraft(Conflict):
    """The case was submitted: its form is with the departments and no longer changes."""

    code = "case.not_draft"
    who_acts = "applicant"


class NotCorrecting(Conflict):
    """The step waits for no correction, or the one correction was already sent."""

    code = "case.not_correcting"
    who_acts = "applicant"


class TaskAnswered(Conflict):
    """Somebody at the desk has answered this task already."""

    code = "task.answered"
    who_acts = "clerk"


class NothingToSend(Conflict):
    """The task's step was never meant for a system, so nothing can be sent again."""

    code = "task.nothing_to_send"
    who_acts = "clerk"


class VersionStale(Stale):
    """The caller edits a version that is no longer the newest."""

    code = "case.version_stale"


class FormInvalid(Invalid):
    """Values of the form cannot be taken; every one is named."""

    who_acts = "applicant"


class DeclarationMissing(Invalid):
    """The applicant has not declared that everything is true."""

    code = "case.declaration_missing"
    who_acts = "applicant"


class NotTheDesk(Forbidden):
    """Only a clerk or department officer with a desk does this."""

    code = "task.not_the_desk"


class CodeMissing(Conflict):
    """There is no code to confirm with: none was made, it is over or used, or its attempts are."""

    code = "window.code_missing"
    who_acts = "clerk"


class CodeWrong(Forbidden):
    """It is not the code that was told at the window."""

    code = "window.code_wrong"
    who_acts = "applicant"


class ContentChanged(Stale):
    """The draft says something else than when the code was made."""

    code = "window.content_changed"
    who_acts = "clerk"


class VisitorNameDiffers(Forbidden):
    """The number is known under another name than the clerk typed."""

    code = "window.name_differs"
    who_acts = "clerk"


class TooManyVisits(TooMany):
    """The clerk began for as many people within an hour as one may."""

    code = "window.too_many"
    who_acts = "clerk"


class DoubtUnknown(NotFound):
    """The department has no such open doubt to verify."""

    code = "doubt.unknown"


class DoubtExists(Conflict):
    """The value is in doubt already; one answer is owed, not two."""

    code = "doubt.exists"


class NotFromDepartment(Invalid):
    """No department gave this value: who typed it corrects it."""

    code = "doubt.not_from_department"
