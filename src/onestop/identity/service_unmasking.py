"""Who may be shown a whole number is a room's to say; this writes it down first, and counts."""

from datetime import datetime
from typing import Final, Literal

from onestop.audit import service as audit
from onestop.audit.models import Use
from onestop.db import Connection
from onestop.identity import store_unmasking as store
from onestop.identity.errors import TooManyUnmaskings
from onestop.identity.models import Session
from onestop.ids import new_id
from onestop.texts import text

UnmaskReason = Literal["identify", "compare", "correct", "complaint"]

MOST_AN_HOUR: Final = 20


async def record(
    db: Connection,
    region: str,
    session: Session,
    *,
    subject: str,
    object: str,
    reason: UnmaskReason,
    trace_id: str,
) -> tuple[datetime, int]:
    """Write into the audit and the person's data uses that a number is about to be shown; commit before it is.

    Return when, and how many more the one who asks may see in this hour.

    Rule: R-114, twenty an hour for one person, whatever instance is asked.

    Raises:
        TooManyUnmaskings: the hour's are used up; nothing is written.
    """
    await store.lock_actor(db, region, session.actor_id)
    spent = await store.recent(db, region, session.actor_id)
    if spent.count >= MOST_AN_HOUR:
        raise TooManyUnmaskings(retry_after_s=spent.next_in_s, most=str(MOST_AN_HOUR))
    id_ = new_id("unm")
    at = await store.insert(
        db, region, id_, session.actor_id, session.role, session.department, subject, object, reason
    )
    await audit.record(
        db,
        region,
        actor=session.actor_id,
        subject=subject,
        action="subject.unmasked",
        object=object,
        trace_id=trace_id,
        detail={"reason": reason, "unmasking": id_, "department": session.department},
        uses=[_shown_to(session.department, reason)],
    )
    return at, MOST_AN_HOUR - spent.count - 1


def _shown_to(department: str | None, reason: UnmaskReason) -> str:
    """Return what is shown as an entry of the ledger of data uses; the house of who sees it answers for it."""
    return audit.use_entry(
        Use(
            adapter=department or "onestop",
            basis=text("audit.desk_basis", "zh"),
            fields=("subject.number",),
            operation="unmask",
            outcome="unmasked",
            purpose=text(f"identity.unmask.{reason}", "zh"),
            version="",
        )
    )
