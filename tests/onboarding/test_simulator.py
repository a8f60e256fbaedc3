"""The simulator plays every shipped department over real sockets, from its manifest and examples alone."""

import asyncio
import time
from typing import Any

import httpx
import pytest

from demo.payloads import PAYLOADS
from onestop.gateway.auth.callbacks import callback_check
from onestop.gateway.auth.kinds import Outgoing
from onestop.gateway.line import CallFailed
from onestop.gateway.operations import Answer
from onestop.onboarding.simulator_people import TRIGGERS
from tests.onboarding.playing import FOLDER, LIN, MANIFESTS, ZHOU, Played, played, shipped_one

pytestmark = pytest.mark.anyio
WITH_SYSTEM = sorted(name for name, manifest in MANIFESTS.items() if not manifest.desk)
SUBMISSIONS = [(name, o.id) for name in WITH_SYSTEM for o in MANIFESTS[name].operations if o.kind == "submit"]
NUMBER = {trigger: number for number, trigger in TRIGGERS.items()}


async def query(player: Played, number: str, seconds: float = 3.0) -> Answer:
    spec = next(o for o in player.line.manifest.operations if o.kind == "query")
    return await player.line.ask(spec.id, {"subject": {"number": number}}, seconds, number)


def person_of(operation: str) -> str:
    return "mother_id" if "mother_id" in PAYLOADS[operation] else "guardian_id"


async def submit(player: Played, operation: str, key: str, **changes: str) -> Answer:
    return await player.line.ask(operation, {"key": key, "payload": {**PAYLOADS[operation], **changes}}, 3.0)


async def later(player: Played, operation: str, key: str, reference: str | None) -> Answer:
    spec = player.line.manifest.operation(operation)
    name = spec.poll.operation if spec.poll else spec.lookup
    name = name or next(o.id for o in player.line.manifest.operations if o.kind == "lookup")
    return await player.line.ask(name, {"key": key, "reference": reference}, 3.0)


def signed(player: Played, method: str, path: str, query: str, body: bytes) -> Outgoing:
    """Return a request with its credentials."""
    out = Outgoing(method, player.url, path, query, [], body)
    player.line.credentials.apply(out)
    return out


async def raw(player: Played, operation: str, values: dict[str, Any], **headers: str) -> httpx.Response:
    """Send what a line would send, with other headers."""
    prepared = player.line.operations[operation]
    path, query, own, body = prepared.request(values)
    told = dict(own)
    out = signed(player, prepared.spec.method, path, query, body)
    told |= dict(out.headers) | headers
    address, body = player.url + out.target, out.body
    async with httpx.AsyncClient(trust_env=False) as client:
        return await client.request(prepared.spec.method, address, content=body, headers=told, timeout=5)


@pytest.mark.parametrize("adapter", WITH_SYSTEM)
async def test_wrong_credentials_are_refused_and_named(adapter):
    manifest, examples = shipped_one(adapter)
    spoilt = {"api_key": "x", "client_secret": "x", "app_secret": "x", "password": "x"}
    async with played(manifest, examples, **spoilt) as player:
        try:
            kind: str = (await query(player, LIN)).kind
        except CallFailed as failure:
            kind = failure.kind
        assert kind in ("denied", "no_token")


@pytest.mark.parametrize("adapter", WITH_SYSTEM)
async def test_every_example_is_answered_so_that_the_manifest_reads_it(adapter):
    manifest, examples = shipped_one(adapter)
    async with played(manifest, examples) as player:
        await player.line.credentials.prepare()
        asked = 0
        for book in player.simulator.books.values():
            for example in book.examples:
                values = {
                    "subject": {"number": LIN},
                    "key": "eff-other-77",
                    "reference": "REF-77",
                    "payload": PAYLOADS.get(book.operation.id, {}),
                }
                answer = await raw(player, book.operation.id, values, Prefer=f"example={example.name}")
                told = answer.headers["simulator-example"], answer.headers["simulator-reads-as"]
                assert told == (f"{book.operation.id}.{example.name}", example.reads_as)
                asked += 1
        assert asked == len(list((FOLDER / adapter / "examples").glob("*.response.*")))


@pytest.mark.parametrize("adapter", WITH_SYSTEM)
async def test_any_test_person_is_answered_with_their_own_number_and_todays_date(adapter):
    async with played(*shipped_one(adapter)) as player:
        for number in (LIN, ZHOU):
            answer = await query(player, number)
            assert (answer.kind, answer.fields["id_number"]) == ("ok", number)
            assert abs(time.time() - httpx_time(answer.as_of)) < 86_400


def httpx_time(text: str | None) -> float:
    from datetime import datetime

    return datetime.fromisoformat(text or "").timestamp()


@pytest.mark.parametrize("adapter", WITH_SYSTEM)
async def test_trigger_people_misbehave_at_every_department_that_is_asked(adapter):
    async with played(*shipped_one(adapter)) as player:
        for trigger, kind in ((901, "not_found"), (911, "not_found"), (904, "down"), (905, "bad_reply"), (902, "ok")):
            assert (await query(player, NUMBER[trigger])).kind == kind, trigger
        silent = asyncio.create_task(query(player, NUMBER[903], 0.2))
        slow = asyncio.create_task(query(player, NUMBER[906], 0.2))
        for task in (silent, slow):
            with pytest.raises(CallFailed) as late:
                await task
            assert late.value.kind == "timeout"
        stale = await query(player, NUMBER[907])
        spec = next(o for o in player.line.manifest.operations if o.kind == "query")
        assert stale.kind == "ok"
        assert time.time() - httpx_time(stale.as_of) > (spec.fresh_s or 0)


@pytest.mark.parametrize(("adapter", "operation"), SUBMISSIONS)
async def test_trigger_people_misbehave_in_every_submission(adapter, operation):
    async with played(*shipped_one(adapter)) as player:

        async def fate(trigger: int, key: str) -> str:
            answer = await submit(player, operation, key, **{person_of(operation): NUMBER[trigger]})
            for _ in range(4):
                if answer.kind == "ok" and answer.outcome == "pending":
                    answer = await later(player, operation, key, answer.reference)
            return answer.kind if answer.kind != "ok" else str(answer.outcome)

        told = {trigger: await fate(trigger, f"eff-{trigger}") for trigger in (902, 908, 909, 910, 911, 904)}
        expected = {
            902: "correction",
            908: "correction",
            909: "declined",
            910: "extended",
            911: "transferred",
            904: "down",
        }
        assert told == expected
        assert await fate(908, "eff-corrected") == "completed"


@pytest.mark.parametrize(("adapter", "operation"), SUBMISSIONS)
async def test_a_submission_is_found_again_and_a_key_has_one_effect(adapter, operation):
    async with played(*shipped_one(adapter)) as player:
        assert (await later(player, operation, "eff-nobody", "NOBODY-1")).kind == "not_found"
        first = await submit(player, operation, "eff-mine-1")
        again = await submit(player, operation, "eff-mine-1")
        other = await submit(player, operation, "eff-mine-2")
        assert first.kind == "ok"
        assert again.reference == first.reference
        assert other.reference is None or other.reference != first.reference
        assert len(player.simulator.memory) == 2
        outcomes = [(await later(player, operation, "eff-mine-1", first.reference)).outcome for _ in range(4)]
        assert outcomes[-1] == "completed"
        if first.outcome == "pending":
            assert outcomes[:2] == ["pending", "pending"]


async def test_a_callback_comes_signed_and_only_once_it_is_due():
    heard: list[tuple[dict[bytes, bytes], bytes, str]] = []

    async def portal(scope: Any, receive: Any, send: Any) -> None:
        heard.append((dict(scope["headers"]), (await receive())["body"], scope["path"]))
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    from tests.onboarding.playing import listening

    async with listening(portal) as url, played(*shipped_one("renshe"), callbacks=url) as player:
        await submit(player, "social_security_card", "eff-call-1")
        assert heard == []
        for _ in range(100):
            await asyncio.sleep(0.02)
            if heard:
                break
        headers, body, path = heard[0]
        check = callback_check(player.line.manifest, player.simulator.secrets)
        assert check is not None
        told = [(name.decode(), value.decode()) for name, value in headers.items()]
        assert check(Outgoing("POST", url, path, "", told, body), time.time()) is not None
        assert path == "/renshe"
        assert b'"eff-call-1"' in body
        assert (await later(player, "social_security_card", "eff-call-1", None)).outcome == "completed"


# --- a miss explains itself -------------------------------------------------------------------------------------------


async def test_a_changed_header_is_named_exactly():
    async with played(*shipped_one("yibao")) as player:
        answer = await raw(
            player, "medical_insurance", {"subject": {"number": LIN}}, SOAPAction="urn:yunxi:yibao:1#Other"
        )
        told = answer.json()
    assert (answer.status_code, told["code"], told["nearest"]) == (404, "sandbox.no_match", "medical_insurance.ok")
    assert [part["where"] for part in told["differences"]] == ["header.soapaction"]
    assert told["differences"][0]["expected"] == "urn:yunxi:yibao:1#QueryInsured"


async def test_a_renamed_field_is_named_with_the_one_that_lacks():
    async with played(*shipped_one("minzheng")) as player:
        prepared = player.line.operations["marriage"]
        path, _, own, body = prepared.request({"subject": {"number": LIN}})
        name = next(where for where in player.simulator.books["marriage"].form.leaves if where.startswith("body."))
        key = name.removeprefix("body.").split(".")[-1].encode()
        changed = body.replace(b'"' + key + b'"', b'"' + key + b'x"')
        headers = dict(own)
        extra = signed(player, "POST", path, "", changed).headers
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.post(player.url + path, content=changed, headers=headers | dict(extra))
        assert sorted(part["where"] for part in answer.json()["differences"]) == [name, name + "x"]


async def test_another_path_method_type_or_port_is_named_exactly():
    async with played(*shipped_one("renshe")) as player, httpx.AsyncClient(trust_env=False) as client:
        headers = {"X-Api-Key": player.simulator.secrets["api_key"], "content-type": "application/json"}
        body = b'{"id_number":"990102199203140221"}'

        async def where(method: str, path: str, **more: str) -> list[str]:
            answer = await client.request(method, player.url + path, content=body, headers=headers | more)
            return [part["where"] for part in answer.json()["differences"]]

        assert await where("POST", "/social-insurance/ask") == ["path"]
        assert await where("PUT", "/social-insurance/query") == ["method"]
        assert await where("POST", "/social-insurance/query", **{"content-type": "text/plain"}) == [
            "header.content-type"
        ]
        assert await where("POST", "/social-insurance/query", Host="127.0.0.1:1") == ["port"]
        assert await where("POST", "/social-insurance/query", **{"X-Api-Key": "other"}) == ["header.x-api-key"]


async def test_a_number_that_may_be_real_is_refused():
    from stdnum.cn import ric

    number = "11010119900307001"
    number += ric.calc_check_digit(number + "0")
    async with played(*shipped_one("renshe")) as player:
        answer = await raw(player, "social_insurance", {"subject": {"number": number}})
    assert (answer.status_code, answer.json()["code"]) == (422, "sandbox.real_identity")
    assert number not in answer.text


# --- on order ---------------------------------------------------------------------------------------------------------


async def test_prefer_orders_a_status_an_example_and_a_delay():
    async with played(*shipped_one("renshe")) as player:
        values = {"subject": {"number": LIN}}
        assert (await raw(player, "social_insurance", values, Prefer="code=404")).status_code == 404
        assert (await raw(player, "social_insurance", values, Prefer="code=418")).status_code == 418
        begun = time.monotonic()
        named = await raw(player, "social_insurance", values, Prefer="example=not_found, delay=0.2")
        assert time.monotonic() - begun >= 0.2
        assert named.headers["simulator-reads-as"] == "not_found"
        miss = await raw(player, "social_insurance", values, Prefer="example=nobody")
        assert [part["where"] for part in miss.json()["differences"]] == ["header.prefer"]


async def test_a_bad_day_is_ordered_at_the_control_door():
    async with played(*shipped_one("gongan")) as player, httpx.AsyncClient(trust_env=False) as client:

        async def order(**told: Any) -> int:
            return (await client.put(f"{player.url}/_simulator", json=told)).status_code

        assert await order(fault="nonsense") == 400
        assert await order(fault="error") == 200
        assert (await query(player, LIN)).kind == "down"
        await order(fault="garbage")
        assert (await query(player, LIN)).kind == "bad_reply"
        await order(fault="cut-after-effect")
        with pytest.raises(CallFailed) as cut:
            await submit(player, "register_birth", "eff-cut-1")
        assert cut.value.kind == "cut"
        await order()
        assert (await later(player, "register_birth", "eff-cut-1", None)).outcome == "completed"
        await order(latency_ms=150)
        begun = time.monotonic()
        assert (await query(player, LIN)).kind == "ok"
        assert time.monotonic() - begun >= 0.15


async def test_the_command_starts_a_process_that_plays_a_department(tmp_path):
    import sys

    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "onestop", "--lang", "en", "adapter", "simulate", "renshe", "--faults", "latency:1",
        stdout=asyncio.subprocess.PIPE, cwd=tmp_path,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        lines = [(await asyncio.wait_for(process.stdout.readline(), 10)).decode().strip() for _ in range(4)]
        assert "renshe" in lines[0]
        url = lines[2].removeprefix('url = "').rstrip('"')
        async with httpx.AsyncClient(trust_env=False) as client:
            told = (await client.get(url + "/_simulator")).json()
        assert told["adapter"] == "renshe"
        assert told["scenario"]["latency_ms"] == 1
    finally:
        process.terminate()
        await process.wait()
