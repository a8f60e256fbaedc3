"""A department's machine asks another department: by its own agreement, for a matter, within the quota, on record."""

import json

import pytest

from audit.ledger import TABLES, verified
from audit.test_canonical import leaf_of_act, leaf_of_use, rows_of
from onestop.audit import service as audit
from onestop.audit.sealer import Sealer
from onestop.audit.witness import Witness
from onestop.basis import purposes
from onestop.basis.purposes import hashes
from onestop.exchange import rules
from onestop.exchange.errors import HeaderMissing
from onestop.identity.models import Identified
from tests.basis.test_purposes import own
from tests.onboarding.conftest import LIN, ZHOU, manifest
from tests.onboarding.conftest import room as room
from tests.onboarding.conftest import told as told
from tests.onboarding.test_routes import Portal
from tests.onboarding.test_routes import portal as portal

pytestmark = pytest.mark.anyio
PATH = "/v1/exchange/one/query"
NOBODY = "990102199506150038"


class World:
    """Department one on line; two and three with a machine's key each; two with an agreement."""

    def __init__(self, portal: Portal) -> None:
        self.portal = portal
        self.keys: dict[str, str] = {}
        self.agreement = ""

    async def ask(self, who="two", number=LIN, path=PATH, **headers):
        told = {"agreement": self.agreement, "purpose": "M-1", **headers}
        async with self.portal.client(self.keys.get(who, who)) as client:
            sent = {name: value for name, value in told.items() if value is not None}
            return await client.post(path, json={"subject": {"number": number}}, headers=sent)

    async def key(self, department):
        """Make a machine's key of a department, over HTTP, by a person of it."""
        made = await self.portal.send(department, "POST", "/v1/adapters", {"manifest": manifest(department)})
        assert made.status_code == 201, made.text
        key = await self.portal.send(department, "POST", f"/v1/adapters/{department}/keys", {"label": "etl"})
        self.keys[department] = key.json()["key"]

    async def propose(self, **told):
        """Ask for an agreement with the machine's key; the provider's person agrees."""
        body = {
            "consumer": "department:two", "operation": "query", "purpose_zh": "核验资格", "purpose_en": "To verify",
            **told,
        }  # fmt: skip
        asked = await self.portal.send(self.keys["two"], "POST", "/v1/adapters/one/agreements", body)
        assert (asked.status_code, asked.json()["state"]) == (201, "proposed"), asked.text
        self.agreement = asked.json()["id"]
        return asked.json()

    async def agree(self):
        """Let the provider say yes, and wait until the gateway follows."""
        path = f"/v1/adapters/one/agreements/{self.agreement}/decision"
        done = await self.portal.send("one", "POST", path, {"decision": "approve", "why": "so"})
        assert done.json()["state"] == "active", done.text

        gateway = await self.portal.desk.app.dependencies["gateway"].dependency()

        async def follows():
            return gateway.quotas.find("department:two", "one", "query") is not None

        await self.portal.follows(follows, patience_s=20.0)

    async def uses(self, number):
        """Return what a person's data-use ledger shows them, newest first."""
        who = Identified(number_type="citizen_id", number=number, name="-")
        subject = await self.portal.desk._sessions.know(who)
        return await audit.own_data_uses(self.portal.pool, "990100", subject)

    async def audited(self):
        return await self.portal.pool.fetchval("SELECT count(*) FROM audit_entries WHERE action = 'exchange.asked'")


BY_OWN_ID = {
    '{ id_number = "subject.number" }': '{ id_number = "subject.number", no = "subject.ids.one" }',
    "reply.subject": 'reply.own_id = "data.no"\nreply.subject',
}


@pytest.fixture
def text():
    return manifest()


@pytest.fixture
async def world(portal, text):
    await portal.pool.execute(f"TRUNCATE {TABLES}")
    made = World(portal)
    await portal.live(text)
    await made.key("two")
    return made


# ---- refusals


async def test_without_an_agreement_of_its_own_a_department_is_told_nothing_and_told_why(world):
    async def refused(**told):
        answer = await world.ask(**told)
        assert "data" not in answer.json()
        return answer.status_code, answer.json()["code"]

    assert await refused(agreement="agr_other") == (403, "agreement.missing")
    await world.propose(per_day=50)
    assert await refused() == (403, "agreement.missing"), "proposed is not agreed"
    await world.agree()
    assert (await world.ask()).status_code == 200
    assert await refused(who="one") == (403, "agreement.missing"), "another department's agreement is nobody else's"
    assert await refused(agreement="agr_other") == (403, "agreement.missing")
    assert await refused(agreement=None) == (400, "exchange.header")
    assert await refused(purpose=None) == (400, "exchange.header")
    assert await refused(path="/v1/exchange/one/apply") == (404, "exchange.unknown"), "nothing is submitted here"
    assert await refused(path="/v1/exchange/nobody/query") == (404, "exchange.unknown")
    assert await refused(number="x") == (422, "form.invalid")
    for who in ("lin", "office", "operator"):
        assert (await world.ask(who)).status_code == 403
    assert len(world.portal.served.asked) == 1, "what is refused never reaches the department"


async def test_what_rests_on_a_persons_consent_is_not_handed_over_without_and_costs_no_quota(world, tmp_path):
    await world.propose(per_day=1)
    await world.agree()
    basis = await world.portal.desk.app.dependencies["basis"].dependency()
    basis.purposes = purposes.load(own(tmp_path, covers='{ room = "exchange", adapter = "one" }'))
    for number in (NOBODY, LIN):
        refused = await world.ask(number=number)
        assert (refused.status_code, refused.json()["code"], refused.json()["stage"]) == (403, "basis.missing", "basis")
    assert not world.portal.served.asked
    notice = {"notice": hashes(basis.purposes.all["own"])["en"]}
    assert (await world.portal.send("lin", "PUT", "/v1/me/consents/own", notice)).status_code == 200
    assert (await world.ask()).status_code == 200, "the one call of the day was still there"
    await world.portal.send("lin", "DELETE", "/v1/me/consents/own")
    assert (await world.ask()).json()["code"] == "basis.missing"


async def test_a_quota_that_is_used_up_says_until_when(world):
    await world.propose(per_day=2)
    await world.agree()
    first = await world.ask()
    assert first.headers["ratelimit-policy"] == f'"{world.agreement}";q=2;w=86400'
    assert first.headers["ratelimit"].startswith(f'"{world.agreement}";r=1;')
    assert (await world.ask(number=ZHOU)).status_code == 200
    over = await world.ask()
    assert (over.status_code, over.json()["code"]) == (429, "quota.exhausted")
    assert 0 < int(over.headers["retry-after"]) <= 86_400
    assert await world.audited() == 2


@pytest.mark.parametrize("value", [None, b"", b" ", b"\xe5\x8a\x9e", b"a" * 121, b"a\x00b", b"of 990102199203140221"])
def test_a_purpose_is_a_reference_that_a_header_can_hold(value):
    with pytest.raises(HeaderMissing):
        rules.header("Purpose", value)
    assert rules.header("Purpose", b" CASE 12/3 ") == "CASE 12/3"


# ---- what is given is on record


async def test_what_is_given_stands_in_the_person_s_ledger_and_in_nobody_else_s(world):
    await world.propose(per_day=50)
    await world.agree()
    given = await world.ask(purpose="CASE 12/3")
    assert given.status_code == 200, given.text
    part = given.json()["part"]
    assert (part["state"], part["data"]["answer"], given.json()["agreement"]) == ("ok", "/query", world.agreement)
    (use,) = await world.uses(LIN)
    assert (use.actor, use.object) == ("department:two", f"{world.agreement}: CASE 12/3")
    assert [(one.adapter, one.operation, one.purpose, one.outcome) for one in use.uses] == [
        ("one", "query", "核验资格", "read"),
        ("two", "query", "核验资格", "told"),
    ]
    assert await world.uses(ZHOU) == []
    assert await world.audited() == 1


async def test_what_is_given_carries_its_leaf_and_is_sealed_and_verified(world, keys, tmp_path):
    await world.propose(per_day=50)
    await world.agree()
    assert (await world.ask()).status_code == 200
    acts, uses = await rows_of(world.portal.pool)
    assert len(uses) == 1
    assert [row["leaf"] for row in acts] == [leaf_of_act(row) for row in acts]
    assert [row["leaf"] for row in uses] == [leaf_of_use(row) for row in uses]
    assert LIN not in uses[0]["content"]
    works = Sealer(world.portal.pool, keys, "990100", Witness(tmp_path / "anchors.jsonl"))
    assert await works.seal() >= 2
    await works.anchor(every_s=0)
    report = await verified(world.portal.pool, works)
    assert (report.entries, report.count) == (len(acts) + len(uses), 0)
    change = "UPDATE data_uses SET content = replace(content, 'two', 'six') WHERE actor = 'department:two'"
    await world.portal.pool.execute(change)
    assert {one.kind for one in (await verified(world.portal.pool, works)).findings} == {"changed"}
    await world.portal.pool.execute(f"TRUNCATE {TABLES}")


async def test_the_person_sees_the_office_that_was_told_and_disputes_its_asking(world):
    await world.propose(per_day=50)
    await world.agree()
    assert (await world.ask()).status_code == 200
    entries = (await world.portal.send("lin", "GET", "/v1/me/data-use")).json()["data"]
    assert entries[0]["by"] == "office"
    assert [(one["department"]["id"], one["outcome"]) for one in entries[0]["uses"]] == [
        ("one", "read"),
        ("two", "told"),
    ]
    body = {"reason": "why", "department": "two"}
    done = await world.portal.send("lin", "POST", entries[0]["links"]["challenge"], body)
    assert (done.status_code, done.json()["department"]["id"]) == (201, "two")


@pytest.mark.parametrize("text", [manifest(**BY_OWN_ID)], ids=["by_own_id"])
async def test_a_department_is_asked_by_its_own_identifier_and_what_it_tells_is_kept(world):
    async def renumbers(path, _, body):
        told = json.loads(body)
        data = {"id_number": told["id_number"], "as_of": "2026-03-02T08:00:00+08:00", "answer": "a"}
        return 200, json.dumps({"data": data | {"no": told["no"] + "1"}}).encode()

    world.portal.served.behaviour = renumbers
    await world.propose(per_day=50)
    await world.agree()
    unknown = (await world.ask()).json()["part"]
    assert unknown["problem"]["code"] == "upstream.own_id_unknown"
    assert (world.portal.served.asked, await world.uses(LIN)) == ([], []), "who was not asked is not on record as asked"
    sessions = world.portal.desk._sessions
    subject = await sessions.know(Identified(number_type="citizen_id", number=LIN, name="-"))
    await sessions.learn(await sessions.subject(subject), {"one": "P-", "two": "Q-"})
    for _ in range(2):
        answer = await world.ask()
        assert answer.json()["part"]["data"] == {"answer": "a"}
        assert "P-" not in answer.text
    assert [json.loads(body)["no"] for _, _, body in world.portal.served.asked] == ["P-", "P-1"]


async def test_somebody_the_portal_never_met_finds_the_use_after_the_first_sign_in(world):
    await world.propose(per_day=50)
    await world.agree()
    assert (await world.ask(number=NOBODY)).status_code == 200
    assert len(await world.uses(NOBODY)) == 1


async def test_a_department_s_word_renames_nobody(world):
    await world.propose(per_day=50)
    await world.agree()
    sessions = world.portal.desk._sessions
    subject = await sessions.know(Identified(number_type="citizen_id", number=ZHOU, name="周一"))
    async with world.portal.client(world.keys["two"]) as client:
        body = {"subject": {"number": ZHOU, "name": "别名"}}
        given = await client.post(PATH, json=body, headers={"agreement": world.agreement, "purpose": "M-1"})
    assert given.status_code == 200
    assert (await sessions.subject(subject)).name == "周一"


async def test_what_cannot_be_put_on_record_is_not_handed_over(world):
    await world.propose(per_day=50)
    await world.agree()
    pool = world.portal.pool
    await pool.execute("ALTER TABLE audit_entries ADD CONSTRAINT no_m2 CHECK (object NOT LIKE '%M-2')")
    try:
        refused = await world.ask(purpose="M-2")
    finally:
        await pool.execute("ALTER TABLE audit_entries DROP CONSTRAINT no_m2")
    assert refused.status_code == 500
    assert "part" not in refused.json()
    assert "2026-03-02" not in refused.text
    assert await world.uses(LIN) == [], "the ledger and the audit stand together or not at all"


async def test_an_agreement_that_is_ended_holds_no_longer(world):
    await world.propose(per_day=50)
    await world.agree()
    path = f"/v1/adapters/one/agreements/{world.agreement}/decision"
    await world.portal.send("one", "POST", path, {"decision": "end", "why": "over"})

    async def refused():
        return (await world.ask()).status_code == 403

    await world.portal.follows(refused, patience_s=20.0)
