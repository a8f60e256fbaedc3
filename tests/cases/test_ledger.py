"""Every effect, and every look of a person at a desk, has its entry in the ledger, written with it."""

import msgspec
import pytest

from audit.test_canonical import leaf_of_act, leaf_of_use, rows_of
from onestop.cases import service
from onestop.gateway.models import Settled

from .conftest import LIN, effects_of, tell

pytestmark = pytest.mark.anyio

BOTH_WAYS = """
    SELECT coalesce(e.id, u.effect) AS id
      FROM effects e
      FULL JOIN (SELECT one ->> 'effect' AS effect FROM data_uses, jsonb_array_elements(content::jsonb) AS one
                  WHERE one ->> 'outcome' = 'given') u ON u.effect = e.id
     WHERE e.id IS NULL OR u.effect IS NULL
"""


async def uses_of(pool, case_id):
    uses = "SELECT actor, content::jsonb AS uses FROM data_uses WHERE object = $1 ORDER BY id"
    rows = await pool.fetch(uses, case_id)
    return [(row["actor"], use) for row in rows for use in row["uses"]]


async def test_what_a_submission_gives_is_in_the_ledger_with_its_purpose_basis_and_fields(lin, pool):
    case_id = await lin.submitted()
    given = [(actor, use) for actor, use in await uses_of(pool, case_id) if use["outcome"] == "given"]
    effects = await effects_of(lin.office, case_id)
    assert {use["effect"] for _, use in given} == {effect.id for effect in effects.values()}
    assert {actor for actor, _ in given} == {lin.session.actor_id}
    assert all(use["purpose"] and use["basis"] and "subject.number" in use["fields"] for _, use in given)


async def test_reading_says_which_fields(lin, pool):
    case = await lin.open()
    household = next(use for _, use in await uses_of(pool, case["id"]) if use["adapter"] == "gongan")
    assert {"address", "name"} <= set(household["fields"])


async def test_effects_and_entries_agree_both_ways_whatever_led_to_them(lin, pool, office):
    case_id = await lin.submitted()
    await tell(office, case_id, "issue_birth_certificate", "completed")
    withdrawn = await lin.submitted()
    keyed = lin.keyed(f"/v1/cases/{withdrawn}/withdrawal")
    await service.withdraw(office, lin.session, lin.context(), keyed, withdrawn)
    await lin.open(item="quick", submit=True, answers={"person": {"phone": "15400000001"}})
    later = [actor for actor, use in await uses_of(pool, case_id) if use["outcome"] == "given"]
    assert "onestop" in later  # what an outcome led to
    assert await pool.fetchval("SELECT count(*) FROM effects") > 3
    assert [row["id"] for row in await pool.fetch(BOTH_WAYS)] == []
    await pool.execute("UPDATE data_uses SET content = '[]' WHERE object = $1", case_id)
    assert await pool.fetch(BOTH_WAYS) != []  # the comparison can find something
    await pool.execute("DELETE FROM data_uses WHERE object = $1", case_id)


async def settled_of(pool, case_id):
    return [
        use for _, use in await uses_of(pool, case_id) if use["outcome"] in ("done", "refused", "unknown", "resolved")
    ]


@pytest.mark.parametrize(
    ("outcome", "word", "told", "fields"),
    [
        (
            "completed",
            "done",
            {"reference": "B-1", "result": {"certificate_number": "x"}},
            ["certificate_number", "reference"],
        ),
        ("declined", "refused", {"reason": "秘密的理由"}, ["reason"]),
        ("desk", "unknown", {"problem": "upstream.no_answer"}, []),
    ],
)
async def test_what_a_department_told_is_in_the_ledger_with_its_fields(lin, office, pool, outcome, word, told, fields):
    case_id = await lin.submitted()
    effect = (await effects_of(office, case_id))["issue_birth_certificate"]
    async with office.pool.acquire() as db, db.transaction():
        await service.record_outcome(office, db, effect, Settled(outcome=outcome, **told))
    (use,) = await settled_of(pool, case_id)
    assert (use["outcome"], use["effect"], use.get("fields", [])) == (word, effect.id, fields)
    assert use["purpose"]
    assert use["basis"]
    assert not ({"x", "B-1", "秘密的理由"} & set(str(use).split("'")))


async def test_what_was_unknown_is_resolved_and_news_on_the_way_and_repetitions_have_no_entry(lin, office, pool):
    case_id = await lin.submitted()
    effect = (await effects_of(office, case_id))["issue_birth_certificate"]
    unknown = msgspec.structs.replace(effect, state="desk", outcome="desk")
    async with office.pool.acquire() as db, db.transaction():
        for before, outcome in ((effect, "pending"), (effect, "desk"), (unknown, "desk"), (unknown, "completed")):
            await service.record_outcome(office, db, before, Settled(outcome=outcome))
    assert [use["outcome"] for use in await settled_of(pool, case_id)] == ["unknown", "resolved"]


async def test_what_was_told_is_gone_where_the_settling_is(lin, office, pool):
    case_id = await lin.submitted()
    effect = (await effects_of(office, case_id))["issue_birth_certificate"]
    async with office.pool.acquire() as db:
        undo = db.transaction()
        await undo.start()
        await service.record_outcome(office, db, effect, Settled(outcome="completed"))
        await undo.rollback()
    assert await settled_of(pool, case_id) == []


async def test_an_intention_that_is_there_already_has_no_second_entry(lin, office):
    from onestop.gateway import effects
    from onestop.gateway.models import NewEffect

    one = NewEffect(
        id="eff_a", case_id="case_a", step="s", adapter="gongan", operation="register_birth", key="k", payload={}
    )
    async with office.pool.acquire() as db, db.transaction():
        assert len(await effects.intend(db, office.keys, office.gateway, office.region, [one])) == 1
        again = msgspec.structs.replace(one, id="eff_b")
        assert await effects.intend(db, office.keys, office.gateway, office.region, [again]) == []
        await db.execute("DELETE FROM effects WHERE id = 'eff_a'")


async def test_a_desks_look_is_a_use_of_the_applicants_data(lin, clerk, pool):
    case_id = await lin.submitted()
    tasks = (await service.tasks(clerk.office, clerk.session, "zh", after=None, limit=200)).data
    number = await pool.fetchval("SELECT number FROM cases WHERE id = $1", case_id)
    task = next(one for one in tasks if one.case_number == number)
    await service.task(clerk.office, clerk.session, clerk.context(), task.id)
    actor, use = (await uses_of(pool, case_id))[-1]
    assert (actor, use["operation"], use["adapter"]) == (clerk.session.actor_id, "task.read", "zwfw")
    assert use["fields"]
    assert use["purpose"]


async def test_every_row_carries_the_leaf_of_what_it_says_and_nothing_personal(lin, pool):
    await lin.open(item="quick", submit=True, answers={"person": {"phone": "15400000001"}})
    acts, uses = await rows_of(pool)
    assert acts
    assert uses
    assert [row["leaf"] for row in acts] == [leaf_of_act(row) for row in acts]
    assert [row["leaf"] for row in uses] == [leaf_of_use(row) for row in uses]
    assert LIN not in str([row["content"] for row in uses])
