"""The case room through its front desk: statuses, headers, versions, roles."""

from collections.abc import AsyncIterator

import httpx
import pytest
from litestar.di import Provide

from onestop.cases import routes
from onestop.certificates import routes as certificate_routes
from onestop.http.app_parts import build
from onestop.identity.access import provide_session
from onestop.items import routes as item_routes

from .conftest import FILL, RESULTS, Sessions, effects_of, settle

pytestmark = pytest.mark.anyio


@pytest.fixture
async def desk(office, lin, chen, clerk, pool, settings) -> AsyncIterator[httpx.AsyncClient]:
    known = {"lin": lin.session, "chen": chen.session, "clerk": clerk.session}
    app = build(
        [*routes.CONTROLLERS, *item_routes.CONTROLLERS, *certificate_routes.CONTROLLERS],
        settings=settings,
        pool=pool,
        sessions=Sessions(known),
        shared={"office": office, "pool": pool, "settings": settings},
        dependencies={"session": Provide(provide_session)},
    )
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


def auth(who, **headers):
    return {"authorization": f"Bearer {who}", **{name.replace("_", "-"): value for name, value in headers.items()}}


async def opened(desk, who="lin", key="k", **body):
    return await desk.post("/v1/cases", json={"item": "birth", **body}, headers=auth(who, idempotency_key=key))


async def filled(desk, key):
    case = (await opened(desk, key=key)).json()
    reply = await desk.patch(
        f"/v1/cases/{case['id']}/answers", json={"answers": FILL}, headers=auth("lin", if_match='"v1"')
    )
    assert reply.status_code == 200
    return case["id"], reply.headers["etag"]


async def test_nobody_opens_a_case_without_signing_in_and_a_clerk_opens_none(desk):
    assert (await desk.post("/v1/cases", json={"item": "birth"}, headers={"idempotency-key": "k"})).status_code == 401
    assert (await opened(desk, "clerk")).status_code == 403
    assert (await desk.get("/v1/tasks", headers=auth("lin"))).status_code == 403


async def test_a_case_needs_a_key_a_known_item_and_a_body_without_strange_members(desk):
    assert (await desk.post("/v1/cases", json={"item": "birth"}, headers=auth("lin"))).status_code == 400
    assert (await opened(desk, item="nothing")).json()["code"] == "item.unknown"
    assert (await opened(desk, colour="red")).status_code == 422


async def test_opening_is_201_with_location_and_etag_and_a_replay_says_so(desk):
    first = await opened(desk, key="r1")
    assert first.status_code == 201
    case = first.json()
    assert first.headers["location"] == f"/v1/cases/{case['id']}"
    assert first.headers["etag"] == '"v1"'
    again = await opened(desk, key="r1")
    assert (again.status_code, again.content) == (201, first.content)
    assert again.headers["idempotent-replay"] == "true"
    other = await opened(desk, key="r1", situation={"mother_insured": True})
    assert (other.status_code, other.json()["code"]) == (422, "idempotency.key_reused")


async def test_a_case_is_not_sent_again_while_it_has_not_changed(desk):
    case = (await opened(desk, key="r2")).json()
    url = f"/v1/cases/{case['id']}"
    shown = await desk.get(url, headers=auth("lin"))
    assert shown.status_code == 200
    assert (await desk.get(url, headers=auth("lin", if_none_match=shown.headers["etag"]))).status_code == 304
    assert (await desk.get(url, headers=auth("chen"))).json()["code"] == "case.unknown"
    assert (await desk.get(url, headers=auth("chen", if_none_match=shown.headers["etag"]))).status_code == 404


async def test_a_change_says_which_version_it_means(desk):
    case = (await opened(desk, key="r3")).json()
    url = f"/v1/cases/{case['id']}/answers"
    body = {"answers": {"baby": {"name": "周沐禾"}}}
    assert (await desk.patch(url, json=body, headers=auth("lin"))).status_code == 428
    assert (await desk.patch(url, json=body, headers=auth("lin", if_match='"v9"'))).status_code == 412
    assert (await desk.patch(url, json=body, headers=auth("chen", if_match='"v1"'))).status_code == 404
    reply = await desk.patch(url, json=body, headers=auth("lin", if_match='"v1"'))
    assert (reply.status_code, reply.headers["etag"]) == (200, '"v2"')


async def test_a_refused_form_points_at_each_value_in_the_readers_language(desk):
    case = (await opened(desk, key="r4")).json()
    reply = await desk.patch(
        f"/v1/cases/{case['id']}/answers",
        json={"answers": {"mother": {"name": "x"}, "father": {"id_number": "990102199008210352"}}},
        headers=auth("lin", if_match='"v1"', accept_language="en"),
    )
    assert reply.status_code == 422
    told = {error["pointer"]: error for error in reply.json()["errors"]}
    assert told["/answers/mother/name"]["code"] == "form.not_editable"
    assert told["/answers/father/id_number"]["code"] == "identity.bad_checksum"
    assert all(error["detail"] and not error["detail"].startswith("field.") for error in told.values())


async def test_submission_is_202_with_an_operation_that_is_waited_for_as_long_as_is_preferred(desk, lin, office):
    case_id, etag = await filled(desk, "r5")
    url = f"/v1/cases/{case_id}/submission"
    body = {"declarations": ["all_true"]}
    missing = await desk.post(url, json=body, headers=auth("lin", idempotency_key="s"))
    assert missing.status_code == 428
    assert (
        await desk.post(url, json=body, headers=auth("chen", idempotency_key="s", if_match=etag))
    ).status_code == 404
    reply = await desk.post(
        url, json=body, headers=auth("lin", idempotency_key="s", if_match=etag, prefer="respond-async, wait=1")
    )
    assert reply.status_code == 202
    operation = reply.json()
    assert reply.headers["location"] == f"/v1/operations/{operation['id']}"
    assert reply.headers["preference-applied"] == "wait=1"
    assert operation["progress"] == {"done": 0, "total": 7}
    again = await desk.post(url, json=body, headers=auth("lin", idempotency_key="s", if_match=etag))
    assert again.headers["idempotent-replay"] == "true"
    assert (await desk.get(reply.headers["location"], headers=auth("chen"))).status_code == 404
    assert (await desk.get(reply.headers["location"], headers=auth("lin"))).json()["status"] in ("queued", "running")


async def test_from_draft_to_a_certificate_that_anyone_can_check(desk, office):
    case_id, etag = await filled(desk, "r6")
    headers = auth("lin", idempotency_key="s6", if_match=etag)
    await desk.post(f"/v1/cases/{case_id}/submission", json={"declarations": ["all_true"]}, headers=headers)
    for code in RESULTS:
        await settle(office, (await effects_of(office, case_id))[code], "completed")
    tasks = (await desk.get("/v1/tasks?limit=200", headers=auth("clerk"))).json()["data"]
    number = (await desk.get(f"/v1/cases/{case_id}", headers=auth("lin"))).json()["number"]
    task = next(task for task in tasks if task["case_number"] == number)
    answered = await desk.post(
        f"/v1/tasks/{task['id']}/answer", json={"outcome": "completed"}, headers=auth("clerk", idempotency_key="t6")
    )
    assert answered.json() == {
        "task": task["id"],
        "state": "answered",
        "step_state": "completed",
        "case_state": "decided",
    }
    certificate = (await desk.get(f"/v1/cases/{case_id}/certificate", headers=auth("lin"))).json()
    assert (await desk.get(f"/v1/cases/{case_id}/certificate", headers=auth("chen"))).status_code == 404
    body = {"number": certificate["number"], "code": certificate["code"]}
    told = (await desk.post("/v1/certificate-checks", json=body, headers={"accept-language": "en"})).json()
    assert told["valid"] is True
    assert "genuine" in told["says"]
    assert (await desk.get("/v1/certificate-keys")).json()["keys"]


async def test_the_picture_is_svg_for_its_owner_alone(desk):
    case_id, _ = await filled(desk, "r7")
    drawn = await desk.get(f"/v1/cases/{case_id}/timeline.svg", headers=auth("lin"))
    assert drawn.headers["content-type"].startswith("image/svg+xml")
    assert drawn.text.startswith("<svg")
    assert (await desk.get(f"/v1/cases/{case_id}/timeline.svg", headers=auth("chen"))).status_code == 404


async def test_items_are_open_to_everybody(desk):
    found = (await desk.get("/v1/items", params={"q": "孩子上户口"})).json()
    assert [item["code"] for item in found["data"]] == ["birth"]
    assert (await desk.get("/v1/items/birth", headers={"accept-language": "en"})).json()["lead"]["id"] == "weijian"
    assert (await desk.get("/v1/items/nothing")).status_code == 404


async def test_an_application_in_one_call_is_201_and_submitted(desk):
    reply = await opened(
        desk, key="r8", item="quick", submit=True, answers={"person": {"phone": "15400000001"}}
    )  # fmt: skip
    assert reply.status_code == 201
    case = reply.json()
    assert case["state"] == "submitted"
    assert (await desk.get(case["operation"], headers=auth("lin"))).json()["progress"]["total"] == 2


async def test_the_document_describes_every_route_and_body_of_the_room(desk):
    document = (await desk.get("/schema/openapi.json")).json()
    opening = document["paths"]["/v1/cases"]["post"]
    assert opening["requestBody"]["content"]["application/json"]["schema"]
    assert document["components"]["schemas"]["OpenCase"]["additionalProperties"] is False
    assert set(document["paths"]["/v1/cases/{case_id}/submission"]["post"]["responses"]) >= {"202", "404", "412", "428"}
