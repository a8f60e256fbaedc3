"""A withdrawn case's steps that are with departments: called off there, where the department offers it."""

from collections.abc import Sequence

import msgspec
import structlog

from onestop.cases import sealing, store
from onestop.cases.models import Case, NewEvent, Step
from onestop.cases.office import Office
from onestop.db import Connection
from onestop.gateway import watch
from onestop.gateway.manifest import Manifest
from onestop.gateway.models import Effect, NewEffect, Settled
from onestop.ids import new_id

log = structlog.get_logger(__name__)

WITHDRAWN = "cn.onestop.step.withdrawn"


def cancellations(office: Office, case: Case, steps: Sequence[Step], trace_id: str | None) -> list[NewEffect]:
    """Return an effect of its own for every step that is with a department which offers to cancel."""
    found = []
    form = None
    for step in steps:
        manifest = office.gateway.manifests.get(step.adapter)
        operation = _cancels(manifest, step.operation) if manifest else None
        if operation is None or step.state != "in_progress" or step.effect_id is None:
            continue
        form = form or sealing.open_form(office.keys, case)
        key = f"{case.id[5:]}-{step.code}-{step.round}"
        payload = {
            "key": key,  # of what is to be cancelled
            "reference": step.reference,
            "subject": {"number": form.number, "name": form.name},
            "case": {"number": case.number},
        }
        found.append(
            NewEffect(
                id=new_id("eff"),
                case_id=case.id,
                step=step.code,
                adapter=step.adapter,
                operation=operation,
                key=f"{key}-cancel",
                payload=payload,
                trace_id=trace_id,
                subject=case.subject,
                beneficiary=case.beneficiary,
            )
        )
    return found


def _cancels(manifest: Manifest, operation: str) -> str | None:
    """Return the operation that cancels another: `cancel_<its id>`, or the only one of its kind."""
    offered = [one.id for one in manifest.operations if one.kind == "cancel"]
    if f"cancel_{operation}" in offered:
        return f"cancel_{operation}"
    return offered[0] if len(offered) == 1 else None


async def called_off(office: Office, db: Connection, case: Case, step: Step, effect: Effect, settled: Settled) -> bool:
    """Take the answer to a cancellation; False where the effect is none. The case's row is held.

    A department that cancelled ends the step; one that could not goes on, and its own answer is taken as it comes.
    """
    manifest = office.gateway.manifests.get(effect.adapter)
    if manifest is None or not any(one.id == effect.operation and one.kind == "cancel" for one in manifest.operations):
        return False
    log.info("cancellation_answered", case=case.id, step=step.code, outcome=settled.outcome)
    if settled.outcome == "completed" and step.state == "in_progress" and case.state == "withdrawn":
        await store.update_step(db, office.region, case.id, msgspec.structs.replace(step, state="withdrawn"))
        event = NewEvent(type=WITHDRAWN, by_whom=effect.adapter, step=step.code)
        await store.insert_events(db, office.region, case.id, case.trace_id, [event])
        if step.effect_id:
            await watch.close_cancelled(db, office.region, step.effect_id)
    return True
