"""The completion certificate of a decided case: what each department decided, in both languages, numbers masked."""

from collections.abc import Sequence
from typing import Any

from onestop import clock
from onestop.cases import rules, sealing
from onestop.cases.models import Case, Step
from onestop.cases.office import Office
from onestop.certificates import service as certificates
from onestop.certificates.models import Completion, ComponentResult, Shown, Words
from onestop.db import Connection
from onestop.identity.rules import mask_number
from onestop.items.models import Component


async def certify(office: Office, db: Connection, case: Case, steps: Sequence[Step], random: bytes) -> None:
    """Issue the certificate in the deciding transaction; `random` (8 bytes) makes its check code."""
    item = office.catalogue.get(case.item)
    form = sealing.open_form(office.keys, case)
    at = clock.now().isoformat(timespec="seconds")
    completion = Completion(
        number=certificate_number(case.number),
        case_number=case.number,
        item=Words(item.spec.name.zh, item.spec.name.en),
        outcome=case.outcome or "",
        holder=masked_name(form.name),
        issued_at=at,
        region=office.region,
        components=[_component(office, item.components[step.code].spec, case, step) for step in steps],
    )
    code = rules.claim_code(random)
    await certificates.issue(
        db, office.issuer, office.region, completion, code, case_id=case.id, subject=case.subject
    )  # fmt: skip


def certificate_number(case_number: str) -> str:
    """Return the number of a case's completion certificate: the case's own, `01`, and a check character."""
    body = case_number[:-1] + "01"
    return body + rules.check_character(body)


def masked_name(name: str) -> str:
    """Return a name with all but its first character hidden."""
    return name[:1] + "*" * max(len(name) - 1, 1)


def _component(office: Office, part: Component, case: Case, step: Step) -> ComponentResult:
    fields: dict[str, Any] = sealing.open_result(office.keys, case.id, step).fields
    shown = []
    for name, words in part.results.items():
        value = fields.get(name)
        if value not in (None, ""):
            told = mask_number(str(value)) if name in part.masked else str(value)
            shown.append(Shown(label=Words(words.zh, words.en), value=told))
    settled_at = step.settled_at or (clock.now() if step.state in rules.ENDED else None)
    return ComponentResult(
        code=step.code,
        name=Words(part.name.zh, part.name.en),
        department=Words(office.directory.name(step.department, "zh"), office.directory.name(step.department, "en")),
        state=step.state,
        reference=step.reference,
        shown=shown,
        settled_at=settled_at.isoformat(timespec="seconds") if settled_at else None,
    )
