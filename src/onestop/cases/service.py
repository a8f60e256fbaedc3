"""The verbs of the case room, by name; each is written in one of the `service_…` files."""

from onestop.cases.office import Office as Office
from onestop.cases.service_desk import answer as answer_task
from onestop.cases.service_desk import task, tasks
from onestop.cases.service_materials import choices as licence_choices
from onestop.cases.service_open import open_case
from onestop.cases.service_outcomes import outcome_handler, record_outcome
from onestop.cases.service_read import (
    certificate,
    operation,
    own_case,
    own_cases,
    owns_case,
    show,
    timeline,
)
from onestop.cases.service_submit import change_answers, resubmit, submit, wait, withdraw
from onestop.cases.service_sweep import escalate, orphans, overdue_tasks
from onestop.cases.service_unmask import unmask

__all__ = (
    "Office",
    "answer_task",
    "certificate",
    "change_answers",
    "escalate",
    "licence_choices",
    "open_case",
    "operation",
    "orphans",
    "outcome_handler",
    "overdue_tasks",
    "own_case",
    "own_cases",
    "owns_case",
    "record_outcome",
    "resubmit",
    "show",
    "submit",
    "task",
    "tasks",
    "timeline",
    "unmask",
    "wait",
    "withdraw",
)
