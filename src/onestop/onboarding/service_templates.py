"""Verbs of templates: write one, make an adapter from it, and propose the newest to all that were made from it."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from onestop.db import Connection
from onestop.errors import OnestopError
from onestop.onboarding import store, store_terms, templates
from onestop.onboarding.errors import MoveNotYours, ThingAbsent
from onestop.onboarding.models import Actor, ManifestText, Push, Version
from onestop.onboarding.service import Life

Name = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_-]{1,39}$")]


class NewTemplate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A manifest with `${parameters}`; a name that is there gets its next version."""

    name: Name
    body: ManifestText
    parameters: dict[str, str]  # name → text, name, code, version, integer, number or boolean


class NewInstance(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Values for a template's parameters."""

    values: dict[str, str | int | float | bool]


class TemplateView(msgspec.Struct, frozen=True, kw_only=True):
    """A template's newest version."""

    name: str
    version: int
    body: str
    parameters: dict[str, str]
    made_by: str
    made_at: datetime


class TemplateList(msgspec.Struct, frozen=True, kw_only=True):
    """Templates, in order of name."""

    data: list[TemplateView]
    next_cursor: str | None
    has_more: bool


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """A draft made for one instance, or why none was."""

    adapter: str
    version: str | None
    breaking: bool
    changes: int
    problem: str | None = None


class Upgraded(msgspec.Struct, frozen=True, kw_only=True):
    """A template's new version and the drafts proposed for everything made from it."""

    template: TemplateView
    proposals: list[Proposal]


async def write(life: Life, db: Connection, actor: Actor, new: NewTemplate) -> Upgraded:
    """Write a template's next version; every adapter made from it gets a draft to look at, none is changed.

    Raises:
        MoveNotYours: templates are the operator's and the governance office's.
        TemplateWrong: it does not name its parameters rightly.
    """
    if actor.role not in ("operator", "governance"):
        raise MoveNotYours(move="template", roles="governance, operator")
    templates.check(new.body, new.parameters)
    await store_terms.insert_template(db, new.name, new.body, new.parameters, actor.id)
    await life.record(db, actor, "template.written", new.name, {})
    row = await _template(db, new.name)
    made = await store.newest_of_template(db, new.name)
    return Upgraded(template=_view(row), proposals=[await _propose(life, db, actor, row, old) for old in made])


async def instantiate(
    life: Life, db: Connection, actor: Actor, name: str, new: NewInstance, *, owner: str | None = None
) -> Version:
    """Make an adapter's draft from a template's newest version; `owner` as for `Life.push`.

    Raises:
        ThingAbsent: there is no such template.
        ParameterWrong, TemplateWrong: the values do not fit.
        As `Life.push`.
    """
    row = await _template(db, name)
    return await life.push(
        db, actor, Push(manifest=templates.fill(row.body, row.parameters, new.values)),
        template=(name, row.version, dict(new.values)), owner=owner,
    )  # fmt: skip


async def listed(life: Life, *, after: str | None, limit: int) -> TemplateList:
    """Return the newest version of every template."""
    size = max(1, min(limit, 200))
    rows = await store_terms.templates(life.pool, after, size + 1)
    more = len(rows) > size
    views = [_view(row) for row in rows[:size]]
    return TemplateList(data=views, next_cursor=views[-1].name if more else None, has_more=more)


async def _propose(
    life: Life, db: Connection, actor: Actor, row: store_terms.TemplateRow, old: Version
) -> Proposal:  # fmt: skip
    """Make a draft of the template's new version for one instance, with its owner's values."""
    values: dict[str, Any] = await store.template_values(db, old.adapter, old.version)
    fits = {name: values[name] for name in row.parameters if name in values}
    number = _next(old.version)
    versions = {name: number for name, kind in row.parameters.items() if kind == "version"}
    operator = Actor(id=actor.id, role="operator")
    try:
        text = templates.fill(row.body, row.parameters, fits | versions)
        made = await life.push(
            db, operator, Push(manifest=text), template=(row.name, row.version, fits | versions)
        )  # fmt: skip
    except OnestopError as fault:  # its owner and the author are told; the others get theirs
        await life.notify(db, old.adapter, None, "template_not_proposed", template=row.name, reason=str(fault))
        return Proposal(adapter=old.adapter, version=None, breaking=False, changes=0, problem=fault.code)
    told = await life.diff(db, operator, old.adapter, made.version, old.version, "zh")
    await life.notify(db, old.adapter, made.version, "template_proposed", template=row.name, to=row.version)
    return Proposal(adapter=old.adapter, version=made.version, breaking=told.breaking, changes=len(told.changes))


def _next(number: str) -> str:
    """Return the version after one: its last part, one more."""
    head, _, last = number.rpartition(".")
    return f"{head}.{int(last) + 1}"


async def _template(db: Connection, name: str) -> store_terms.TemplateRow:
    row = await store_terms.template(db, name)
    if row is None:
        raise ThingAbsent(what=name)
    return row


def _view(row: store_terms.TemplateRow) -> TemplateView:
    return TemplateView(
        name=row.name, version=row.version, body=row.body, parameters=row.parameters, made_by=row.made_by,
        made_at=row.made_at,
    )  # fmt: skip
