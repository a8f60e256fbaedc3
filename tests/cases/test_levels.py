"""What an item and a department ask of the sign-in: a draft is open to anybody, sending it is not."""

from http import HTTPStatus

import msgspec
import pytest

from onestop.cases.errors import CaseUnknown
from onestop.errors import StepUpRequired
from onestop.gateway.models import Ask
from onestop.http import problems

from .conftest import FILL, Citizen

pytestmark = pytest.mark.anyio


def at(citizen: Citizen, level: int) -> Citizen:
    """The same person, signed in less or more surely."""
    return Citizen(citizen.office, msgspec.structs.replace(citizen.session, level=level))


def asking(office, adapter: str, operation: str, level: int) -> None:
    """Let one operation of a department ask for a level."""
    shown = office.gateway.manifests[adapter]
    changed = [
        msgspec.structs.replace(spec, min_level=level) if spec.id == operation else spec for spec in shown.operations
    ]
    office.gateway.manifests[adapter] = msgspec.structs.replace(shown, operations=tuple(changed))


async def test_a_draft_is_kept_and_filled_at_any_level_and_sent_at_the_items(lin, pool):
    low = at(lin, 1)
    case = await low.open()
    changed = await low.change(case, FILL)
    counted = "SELECT count(*) FROM effects WHERE case_id = $1"
    with pytest.raises(StepUpRequired) as refused:
        await low.submit(case["id"], changed.version, key="one-key")
    assert (refused.value.level, refused.value.back) == (2, f"/cases/{case['id']}/check")
    kept = await low.case(case["id"])
    assert (kept.state, kept.version, kept.answers["baby"]["name"].value) == ("draft", changed.version, "周沐禾")
    assert await pool.fetchval(counted, case["id"]) == 0
    # The very request goes through, with its key, once the person has signed in more surely.
    reply = await at(lin, 2).submit(case["id"], changed.version, key="one-key")
    assert reply.status == HTTPStatus.ACCEPTED
    assert await pool.fetchval(counted, case["id"]) > 0


async def test_another_citizen_of_any_level_still_finds_no_such_case(lin, chen):
    case = await at(lin, 1).open()
    with pytest.raises(CaseUnknown):
        await at(chen, 3).submit(case["id"], case["version"])


async def test_one_call_that_opens_and_submits_asks_no_department_below_the_items_level(lin, departments, pool):
    before = await pool.fetchval("SELECT count(*) FROM cases")
    with pytest.raises(StepUpRequired) as refused:
        await at(lin, 1).open(submit=True, answers=FILL, declarations=("all_true",))
    assert refused.value.back == "/items/birth"
    assert departments.asked == []
    assert await pool.fetchval("SELECT count(*) FROM cases") == before


async def test_the_strictest_department_of_the_steps_that_are_sent_decides(lin, office):
    ready = office.catalogue.get("birth")
    assert office.min_level(ready, ready.components) == 2
    part = ready.components["register_birth"].spec
    asking(office, part.adapter, part.operation, 3)
    assert office.min_level(ready, ["register_birth"]) == 3
    assert office.min_level(ready, ["vaccination_card"]) == 2
    case = await lin.open()
    changed = await lin.change(case, FILL)
    with pytest.raises(StepUpRequired) as refused:
        await lin.submit(case["id"], changed.version)
    assert refused.value.level == 3


async def test_a_question_that_asks_for_more_is_not_asked_and_says_why(office):
    gateway = office.gateway
    ask = gateway.wants["household"]
    asking(office, ask.adapter, ask.operation, 2)
    held, manifest = gateway.admit(msgspec.structs.replace(ask, level=1))
    assert (held.state, held.code, manifest.id) == ("denied", "auth.level_too_low", ask.adapter)
    assert gateway.admit(msgspec.structs.replace(ask, level=2)) is None
    assert [one.level for one in office.asks(("household", "nobody"), "birth", 1)] == [1, 1]
    assert Ask(want="w", adapter="a", operation="o").level == 3


@pytest.mark.parametrize(("lang", "words"), [("zh", "实名等级 2 级"), ("en", "level 2")])
async def test_the_problem_says_which_level_and_where_to_sign_in_at_it(lin, lang, words):
    refused = StepUpRequired(2, "/cases/case_1/check")
    told = problems.answer(refused, lin.context(lang), "https://portal.test")
    body = msgspec.json.decode(told.body)
    assert (told.status, body["code"], body["stage"], body["level"]) == (401, "auth.level_too_low", "assurance", 2)
    assert body["sign_in"] == "https://portal.test/sign-in?return_to=%2Fcases%2Fcase_1%2Fcheck&why=level&level=2"
    assert words in body["detail"]
    assert told.headers["www-authenticate"] == (
        'Bearer realm="onestop", error="insufficient_user_authentication", acr_values="level2"'
    )


async def test_below_level_one_nobody_is_an_applicant_and_no_department_is_asked(lin, departments, office, pool):
    before = await pool.fetchval("SELECT count(*) FROM cases")
    with pytest.raises(StepUpRequired) as refused:
        await at(lin, 0).open()
    assert (refused.value.level, refused.value.back) == (1, "/items/birth")
    assert departments.asked == []
    assert await pool.fetchval("SELECT count(*) FROM cases") == before
    ask = office.gateway.wants["household"]
    held, _ = office.gateway.admit(msgspec.structs.replace(ask, level=0))
    assert held.code == "auth.level_too_low"
