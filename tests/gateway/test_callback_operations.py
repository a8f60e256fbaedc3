"""One address, several operations, several versions: each callback is read as its effect's own operation declares."""

import json

import pytest

from onestop.gateway import callbacks
from onestop.gateway.auth.recipes import Outgoing
from onestop.gateway.callback_rules import Envelope, envelope_for
from onestop.gateway.errors import CallbackNotGenuine, CallbackUnknown, CallbackUnreadable
from onestop.gateway.line import Line, Where
from onestop.gateway.manifest import parse
from onestop.gateway.service import Shown, Trial
from onestop.onboarding.conformance_callbacks import CallbackEar
from onestop.onboarding.simulator import Owed, Simulator
from onestop.onboarding.simulator_server import Callbacks
from tests.gateway.work import ALLOW, CODES, HEAD, OPERATION, REGION, SECRET, Work, signed_headers, state_of

pytestmark = pytest.mark.anyio

ANA, BEN = "990102199203140221", "990102199008210351"
ALL = 'operations = ["permit", "payment", "visit"]'
BY_EVENT = 'values = { "permit.decided" = "permit", "payment.settled" = "payment", "visit.moved" = "visit" }'


def submission(name, *, more="", edits=(), kind="submit"):
    text = OPERATION.format(id=name, kind=kind, idempotent="key", more='answer = "callback"\n' + more)
    for before, after in edits:
        assert before in text, before
        text = text.replace(before, after)
    return text


# Three ways of saying the same: other members, another no, another codec and charset.
PERMIT = submission("permit")
PAYMENT = submission(
    "payment",
    more='errors = [{ path = "code", equals = "E7", outcome = "declined", reason = "msg" }]',
    edits=[('reply.key = "key"', 'reply.key = "order.serial"'), ('path = "status"', 'path = "order.state"')],
)
VISIT = submission("visit", edits=[('map.ok = "completed"', 'map.moved = "completed"')])
VISIT_XML = VISIT.replace('answer = "callback"', 'answer = "callback"\nresponse_codec = "xml"\ncharset = "gb18030"')
SAYS = {
    "permit": lambda key, word="ok": {"key": key, "number": "N1", "status": word},
    "payment": lambda key, word="ok": {"order": {"serial": key, "state": word}, "number": "N2"},
    "visit": lambda key, word="moved": {"key": key, "number": "N3", "status": word},
}


def manifest(callback=ALL, operations=(PERMIT, PAYMENT, VISIT), version="1.0.0"):
    head = HEAD.format(id="dep", code=CODES["dep"], tables=f"[callback]\n{callback}\n").replace("1.0.0", version)
    return parse((head + "".join(operations)).encode())


@pytest.fixture
async def at_work(pool, keys):
    """Return what makes the work of a department whose versions are these, the serving one first."""
    await pool.execute("TRUNCATE effects, callbacks_seen")
    works = []

    def made(*versions, secrets=(SECRET,) * 9, trial=None):
        lines = [
            Line(one, Where("http://127.0.0.1:9", {"callback_secret": secret}), ALLOW)
            for one, secret in zip(versions, secrets, strict=False)
        ]
        work = Work(pool, keys, versions[:1], {"dep": lines[0]})
        kept = {("dep", line.manifest.version): line for line in lines}
        trials = {"dep": Trial(lines[trial], frozenset())} if trial is not None else {}
        work.gateway.show(Shown(manifests={"dep": versions[0]}, lines={"dep": lines[0]}, kept=kept, trials=trials))
        works.append((work, lines))
        return work

    yield made
    for _, lines in works:
        for line in lines:
            await line.close()


async def sent(work, key, operation, *, version=None, reference=None, subject=ANA):
    await work.intend(key, operation=operation, payload={"name": "林", "subject": {"number": subject}})
    await work.pool.execute(
        "UPDATE effects SET version = coalesce($2, version), reference = $3 WHERE key = $1", key, version, reference
    )


async def call(work, body, *, secret=SECRET, nonce=None, segment=None, query="", **told):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = signed_headers(data, secret=secret, nonce=nonce) | {k.replace("_", "-"): v for k, v in told.items()}
    envelope = Envelope(headers, segment, query)
    return await callbacks.receive(work.pool, work.keys, work.gateway, REGION, "dep", envelope, data, work.handler)


def xml(told):
    inside = "".join(f"<{name}>{value}</{name}>" for name, value in told.items())
    return f'<?xml version="1.0" encoding="GB18030"?><told>{inside}</told>'.encode("gb18030")


# ---- one address, several operations


async def test_what_fits_another_operation_than_the_effects_own_is_refused(at_work):
    work = at_work(manifest())
    await sent(work, "bens", "permit")
    await sent(work, "anas", "payment")
    for body in (SAYS["payment"]("bens"), SAYS["permit"]("anas")):
        with pytest.raises(CallbackUnknown):
            await call(work, body)
    with pytest.raises(CallbackUnreadable):  # a visit's word, which a permit does not know
        await call(work, SAYS["permit"]("bens", "moved"))
    assert work.heard == []


async def test_each_operation_is_read_as_it_declares_itself(at_work):
    work = at_work(manifest())
    for operation in SAYS:
        await sent(work, operation, operation)
    await sent(work, "bens", "payment", subject=BEN)
    for operation, says in SAYS.items():
        assert (await call(work, says(operation))).new
        assert work.of(operation) == ["completed"]
    declined = {"order": {"serial": "bens"}, "code": "E7", "msg": "余额不足"}  # of `payment` alone that is a no
    await call(work, declined)
    assert work.of("bens") == ["declined"]
    assert await state_of(work, "bens") == ("refused", "received")


@pytest.mark.parametrize("place", ["path", "header", "query"])
async def test_what_cannot_be_read_alike_is_told_outside_the_body(at_work, place):
    told_by = f'[callback.told_by]\nplace = "{place}"\n{BY_EVENT}\n' + 'name = "X-Event"\n' * (place != "path")
    work = at_work(manifest(f"{ALL}\n{told_by}", (PERMIT, PAYMENT, VISIT_XML)))
    await sent(work, "v1", "visit")
    await sent(work, "p1", "permit", subject=BEN)
    bodies = {"visit.moved": xml(SAYS["visit"]("v1")), "permit.decided": SAYS["permit"]("p1")}

    def telling(event):
        return {"path": {"segment": event}, "header": {"x_event": event}, "query": {"query": f"X-Event={event}"}}[place]

    hostile = [{}, telling("visit.lost"), telling("visit"), telling("permit.decided")]
    hostile += [{"segment": "visit.moved"}] if place != "path" else [{"query": "X-Event=visit.moved"}]
    hostile += [{"query": "X-Event=visit.moved&X-Event=permit.decided"}] if place == "query" else []
    for told in hostile:
        with pytest.raises(CallbackUnreadable):
            await call(work, bodies["visit.moved"], **told)
    with pytest.raises(CallbackUnknown):  # readable, but of another operation than the effect that it names
        await call(work, {"order": {"serial": "p1", "state": "ok"}}, **telling("payment.settled"))
    assert work.heard == []
    for event, body in bodies.items():
        assert (await call(work, body, **telling(event))).new
    assert work.heard == [("v1", "completed"), ("p1", "completed")]


async def test_an_answer_may_be_read_as_another_operation_reads(at_work):
    told = OPERATION.format(id="told", kind="status", idempotent="safe", more="").replace('"status"', '"result"', 1)
    told = told.replace('kind = "result"', 'kind = "status"').replace('path = "status"', 'path = "result"')
    permit = submission("permit", more='heard_as = "told"')
    work = at_work(manifest('operations = ["permit", "visit"]', (permit, VISIT, told)))
    await sent(work, "p1", "permit")
    with pytest.raises(CallbackUnreadable):
        await call(work, SAYS["permit"]("p1"))
    assert (await call(work, {"key": "p1", "number": "N1", "result": "ok"})).new
    assert work.of("p1") == ["completed"]


async def test_the_departments_own_number_finds_an_effect_where_it_is_one_alone(at_work):
    operations = [one.replace('reply.key = "key"\n', "") for one in (PERMIT, VISIT)]
    work = at_work(manifest('operations = ["permit", "visit"]', operations))
    await sent(work, "a1", "permit", reference="A-1")
    await sent(work, "v1", "visit", reference="A-1")  # each desk counts for itself
    await sent(work, "b1", "permit", reference="B-1", subject=BEN)
    await sent(work, "b2", "permit", reference="B-1", subject=BEN)
    for number in ("B-1", "C-1", "a1"):
        with pytest.raises(CallbackUnknown):
            await call(work, {"number": number, "status": "ok"})
    with pytest.raises(CallbackUnknown):  # a permit's or a visit's: the body does not tell
        await call(work, {"number": "A-1", "status": "no"})
    await work.pool.execute("UPDATE effects SET reference = 'A-2' WHERE key = 'v1'")
    assert (await call(work, {"number": "A-1", "status": "ok"})).new
    assert work.heard == [("a1", "completed")]


async def test_an_answer_about_another_person_changes_nothing(at_work):
    permit = submission("permit", more='reply.subject = "holder"\nabout = "payload.subject.number"')
    work = at_work(manifest('operations = ["permit"]', (permit,)))
    await sent(work, "a1", "permit", subject=ANA)
    for holder in ({"holder": BEN}, {}, {"holder": None}):
        with pytest.raises(CallbackUnreadable):
            await call(work, SAYS["permit"]("a1") | holder, nonce="nonce-of-anas-answer")
    assert work.heard == []
    # A nonce that came with a refused body is not used up.
    assert (await call(work, SAYS["permit"]("a1") | {"holder": ANA}, nonce="nonce-of-anas-answer")).new
    assert not (await call(work, SAYS["permit"]("a1") | {"holder": ANA}, nonce="nonce-of-anas-answer")).new


async def test_each_operation_has_its_own_words_for_the_department(at_work):
    replies = '[callback.reply]\nbody = "{}"\n[callback.replies.payment]\nbody = "success"\ncontent_type = "text/plain"'
    work = at_work(manifest(f"{ALL}\n{replies}"))
    for operation in ("permit", "payment"):
        await sent(work, operation, operation)
    told = [(await call(work, SAYS[one](one), nonce=f"nonce-{one}")).reply.body for one in ("permit", "payment") * 2]
    assert told == ["{}", "success"] * 2  # to a replay too


# ---- several versions


OLD, NEW = "old-secret-of-the-tests", "new-secret-of-the-tests"


def versions():
    """The serving version says `fine` for what an older one called `ok`; the one before that had no visits."""
    fine = PERMIT.replace('map.ok = "completed"', 'map.fine = "completed"')
    return (
        manifest('operations = ["permit"]', (fine,), "3.0.0"),
        manifest('operations = ["permit"]', (PERMIT,), "2.0.0"),
        manifest('operations = ["permit", "visit"]', (PERMIT.replace("map.ok", "map.okay"), VISIT), "1.0.0"),
    )


async def test_an_effect_is_answered_in_the_words_of_the_version_that_sent_it(at_work):
    work = at_work(*versions())
    for key, version in (("k3", "3.0.0"), ("k2", "2.0.0"), ("k1", "1.0.0"), ("k0", "0.9.0")):
        await sent(work, key, "permit", version=version)
    for key, word in (("k3", "ok"), ("k3", "okay"), ("k2", "okay"), ("k1", "ok"), ("k0", "ok"), ("k0", "okay")):
        with pytest.raises(CallbackUnreadable):
            await call(work, SAYS["permit"](key, word))
    for key, word in (("k3", "fine"), ("k2", "ok"), ("k1", "okay"), ("k0", "fine")):  # k0's version is not kept here
        assert (await call(work, SAYS["permit"](key, word))).new
        assert work.of(key) == ["completed"]


async def test_a_department_that_moved_on_answers_older_effects_in_the_words_of_the_version_that_serves(at_work):
    work = at_work(*versions(), secrets=(NEW, OLD, OLD))
    for key, version in (("k3", "3.0.0"), ("k2", "2.0.0"), ("k1", "1.0.0")):
        await sent(work, key, "permit", version=version)
    with pytest.raises(CallbackUnknown):  # the older version's secret proves nothing about what it did not send
        await call(work, SAYS["permit"]("k3", "ok"), secret=OLD)
    with pytest.raises(CallbackNotGenuine):
        await call(work, SAYS["permit"]("k3", "fine"), secret="of-another-department")
    assert work.heard == []
    await call(work, SAYS["permit"]("k1", "fine"), secret=NEW)
    await call(work, SAYS["permit"]("k2", "ok"), secret=OLD)
    assert (await call(work, SAYS["permit"]("k3", "fine"), secret=NEW)).new
    assert work.heard == [("k1", "completed"), ("k2", "completed"), ("k3", "completed")]


async def test_an_operation_that_only_an_older_version_has_is_still_answered(at_work):
    work = at_work(*versions())
    await sent(work, "v1", "visit", version="1.0.0")
    await sent(work, "v2", "visit", version="2.0.0")  # which answers no visits, and neither does the one that serves
    with pytest.raises(CallbackUnknown):
        await call(work, SAYS["visit"]("v2"))
    assert (await call(work, SAYS["visit"]("v1"))).new


async def test_where_the_serving_version_takes_no_callbacks_the_newest_kept_one_stands_in_but_no_trial(at_work):
    third, second, first = versions()
    silent = parse(
        (HEAD.format(id="dep", code=CODES["dep"], tables="").replace("1.0.0", "4.0.0") + OPERATION.format(
            id="permit", kind="submit", idempotent="key", more="")).encode()
    )  # fmt: skip
    work = at_work(silent, first, third, second, trial=2)
    await sent(work, "gone", "permit", version="0.9.0")
    for word in ("fine", "okay"):  # of the trial, and of a version before the newest
        with pytest.raises(CallbackUnreadable):
            await call(work, SAYS["permit"]("gone", word))
    assert (await call(work, SAYS["permit"]("gone", "ok"))).new


# ---- who plays a department, and who listens to one


@pytest.mark.parametrize("place", ["path", "header", "query"])
async def test_the_simulator_tells_what_a_conformance_run_and_the_portal_expect(monkeypatch, place):
    told_by = f'[callback.told_by]\nplace = "{place}"\n{BY_EVENT}\n' + 'name = "X-Event"\n' * (place != "path")
    read = manifest(f"{ALL}\n{told_by}", (PERMIT, PAYMENT, VISIT_XML))
    simulator = Simulator(read)
    ear, made = CallbackEar(read, simulator.secrets), []
    body = xml(SAYS["visit"]("v1"))
    monkeypatch.setattr(simulator, "callback_body", lambda _: body)

    async def posted(operation, data):
        told = envelope_for(read.callback, operation)
        made.append((operation, told))
        return True

    played = Callbacks(simulator, "http://127.0.0.1:9/v1/callbacks")
    monkeypatch.setattr(played, "_post", posted)
    await played._make(Owed(operation="visit", key="v1"))
    [(operation, told)] = made
    headers = [*signed_headers(body, secret=simulator.secrets["callback_secret"]).items()]
    headers += [(name.lower(), value) for name, value in told.headers.items()]
    path = "/v1/callbacks/dep" + (f"/{told.segment}" if told.segment else "")
    assert ear._note(Outgoing("POST", "http://127.0.0.1", path, told.query, headers, body)) == operation == "visit"
    assert await ear.about("v1") is None
    assert ear._note(Outgoing("POST", "http://127.0.0.1", "/v1/callbacks/dep", "", headers[:3], body)) == ""
    assert ear._heard[""] == "untold"
