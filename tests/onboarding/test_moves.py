import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import ECKey, OKPKey

from onestop.errors import OnestopError
from onestop.gateway.manifest import BadManifest
from onestop.onboarding import rules, service_secrets, store
from onestop.onboarding.errors import (
    AdapterAbsent,
    ChecklistOpen,
    DepartmentDiffers,
    MoveNotNow,
    MoveNotYours,
    NothingToReturnTo,
    ReasonMissing,
    SecondPersonNeeded,
    SignatureWrong,
    VersionFixed,
    VersionTaken,
)
from onestop.onboarding.models import Actor, Push
from onestop.onboarding.service import Life
from tests.onboarding.conftest import CODES, OFFICE, ONE, OPERATOR, TWO, manifest

pytestmark = pytest.mark.anyio
HERE = "http://127.0.0.1:9"


async def state(room, of):
    return (await store.version(room.pool, of.adapter, of.version)).state


def missing(refusal):
    return [error.pointer.removeprefix("/checks/") for error in refusal.value.errors]


# ---- refusals


async def test_who_made_or_submitted_a_version_does_not_approve_it(room):
    made = await room.push(OPERATOR)
    await room.move(OPERATOR, made, "submit")
    await room.green(made)
    with pytest.raises(SecondPersonNeeded):
        await room.move(OPERATOR, made, "approve", diff_digest=await room.diff_digest(made))
    other = Actor(id="second", role="operator")
    assert (await room.move(other, made, "approve", diff_digest=await room.diff_digest(made))).approved_by == "second"


async def test_who_submitted_another_s_draft_does_not_approve_it_either(room):
    made = await room.push(ONE)
    await room.move(OPERATOR, made, "submit")
    await room.green(made)
    with pytest.raises(SecondPersonNeeded):
        await room.move(OPERATOR, made, "approve", diff_digest=await room.diff_digest(made))


async def test_to_another_department_an_adapter_is_absent_whatever_it_asks(room):
    made = await room.push(ONE)
    for work in (
        room.life.view(room.pool, TWO, "one", made.version, "en"),
        room.life.versions(TWO, "one"),
        room.life.notices(TWO, "one", "en"),
        room.move(TWO, made, "submit"),
        room.push(TWO, manifest("one", "1.1.0")),
        service_secrets.listed(room.life, TWO, "one"),
    ):
        with pytest.raises(AdapterAbsent):
            await work


async def test_a_department_does_not_take_another_s_code_or_change_its_own(room):
    await room.push(ONE)
    with pytest.raises(DepartmentDiffers):
        await room.push(TWO, manifest("three"))  # the code of department one
    with pytest.raises(DepartmentDiffers):
        await room.push(ONE, manifest("one", "1.1.0").replace(CODES["one"].decode(), CODES["two"].decode()))


async def test_an_owner_does_not_approve_and_a_machine_does_nothing_that_needs_a_person(room):
    made = await room.push(ONE)
    await room.move(ONE, made, "submit")
    with pytest.raises(MoveNotYours):
        await room.move(ONE, made, "approve")
    machine = msgspec.structs.replace(ONE, id="mk_1", machine=True)
    approved = await room.approved(version="1.1.0")
    with pytest.raises(MoveNotYours):
        await room.move(machine, approved, "trial")


async def test_states_are_not_skipped(room):
    await room.push(ONE)
    for name in ("approve", "trial", "publish", "quarantine", "release", "return"):
        actor = OFFICE if name in ("approve", "release") else ONE
        with pytest.raises(MoveNotNow) as refusal:
            await room.move(actor, ("one", "1.0.0"), name, why="because")
        assert refusal.value.params["state"] == "draft"
        assert "submit" in refusal.value.params["can"]


async def test_approval_names_everything_that_is_missing(room):
    made = await room.push(ONE)
    await room.move(ONE, made, "submit")
    with pytest.raises(ChecklistOpen) as refusal:
        await room.move(OFFICE, made, "approve")
    assert missing(refusal) == ["conformance", "diff_seen"]
    assert await state(room, made) == "testing"


async def test_a_run_over_other_bytes_and_a_difference_that_was_not_shown_do_not_count(room):
    made = await room.push(ONE)
    await room.green(made)
    shown = await room.diff_digest(made)
    push = Push(manifest=manifest().replace("total_s = 2.0", "total_s = 1.0"))
    await room.life.commit(lambda db: room.life.replace(db, ONE, "one", "1.0.0", push))
    await room.move(ONE, made, "submit")
    with pytest.raises(ChecklistOpen) as refusal:
        await room.move(OFFICE, made, "approve", diff_digest=shown)
    assert missing(refusal) == ["conformance", "diff_seen"]


async def test_the_difference_shown_is_stale_once_another_version_is_live(room):
    await room.push(ONE)
    await room.place("one", HERE)
    second = await room.push(ONE, version="2.0.0")
    await room.move(ONE, second, "submit")
    await room.green(second)
    shown = await room.diff_digest(second)
    await room.live(version="1.5.0")
    with pytest.raises(ChecklistOpen) as refusal:
        await room.move(OFFICE, second, "approve", diff_digest=shown)
    assert missing(refusal) == ["diff_seen"]


async def test_a_version_is_fixed_once_it_left_draft_and_its_number_is_taken(room):
    made = await room.push(ONE)
    with pytest.raises(VersionTaken):
        await room.push(ONE)
    await room.move(ONE, made, "submit")
    with pytest.raises(VersionFixed):
        await room.life.commit(lambda db: room.life.replace(db, ONE, "one", "1.0.0", Push(manifest=manifest())))


async def test_what_cannot_be_read_is_not_kept(room):
    with pytest.raises(BadManifest):
        await room.push(ONE, "manifest = 1")
    with pytest.raises(AdapterAbsent):
        await room.life.find(room.pool, ONE, "one")


async def test_a_rejection_needs_a_reason_is_told_and_is_mended_in_place(room):
    made = await room.push(ONE)
    await room.move(ONE, made, "submit")
    with pytest.raises(ReasonMissing):
        await room.move(OFFICE, made, "reject")
    await room.move(OFFICE, made, "reject", why="the basis is missing")
    told = await room.life.notices(ONE, "one", "en")
    assert "the basis is missing" in told.data[0].sentence
    assert "submit it again" in told.data[0].sentence
    push = Push(manifest=manifest().replace('en = "Test"', 'en = "Act"'))
    await room.life.commit(lambda db: room.life.replace(db, ONE, "one", "1.0.0", push))
    assert (await room.move(ONE, made, "submit")).state == "testing"


async def test_without_a_place_nothing_goes_on_trial(room):
    made = await room.approved()
    with pytest.raises(ChecklistOpen) as refusal:
        await room.move(ONE, made, "trial")
    assert missing(refusal) == ["place"]


async def test_there_is_nothing_to_return_to_from_a_first_version(room):
    await room.push(ONE, version="0.1.0")
    await room.place("one", HERE)
    live = await room.live()
    with pytest.raises(NothingToReturnTo):
        await room.move(ONE, live, "return", why="it fails")
    assert await state(room, live) == "live"


async def test_in_production_only_a_registered_key_signs(room, told):
    life = Life(room.pool, room.life.keys, msgspec.structs.replace(told, profile="production"), {}, lambda _: None)
    key, stranger = ECKey.generate_key("P-256"), OKPKey.generate_key("Ed25519")
    text = manifest()
    made = await life.commit(lambda db: life.push(db, ONE, Push(manifest=text)))
    strict = type(room)(life)
    with pytest.raises(ChecklistOpen) as refusal:
        await strict.move(ONE, made, "submit")
    assert missing(refusal) == ["signature"]
    private = service_secrets.NewSigningKey(kid="k1", jwk=key.as_dict(private=True))
    with pytest.raises(SignatureWrong):  # a private key is nobody's to have
        await life.commit(lambda db: service_secrets.add_signing_key(life, db, ONE, "one", private))
    new = service_secrets.NewSigningKey(kid="k1", jwk=key.as_dict(private=False))
    await life.commit(lambda db: service_secrets.add_signing_key(life, db, ONE, "one", new))

    def signed(by, alg, data):
        head, _, tail = jws.serialize_compact({"alg": alg}, data.encode(), by, algorithms=[alg]).split(".")
        return f"{head}..{tail}"

    for wrong in (
        signed(stranger, "Ed25519", text),
        signed(key, "ES256", text + "\n"),
        "a..b",
        "W10..YQ",
        "é..x",
        "nonsense",
    ):
        push = Push(manifest=text, signature=wrong)
        with pytest.raises(SignatureWrong):
            await life.commit(lambda db, push=push: life.replace(db, ONE, "one", "1.0.0", push))
    good = Push(manifest=text, signature=signed(key, "ES256", text))
    await life.commit(lambda db: life.replace(db, ONE, "one", "1.0.0", good))
    assert (await strict.move(ONE, made, "submit")).state == "testing"


# ---- the way


async def test_the_way_to_live_and_back_is_told_to_the_owner_step_by_step(room):
    await room.push(ONE, version="0.1.0")
    await room.place("one", HERE)
    first = await room.live(version="1.0.0")
    second = await room.live(version="1.1.0")
    assert (await state(room, first), await state(room, second)) == ("deprecated", "live")
    await room.move(ONE, second, "return", why="answers are wrong")
    assert (await state(room, first), await state(room, second)) == ("live", "deprecated")
    await room.move(OPERATOR, first, "quarantine", why="leaks")
    assert await state(room, first) == "quarantined"
    await room.move(OFFICE, first, "release", why="mended")
    kinds = [notice.kind for notice in (await room.life.notices(ONE, "one", "en", limit=200)).data]
    for kind in ("submit", "approve", "trial", "publish", "superseded", "return", "returned", "quarantine", "release"):
        assert kind in kinds
    view = await room.life.view(room.pool, ONE, "one", "1.1.0", "en")
    assert [made.move for made in view.history] == [
        "push", "submit", "approve", "trial", "publish", "return"
    ]  # fmt: skip


async def test_from_quarantine_the_version_before_comes_back(room):
    await room.push(ONE, version="0.1.0")
    await room.place("one", HERE)
    first = await room.live(version="1.0.0")
    second = await room.live(version="1.1.0")
    await room.move(OPERATOR, second, "quarantine", why="leaks")
    await room.move(OPERATOR, second, "return", why="leaks")
    assert (await state(room, first), await state(room, second)) == ("live", "quarantined")


# ---- in general


STEPS = st.lists(st.tuples(st.sampled_from(sorted(rules.MOVES)), st.integers(0, 2)), min_size=4, max_size=14)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
async def test_whatever_is_tried_one_version_is_live_and_every_state_leads_on(room, steps):
    await room.pool.execute("TRUNCATE adapters, adapter_versions, adapter_moves")
    made = [await room.push(ONE, version=f"1.{n}.0") for n in range(3)]
    await room.place("one", HERE)
    for version in made:
        await room.green(version)
    for name, n in steps:
        for actor in (ONE, OFFICE, OPERATOR):
            try:
                digest = await room.diff_digest(made[n])
                await room.move(actor, made[n], name, why="so", diff_digest=digest)
            except OnestopError:
                continue
            break
        versions = await store.versions(room.pool, "one")
        assert sum(version.state == "live" for version in versions) <= 1
        for version in versions:
            out = {m for who in (ONE, OFFICE, OPERATOR) for m in rules.open_moves(who, "one", version)}
            assert out or version.state in rules.FINAL
            if version.state in rules.FINAL:
                told = (await room.life.notices(ONE, "one", "en", limit=200)).data
                assert any(notice.kind == "retire" and notice.version == version.version for notice in told)


async def test_the_database_itself_lets_only_one_be_live(room):
    import asyncpg

    for number in ("1.0.0", "1.1.0"):
        await room.push(ONE, version=number)
    with pytest.raises(asyncpg.UniqueViolationError):
        await room.pool.execute("UPDATE adapter_versions SET state = 'live'")


def test_every_state_but_the_last_has_a_move_out():
    starts = set().union(*(rule.start for rule in rules.MOVES.values()))
    ends = {rule.end for rule in rules.MOVES.values()}
    assert ends - starts == rules.FINAL
