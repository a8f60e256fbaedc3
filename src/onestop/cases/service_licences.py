"""Cases and licences: what a department decided issues them; a use code is bound to a case of its holder."""

from collections.abc import Sequence

from onestop.cases import rules_form, sealing, store
from onestop.cases.models import Case, Step
from onestop.certificates.licences import Licences, Matters
from onestop.certificates.service_intake import issue_decided
from onestop.certificates.service_types import Types
from onestop.crypto import Keys
from onestop.db import Connection, Pool
from onestop.items.errors import BadItem, ItemUnknown
from onestop.items.service import Catalogue


def check_items(catalogue: Catalogue, types: Types) -> None:
    """Check that the licences items ask for are in the catalogue of types, with the purposes they ask for them.

    Raises:
        BadItem: an item asks for a licence of a type or for a purpose that is not there.
    """
    for ready in catalogue.items.values():
        for field in ready.licences:
            known = types.ready.get(field.licence or "")
            if known is None or field.purpose not in known.purposes:
                raise BadItem(f"{ready.spec.code}: no licence {field.licence} for the purpose {field.purpose}")


def matters(pool: Pool, region: str, catalogue: Catalogue) -> Matters:
    """Return what tells whether a use code may be bound to a case.

    It must be a case of the holder's own, of that item, and the department must have a part in the item.
    """

    async def is_matter(subject: str, item: str, case_id: str, taker: str) -> bool:
        try:
            spec = catalogue.get(item).spec
        except ItemUnknown:
            return False
        if taker not in {spec.lead, *(part.adapter for part in spec.components)}:
            return False
        case = await store.own_case(pool, region, case_id, subject)
        return case is not None and case.item == item

    return is_matter


async def issue_licences(
    licences: Licences, keys: Keys, db: Connection, case: Case, steps: Sequence[Step], completed: str
) -> list[str]:
    """Issue what the step that was just completed makes, in the deciding transaction; return the identifiers."""
    types = licences.types.decided_by(case.item, completed)
    if not types:
        return []
    form = sealing.open_form(keys, case)
    values = {
        "answers": rules_form.values(form.answers),
        "results": sealing.open_results(keys, case.id, list(steps)),
        "applicant": {"number": form.number, "name": form.name},
        "case": {"number": case.number, "item": case.item},
    }
    return await issue_decided(
        licences, db, types, values=values, subject=case.subject, case_id=case.id, trace_id=case.trace_id
    )  # fmt: skip
