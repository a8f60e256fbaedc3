"""Moves of a version: checked by the rules, written into its history, told to its owner, followed by every gateway."""

from collections.abc import Sequence
from typing import Any

from onestop import clock
from onestop.db import Connection, Db
from onestop.errors import FieldError
from onestop.gateway.line import Line
from onestop.gateway.manifest import BadManifest
from onestop.gateway.places import environment_of, place_of
from onestop.gateway.registry import trial_index
from onestop.ids import new_id
from onestop.onboarding import rules, rules_proof, store, store_terms
from onestop.onboarding.errors import ChecklistOpen, MoveNotNow, NothingToReturnTo, SignatureWrong
from onestop.onboarding.models import Actor, Adapter, Move, Moving, Submitting, Version, VersionState
from onestop.onboarding.service import Life, lint, makers_of, read_again
from onestop.outbound.addresses import AllowList

_SERVING: frozenset[VersionState] = frozenset({"trial", "live", "deprecated", "quarantined"})


async def move(
    life: Life,
    db: Connection,
    actor: Actor,
    adapter_id: str,
    number: str,
    name: Move,
    moving: Moving,
    *,
    numbers: Sequence[str] = (),
) -> Version:
    """Make one move; `numbers` are those of the people a trial serves.

    Raises:
        AdapterAbsent, VersionAbsent: there is none.
        MoveNotYours, MoveNotNow, SecondPersonNeeded, ReasonMissing: as `rules.check_move`.
        ChecklistOpen: something the move needs is missing; each is named.
        NothingToReturnTo: there is no version to return to.
    """
    known = await life.hold(db, actor, adapter_id)
    _, found = await life.version(db, actor, adapter_id, number)
    history = await store.moves(db, adapter_id, number)
    rules.check_move(
        actor, known.owner, name, found, makers_of([(made.move, made.by_whom) for made in history]), moving.why
    )
    await _check(life, db, actor, found, name, moving)
    if name == "trial":
        await _no_other_trial(db, found)
    if name in ("publish", "release"):
        await _step_down(life, db, actor, known, found)
    target = await _target(life, db, found) if name == "return" else None
    end = rules.end_of(name, found.state)
    stated = rules_proof.stated(moving.no_test_system) if isinstance(moving, Submitting) else None
    subjects = [trial_index(life.keys, person) for person in numbers] if name == "trial" else None
    await _moved(
        life, db, actor, found, name, end, moving.why or stated or "", no_test_system=stated,
        approved_by=actor.id if name == "approve" else None, subjects=subjects,
    )  # fmt: skip
    if target is not None:  # after the other has left: only one is live at any time
        await _moved(life, db, actor, target, "returned", "live", moving.why)
    moved = await store.version(db, adapter_id, number)
    assert moved is not None  # held since it was read
    return moved


async def _moved(
    life: Life,
    db: Connection,
    actor: Actor,
    of: Version,
    name: str,
    end: VersionState,
    why: str,
    *,
    no_test_system: str | None = None,
    **also: Any,
) -> None:
    """Write one move, its line of history, its audit entry and its notice."""
    if end != of.state and not await store.set_state(db, of, end, no_test_system=no_test_system, **also):
        raise MoveNotNow(move=name, state=of.state, can="-")
    row = (new_id("mov"), of.adapter, of.version, name, of.state, end, of.digest, actor.id, actor.role, why)
    await store.insert_move(db, *row)
    detail = {"to": end, "why": why} | ({"no_test_system": no_test_system} if no_test_system else {})
    await life.record(db, actor, f"adapter.{name}", f"{of.adapter}@{of.version}", detail)
    await life.notify(db, of.adapter, of.version, name, by=actor.id, why=why or "-")
    if of.state in _SERVING or end in _SERVING:
        await store.changed(db)


async def _step_down(life: Life, db: Connection, actor: Actor, known: Adapter, new: Version) -> None:
    """Put the live version, where there is one, behind the one that takes its place."""
    for live in await store.in_state(db, known.id, "live"):
        await _moved(life, db, actor, live, "superseded", "deprecated", new.version)


async def _target(life: Life, db: Connection, leaving: Version) -> Version | None:
    """Return the version that comes back; None: the file that stands behind what is live."""
    found = rules.previous(await store.in_state(db, leaving.adapter, "deprecated"), clock.real_now())
    # A file does not take the place of what is held back.
    if found is None and (leaving.state != "live" or leaving.adapter not in life.files):
        raise NothingToReturnTo(adapter=leaving.adapter)
    return found


async def _no_other_trial(db: Connection, found: Version) -> None:
    for other in await store.in_state(db, found.adapter, "trial"):
        raise MoveNotNow(move="trial", state=f"{found.state}; {other.version}: trial", can=f"retire {other.version}")


# ---- what a move needs


async def _check(life: Life, db: Db, actor: Actor, found: Version, name: Move, moving: Moving) -> None:
    missing: list[FieldError] = []
    if name == "approve":
        missing += await _approval(life, db, actor, found, moving)
    if name in ("submit", "approve", "trial", "publish"):
        missing += await _signed(life, db, found)
    if name in ("trial", "publish"):
        missing += _linted(found)
        missing += await _place(life, db, found)
        missing += await _certificates(life, db, found)
    if missing:
        raise ChecklistOpen(errors=missing, count=len(missing), move=name)


def _open(check: str, **params: str) -> FieldError:
    return FieldError(pointer=f"/checks/{check}", code=f"adapter.{check}", params=params)


async def _approval(life: Life, db: Db, actor: Actor, found: Version, moving: Moving) -> list[FieldError]:
    missing = _linted(found)
    proof = await life.proof(db, found)
    if not rules_proof.enough(proof):
        missing.append(_unproved(proof))
    seen = await life.diff(db, actor, found.adapter, found.version, None, "zh")
    if moving.diff_digest != seen.digest:
        missing.append(_open("diff_seen"))
    return missing


def _linted(found: Version) -> list[FieldError]:
    """Name the first error of the linter: of a rule that came after the version was handed in, too."""
    return [_open("lint", sentence=one.sentence) for one in lint(found.manifest, found.adapter)][:1]


def _unproved(proof: rules_proof.Proof) -> FieldError:
    """Say which of the ways in which a version is not proved this is."""
    days = str(rules_proof.RUN_HOLDS.days)
    return FieldError(pointer="/checks/conformance", code=f"adapter.conformance_{proof}", params={"days": days})


async def _signed(life: Life, db: Db, found: Version) -> list[FieldError]:
    known = await store.adapter(db, found.adapter)
    try:
        await life.check_signature(db, known.owner if known else found.adapter, found.manifest, found.signature)
    except SignatureWrong as fault:
        return [_open("signature", reason=str(fault.params.get("reason", "")))]
    return []


async def _place(life: Life, db: Db, found: Version) -> list[FieldError]:
    """Try to load the version here, as every gateway will: a place, and the secrets it needs."""
    manifest = read_again(found.manifest)
    if manifest.desk:
        return []
    settings = life.settings
    where = await place_of(life.pool, life.keys, settings, found.adapter, environment_of(settings))
    if where is None:
        return [_open("place", sentence=environment_of(settings))]
    try:
        line = Line(manifest, where, AllowList(settings.outbound_allow))
    except BadManifest as fault:
        return [_open("place", sentence=str(fault))]
    except Exception as fault:
        # A secret may be anything; its words are not shown, for they may hold a part of it.
        return [_open("place", sentence=type(fault).__name__)]
    await line.close()
    return []


async def _certificates(life: Life, db: Db, found: Version) -> list[FieldError]:
    """Name what is over and has no successor."""
    now = clock.real_now()
    rows = [s for s in await store_terms.secrets(db, found.adapter) if s.environment == environment_of(life.settings)]
    good = {row.name for row in rows if row.not_after is None or row.not_after > now}
    over = sorted({row.name for row in rows} - good)
    return [_open("certificates", name=name) for name in over]
