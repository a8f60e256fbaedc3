"""Who did it, for whom, under which mandate and who gains: on every row, to the departments that are told, to both."""

import json

import msgspec
import pytest

from audit.test_canonical import leaf_of_act, leaf_of_use, rows_of
from onestop.gateway import manifest as manifests
from onestop.gateway.effect_rows import context
from onestop.gateway.operations import prepare
from onestop.gateway.representation import named_parties

from .conftest import CHILD, NUMBERS, manifest

pytestmark = pytest.mark.anyio
CHEN, BEN, WANG = NUMBERS["chen"][0], NUMBERS["ben"][0], NUMBERS["wang"][0]


def code(reply):
    return (reply.status_code, reply.json().get("code"))


async def ids(world, *who):
    return [(await world.get(one, "/v1/me")).json()["subject_id"] for one in who]


async def test_every_row_of_a_represented_case_carries_actor_subject_and_mandate(world, pool):
    mandate, token = await world.as_agent("wang", "ben")
    wang, ben = await ids(world, "wang", "ben")
    case = (await world.opens(token, submit=True)).json()["id"]
    for table, where in (("cases", "id"), ("effects", "case_id")):
        row = await pool.fetchrow(f"SELECT subject, actor, mandate, beneficiary FROM {table} WHERE {where} = $1", case)
        assert tuple(row) == (wang, ben, mandate, None), table
    events = await pool.fetch("SELECT by_whom, actor, mandate FROM case_events WHERE case_id = $1", case)
    assert {tuple(row) for row in events} == {("applicant", ben, mandate), ("onestop", None, None)}
    for rows in await rows_of(pool):
        found = [row for row in rows if row["object"] == case]
        assert {(row["subject"], row["actor"], row["mandate"]) for row in found} == {(wang, ben, mandate)}


async def test_leaves_hold_mandate_and_beneficiary_and_older_leaves_stay(world, pool):
    _, token = await world.as_agent("wang", "ben")
    await world.opens(token, submit=True)
    await world.opens("wang", submit=True)
    await world.post(token, "/v1/cases", {"item": "permit"})
    acts, uses = await rows_of(pool)
    assert {row["mandate"] is None for row in acts} == {True, False}
    assert [row["leaf"] for row in acts] == [leaf_of_act(row) for row in acts]
    assert [row["leaf"] for row in uses] == [leaf_of_use(row) for row in uses]


async def test_a_case_that_moves_from_hand_to_hand_names_each_and_shows_all_to_its_subject(world, pool):
    wang, ben = await ids(world, "wang", "ben")
    draft = (await world.opens("wang")).json()
    mandate, token = await world.as_agent("wang", "ben")
    path = f"/v1/cases/{draft['id']}"
    changed = await world.send(
        token, "PATCH", f"{path}/answers", {"answers": {"applicant": {"note": "改"}}}, **{"if-match": '"v1"'}
    )
    sent = await world.post(token, f"{path}/submission", {}, **{"if-match": changed.headers["etag"]})
    assert sent.status_code == 202, sent.text
    assert (await world.post("wang", f"{path}/withdrawal", {})).status_code == 200
    events = await pool.fetch(
        "SELECT type, actor, mandate FROM case_events WHERE case_id = $1 ORDER BY seq", draft["id"]
    )
    by = {row["type"].removeprefix("cn.onestop."): (row["actor"], row["mandate"]) for row in events}
    assert by["case.opened"] == (wang, None)
    assert by["case.submitted"] == (ben, mandate)
    assert by["case.withdrawn"] == (wang, None)
    shown = (await world.get("wang", path)).json()["timeline"]
    assert [one["mandate"] for one in shown if one["type"].endswith("case.submitted")] == [mandate]


async def test_both_parties_see_what_was_used_and_the_giver_sees_by_whom(world):
    mandate, token = await world.as_agent("wang", "ben", {"items": ["permit"], "departments": ["one"]})
    await world.post(token, "/v1/me/lookups", {"wants": ["one"]})
    [seen, *_] = (await world.get("wang", "/v1/me/data-use")).json()["data"]
    assert (seen["by"], seen["by_name"], seen["mandate"]) == ("representative", "周启明", mandate)
    path = f"/v1/me/mandates/{mandate}/data-use"
    for who in ("wang", "ben"):
        assert [one["id"] for one in (await world.get(who, path)).json()["data"]] == [seen["id"]]
    assert code(await world.get("chen", path)) == (404, "mandate.unknown")
    assert seen["id"] not in str((await world.get("ben", "/v1/me/data-use")).json())  # it is about her, not him
    one = (await world.get("wang", seen["links"]["self"])).json()
    assert one["by_name"] == "周启明"


async def effect_request(world, pool, case):
    """What the department will be sent for the case's effect."""
    row = await pool.fetchrow("SELECT id, payload FROM effects WHERE case_id = $1", case)
    told = msgspec.json.decode(world.sessions._keys.unseal(row["payload"], context(row["id"], "payload")))
    values = {"payload": told, "key": "k", **{name: told.get(name) for name in ("subject", "actor", "mandate")}}
    [known] = [manifests.parse(manifest("one"), "one")]
    return told, json.loads(prepare(known)["apply"].request(values)[3])


async def test_a_department_that_names_them_is_told_actor_and_mandate(world, pool):
    mandate, token = await world.as_agent("wang", "ben")
    told, sent = await effect_request(world, pool, (await world.opens(token, submit=True)).json()["id"])
    assert (sent["actor"], sent["mandate"]) == (BEN, "agent")
    assert told["subject"]["number"] == WANG
    assert told["mandate"]["id"] == mandate
    told, sent = await effect_request(world, pool, (await world.opens("wang", submit=True)).json()["id"])
    assert (sent["actor"], sent["mandate"]) == (WANG, None)


async def test_a_department_that_is_asked_is_told_who_asks_where_it_wants_to_know(world):
    _, token = await world.as_agent("wang", "ben", {"departments": ["two"]})
    await world.post(token, "/v1/me/lookups", {"wants": ["two"]})
    assert json.loads(world.served["two"].asked[-1][2]) == {"id_number": WANG, "actor": BEN}
    await world.post("wang", "/v1/me/lookups", {"wants": ["two"]})
    assert json.loads(world.served["two"].asked[-1][2]) == {"id_number": WANG, "actor": WANG}


def test_only_operations_that_name_them_are_told():
    apply, find = (
        next(one for one in manifests.parse(manifest("one"), "one").operations if one.id == name)
        for name in ("apply", "find")
    )
    assert named_parties(apply) == {"actor", "mandate"}
    assert named_parties(find) == frozenset()
    said = msgspec.structs.replace(find, request=manifests.Request(body={"a": "payload.actor.x", "b": "factor.y"}))
    assert named_parties(said) == frozenset()


async def test_a_parent_applies_for_themselves_and_the_child_gains(world, pool):
    world.police.says, world.market.says = {CHEN: [CHILD]}, {}
    told = (await world.post("chen", "/v1/me/mandates/checks")).json()["received"]
    guardian = next(one for one in told if one["kind"] == "guardian" and one["state"] == "live")["id"]
    opened = await world.opens("chen", submit=True, beneficiary=guardian)
    assert opened.status_code == 201, opened.text
    [chen] = await ids(world, "chen")
    case = opened.json()["id"]
    child = await pool.fetchval("SELECT principal FROM mandates WHERE id = $1", guardian)
    for table, where in (("cases", "id"), ("effects", "case_id"), ("audit_entries", "object"), ("data_uses", "object")):
        row = await pool.fetchrow(f"SELECT subject, actor, mandate, beneficiary FROM {table} WHERE {where} = $1", case)
        assert tuple(row) == (chen, chen, None, child), table
    # Nobody else's child, and nobody who only gave one a mandate.
    assert code(await world.opens("ben", beneficiary=guardian)) == (404, "mandate.unknown")
    agent = await world.given("wang", "ben")
    assert code(await world.opens("ben", beneficiary=agent)) == (404, "mandate.unknown")
