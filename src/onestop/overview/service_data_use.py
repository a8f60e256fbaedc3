"""Verbs: show a person who used their data, in their language."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from onestop.audit import service as audit
from onestop.audit.errors import DataUseUnknown
from onestop.audit.models import DataUse, Use
from onestop.basis.models import Release, Room
from onestop.basis.present import law_view
from onestop.cases.office import Office
from onestop.identity.models import Session
from onestop.mandates.service import Mandates
from onestop.overview.views_data_use import By, DataUseList, DataUseView, Department, Explanation, UseView, WhyRead
from onestop.texts import Language, has, text

_MOST = 100
_ONESTOP = "onestop"  # the actor of what nobody in particular does


async def own_uses(office: Office, subject: str, lang: Language, *, before: str | None, limit: int) -> DataUseList:
    """Return entries about a person, newest first, older than the entry `before`; at most a hundred."""
    size = max(1, min(limit, _MOST))
    found = await audit.own_data_uses(office.pool, office.region, subject, before=before, limit=size + 1)
    return await _listed(office, found, size, lang)


async def uses_under(
    office: Office, mandates: Mandates, session: Session, mandate_id: str, lang: Language, *, before: str | None,
    limit: int,
) -> DataUseList:  # fmt: skip
    """Return entries of what was done under a mandate, for either of its parties, newest first; at most a hundred.

    Raises:
        MandateUnknown: the session's subject neither gave nor was given it.
    """
    mandate = await mandates.own(session, mandate_id)
    size = max(1, min(limit, _MOST))
    found = await audit.uses_under(office.pool, office.region, mandate.id, before=before, limit=size + 1)
    return await _listed(office, found, size, lang)


async def _listed(office: Office, found: Sequence[DataUse], size: int, lang: Language) -> DataUseList:
    names = await representatives(office, found[:size])
    views = [use_view(office, one, lang, names) for one in found[:size]]
    more = len(found) > size
    return DataUseList(data=views, next_cursor=views[-1].id if more else None, has_more=more)


async def representatives(office: Office, entries: Sequence[DataUse]) -> dict[str, str]:
    """Return the names of those who acted under a mandate in these entries, by subject."""
    actors = dict.fromkeys(entry.actor for entry in entries if entry.mandate is not None)
    return {actor: (await office.people(actor)).name for actor in actors}


async def own_use(office: Office, subject: str, id_: str) -> DataUse:
    """Return one entry about a person.

    Raises:
        DataUseUnknown: there is none of that id, or it is about somebody else.
    """
    found = await audit.own_data_use(office.pool, office.region, subject, id_)
    if found is None:
        raise DataUseUnknown(id_)
    return found


def explain(office: Office, entry: DataUse, lang: Language) -> Explanation:
    """Return by which rule, of which source and confidence, each department's data in an entry was read or given."""
    return Explanation(entry=entry.id, why=[_why(office, entry, use, lang) for use in entry.uses])


def _why(office: Office, entry: DataUse, use: Use, lang: Language) -> WhyRead:
    release = Release(room=_room(entry), adapter=use.adapter, operation=use.operation, consumer=entry.actor)
    purpose = office.basis.purposes.of(release)
    return WhyRead(
        use=one_use(office, use, lang),
        purpose=purpose.code if purpose else None,
        title=purpose.title.say(lang) if purpose else None,
        kind=purpose.kind if purpose else None,
        law=law_view(purpose.law, lang) if purpose else None,
    )


def _room(entry: DataUse) -> Room:
    """Return which room released what an entry tells of, by what it was for."""
    if entry.actor.startswith("department:"):
        return "exchange"
    return "cases" if entry.object is not None else "lookups"


def use_view(
    office: Office, entry: DataUse, lang: Language, names: Mapping[str, str] = MappingProxyType({})
) -> DataUseView:
    """Return an entry as its person sees it."""
    here = f"/v1/me/data-use/{entry.id}"
    return DataUseView(
        id=entry.id,
        at=entry.at,
        by=_by(entry),
        by_name=names.get(entry.actor),
        mandate=entry.mandate,
        beneficiary=entry.beneficiary,
        case=entry.object,
        trace_id=entry.trace_id,
        uses=[one_use(office, use, lang) for use in entry.uses],
        links={name: f"{here}/{name}" for name in ("proof", "challenge", "explanation")} | {"self": here},
    )


def _by(entry: DataUse) -> By:
    if entry.actor == entry.subject:
        return "you"
    if entry.mandate is not None:
        return "representative"
    if entry.actor == _ONESTOP:
        return "onestop"
    return "office"


def one_use(office: Office, use: Use, lang: Language) -> UseView:
    """Return what one department was asked for or given, in words."""
    purpose, basis = use.purpose, use.basis
    terms = office.gateway.uses.terms(use) or office.licences.terms(use)
    # What was recorded stands in Chinese; other words are only shown where they translate exactly that.
    if terms is not None and lang == "en":
        purpose = terms[0].en if terms[0].zh == purpose else purpose
        basis = terms[1].en if terms[1].zh == basis else basis
    name = office.directory.name(use.adapter, lang)
    said = f"data_use.outcome.{use.outcome}"
    return UseView(
        department=Department(use.adapter, name),
        operation=use.operation,
        outcome=use.outcome,
        says=text(said if has(said) else "data_use.outcome.other", lang, department=name),
        purpose=purpose,
        basis=basis,
        fields=list(use.fields),
        effect=use.effect,
    )
