"""How an answer comes: taken from the document where it says so, asked where it does not; received is never done."""

import json
from typing import Any

import pytest

from onestop.gateway.manifest import Manifest, Operation, parse
from onestop.gateway.operations import Prepared
from onestop.onboarding.importing.models import Imported, Question
from onestop.outbound.models import Reply
from tests.onboarding.importing.conftest import imported, read

TEXT = {"type": "string"}
STATES = TEXT | {"enum": ["pending", "completed", "rejected"]}


def table(**members: Any) -> dict[str, Any]:
    return {"type": "object", "properties": members}


def said(status: str, schema: Any = None) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": ""}
    return {status: answer | ({"content": {"application/json": {"schema": schema}}} if schema is not None else {})}


def office(responses: dict[str, Any], paths: dict[str, Any] | None = None, more: Any = None, **told: Any) -> Imported:
    """Import a submission that answers so, with other operations beside it."""
    body = {"content": {"application/json": {"schema": table(serialNo=TEXT, name=TEXT)}}}
    send = {"operationId": "sendForm", "summary": "Submit a form", "requestBody": body, "responses": responses}
    document = {"openapi": "3.0.3", "info": {"title": "Forms"}, "paths": {"/forms": {"post": send | (more or {})}}}
    document["paths"] |= paths or {}
    return imported(json.dumps(document), **({"idempotent.send_form": "none"} | told))


def manifest(found: Imported) -> Manifest:
    assert found.manifest_toml is not None, found.open
    return parse(found.manifest_toml.encode())


def submission(found: Imported) -> Operation:
    return next(one for one in manifest(found).operations if one.id == "send_form")


def question(found: Imported) -> Question:
    return next(one for one in found.questions if one.id == "answer.send_form")


def outcome_of(found: Imported, status: int, body: bytes = b"") -> Any:
    """Return what the gateway takes an answer to the submission for."""
    told = Prepared(manifest(found), submission(found)).answer(Reply(status, [], body, False, 0, 0, 0, 0, 0), None)
    assert told.kind == "ok", told.reason
    return told.outcome


# --- what is asked ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("responses", "why"),
    [
        (said("202"), "received"),
        (said("202", table(ticket=TEXT)), "received"),
        (said("200", table(no=TEXT)) | said("202", table(no=TEXT)), "received"),
        (said("201"), "holds nothing"),
        (said("204"), "holds nothing"),
        (said("201", table(no=TEXT, status=STATES)), "pending"),
        (said("201", table(no=TEXT, status=TEXT)), "a state"),
    ],
)
def test_an_answer_that_may_only_say_received_leaves_the_draft_open(responses: dict[str, Any], why: str) -> None:
    found = office(responses)
    assert found.open == ("answer.send_form",)
    assert found.manifest_toml is None
    assert why in question(found).why.en


@pytest.mark.parametrize(
    "responses",
    [said("200", table(no=TEXT)), said("201", table(no=TEXT)), said("200", table(status=TEXT | {"enum": ["done"]}))],
)
def test_an_answer_with_a_result_is_no_question(responses: dict[str, Any]) -> None:
    found = office(responses)
    assert "answer.send_form" not in {one.id for one in found.questions}
    assert submission(found).answer == "now"


def test_a_one_way_message_is_asked_about() -> None:
    found = read("wsdl/register.wsdl", **{"idempotent.register_move": "none"})
    assert found.open == ("answer.register_move",)  # `ontvangen`: it was received


def test_an_answer_that_names_no_way_leaves_the_question_open() -> None:
    found = office(said("202"), **{"answer.send_form": "poll nothing_there"})
    assert found.open == ("answer.send_form",)
    assert question(found).problem is not None


# --- the ways ---------------------------------------------------------------------------------------------------------


def test_at_once_takes_what_is_accepted_for_done() -> None:
    found = office(said("202"), **{"answer.send_form": "at_once"})
    assert (submission(found).answer, outcome_of(found, 202)) == ("now", "completed")


def test_at_the_desk_what_is_received_stays_pending_until_a_person_asks() -> None:
    found = office(said("202"), **{"answer.send_form": "desk", "answer_within_s.send_form": 864_000})
    made = submission(found)
    assert (made.answer, made.poll, made.answer_within_s) == ("now", None, 864_000)
    assert outcome_of(found, 202) == "pending"


def test_fetched_is_never_sent() -> None:
    assert submission(office(said("202"), **{"answer.send_form": "pull"})).answer == "pull"


PROGRESS = {
    "/progress": {
        "get": {
            "operationId": "getProgress",
            "parameters": [{"name": "serialNo", "in": "query", "required": True, "schema": TEXT}],
            "responses": said("200", table(status=STATES)),
        }
    },
    "/tickets/{ticket}": {
        "get": {
            "operationId": "getTicket",
            "parameters": [{"name": "ticket", "in": "path", "required": True, "schema": TEXT}],
            "responses": said("200", table(state=TEXT)),
        }
    },
}


def test_polling_another_operation_takes_it_and_asks_by_the_number_that_was_given_out() -> None:
    told = {"answer.send_form": "poll get_ticket", "operations": ["send_form"]}
    found = office(said("201", table(ticket=TEXT, status=TEXT)), PROGRESS, **told)
    assert found.open == ("outcome.get_ticket",)  # what its states mean is part of the answer
    found = office(
        said("201", table(ticket=TEXT, status=TEXT)), PROGRESS, **told, **{"outcome.get_ticket": "ok=completed"}
    )
    made = {one.id: one for one in manifest(found).operations}
    assert (made["send_form"].answer, made["get_ticket"].kind) == ("poll", "status")
    assert made["send_form"].poll is not None
    assert made["send_form"].poll.operation == "get_ticket"
    assert made["send_form"].reply.reference == "ticket"
    assert made["get_ticket"].request.path == {"ticket": "reference"}
    assert "poll_unnamed" not in {one.code for one in found.findings}


def test_polling_by_our_own_number_needs_none_of_theirs() -> None:
    found = office(said("202"), PROGRESS, **{"answer.send_form": "poll get_progress"})
    made = {one.id: one for one in manifest(found).operations}
    assert made["get_progress"].request.query == {"serialNo": "key"}
    assert made["send_form"].request.body["serialNo"] == "key"
    assert "poll_unnamed" not in {one.code for one in found.findings}


def test_polling_by_a_number_that_nothing_gives_out_is_named() -> None:
    told = {"answer.send_form": "poll get_ticket", "outcome.get_ticket": "ok=completed"}
    assert "poll_unnamed" in {one.code for one in office(said("202"), PROGRESS, **told).findings}


HEARD = table(data=table(serialNo=TEXT, status=TEXT), reason=TEXT)
DECLARED = {
    "callbacks": {
        "done": {
            "{$request.body#/url}": {"post": {"requestBody": {"content": {"application/json": {"schema": HEARD}}}}}
        }
    }
}


def test_a_declared_callback_is_the_way_and_its_body_is_read() -> None:
    found = office(said("202"), more=DECLARED)
    assert found.open == ("outcome.send_form",)
    assert question(found).default == "callback"
    found = office(said("202"), more=DECLARED, **{"outcome.send_form": "done=completed, no=declined"})
    made, told = manifest(found), submission(found)
    assert made.callback is not None
    assert (made.callback.operation, made.callback.kind, told.answer) == ("send_form", "signed", "callback")
    assert "callback_secret" in found.environment
    assert outcome_of(found, 202) == "pending"  # received, and nothing more
    key, answer = Prepared(made, told).called_back(b'{"data": {"serialNo": "e-1", "status": "no"}, "reason": "r"}')
    assert (key, answer.outcome) == ("e-1", "declined")


def test_of_a_callback_that_no_document_declares_everything_is_asked() -> None:
    told = {"answer.send_form": "callback"}
    asked = ("callback.key.send_form", "callback.state.send_form", "outcome.send_form")
    assert office(said("202"), **told).open == asked
    told |= {asked[0]: "serial", asked[1]: "result", asked[2]: "1=completed", "callback.kind": "token"}
    found = office(said("202"), **told)
    made = manifest(found)
    assert made.callback is not None
    assert made.callback.kind == "token"
    key, answer = Prepared(made, submission(found)).called_back(b'{"serial": "e-2", "result": 1}')
    assert (key, answer.outcome) == ("e-2", "completed")


def test_an_answer_goes_before_what_the_document_says() -> None:
    paths = {"/forms/{no}": {"get": {"operationId": "getForm", "responses": said("200", table(status=STATES))}}}
    given = said("201", table(no=TEXT))
    assert submission(office(given, paths)).answer == "poll"
    told = submission(office(given, paths, **{"answer.send_form": "at_once"}))
    assert (told.answer, told.poll) == ("now", None)


def test_accepted_and_nothing_else_is_read_only_where_the_answer_comes_later() -> None:
    given = said("202", table(ticket=TEXT))
    empty = Reply(202, [], b"", False, 0, 0, 0, 0, 0)
    for way, kind in (("pull", "ok"), ("at_once", "bad_reply")):
        found = office(given, **{"answer.send_form": way})
        assert Prepared(manifest(found), submission(found)).answer(empty, None).kind == kind


def test_a_202_to_a_read_is_no_answer_yet_and_ends_no_polling() -> None:
    paths = {
        "/forms/{no}": {
            "get": {
                "operationId": "getForm",
                "responses": said("200", table(status=STATES)) | said("202", table(no=TEXT)),
            }
        },
        "/rates": {"get": {"operationId": "getRates", "responses": said("200", table(a=TEXT)) | said("202")}},
    }
    found = office(said("202", table(no=TEXT)), paths)
    made = {one.id: one for one in manifest(found).operations}
    working = Reply(202, [], b'{"no": "7"}', False, 0, 0, 0, 0, 0)
    kinds = {
        name: Prepared(manifest(found), made[name]).answer(working, None).kind for name in ("get_form", "get_rates")
    }
    assert kinds == {"get_form": "not_found", "get_rates": "busy"}
    assert (made["send_form"].answer, made["get_form"].accept) == ("poll", (200,))
