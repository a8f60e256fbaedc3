"""Who used my data: one's own only, in one's language, with a proof that another program checks."""

import pytest

import onestop_verify
from audit.ledger import TABLES
from onestop.audit.sealer import Sealer
from onestop.audit.witness import Witness
from onestop.crypto import Keys

from .conftest import ANA, BEN

pytestmark = pytest.mark.anyio

NOTE = {"applicant": {"note": "要办"}}


@pytest.fixture
async def sealer(pool, tmp_path):
    await pool.execute(f"TRUNCATE {TABLES}")
    return Sealer(pool, Keys.load(tmp_path), "990100", Witness(tmp_path / "anchors.jsonl"))


async def looked_up(ana):
    await ana.post("/v1/me/lookups", json={"wants": ["one", "two"]})
    return (await ana.get("/v1/me/data-use")).json()["data"][0]


async def test_nobody_else_sees_an_entry_and_an_unknown_id_reads_the_same(world, sealer):
    async with world.client(ANA) as ana, world.client(BEN) as ben:
        one = await looked_up(ana)
        for tail in ("", "/proof", "/explanation"):
            foreign = await ben.get(f"/v1/me/data-use/{one['id']}{tail}")
            nothing = await ben.get(f"/v1/me/data-use/use_{'0' * 26}{tail}")
            assert foreign.status_code == nothing.status_code == 404
            assert {k: v for k, v in foreign.json().items() if k in ("code", "title", "detail")} == {
                k: v for k, v in nothing.json().items() if k in ("code", "title", "detail")
            }
        assert (await ben.get("/v1/me/data-use")).json()["data"] == []


async def test_an_entry_says_by_whom_what_why_and_by_what_right_in_both_languages(world, sealer):
    async with world.client(ANA) as ana:
        one = await looked_up(ana)
        english = (await ana.get(one["links"]["self"], headers={"accept-language": "en"})).json()
    assert (one["by"], one["case"]) == ("you", None)
    assert [use["department"]["id"] for use in one["uses"]] == ["one", "two"]
    use, same = one["uses"][0], english["uses"][0]
    assert use["outcome"] == "read"
    assert "answer" in use["fields"]
    assert use["purpose"]
    assert use["basis"]
    assert use["purpose"] != same["purpose"]
    assert use["says"] != same["says"]


async def test_an_entry_is_explained_by_the_purpose_its_article_and_how_sure_that_is(world, sealer):
    async with world.client(ANA) as ana:
        looked = await looked_up(ana)
        await ana.post("/v1/cases", json={"item": "permit"}, headers={"idempotency-key": "explained"})
        filled = (await ana.get("/v1/me/data-use")).json()["data"][0]
        told = [(await ana.get(one["links"]["explanation"])).json()["why"][0] for one in (looked, filled)]
    assert [why["purpose"] for why in told] == ["own-affairs", "application"]
    assert "第四十五条" in told[0]["law"]["article"]
    assert told[0]["law"]["confidence"] == "found"
    assert (told[0]["kind"], "answer" in told[0]["use"]["fields"]) == ("statutory_duty", True)


async def test_what_a_case_gives_away_is_there_with_the_case(world, sealer):
    async with world.client(ANA) as ana:
        case = (
            await ana.post(
                "/v1/cases",
                json={"item": "permit", "submit": True, "answers": NOTE},
                headers={"idempotency-key": "k"},
            )
        ).json()
        one = (await ana.get("/v1/me/data-use")).json()["data"][0]
    assert one["case"] == case["id"]
    given = next(use for use in one["uses"] if use["outcome"] == "given")
    assert given["effect"].startswith("eff_")
    assert set(given["fields"]) >= {"name", "subject.number", "subject.name"}


async def test_the_list_goes_on_from_page_to_page(world, sealer):
    async with world.client(ANA) as ana:
        for _ in range(3):
            await looked_up(ana)
        first = await ana.get("/v1/me/data-use?limit=2")
        assert first.json()["has_more"]
        link = first.headers["link"].partition(">")[0].removeprefix("<")
        second = (await ana.get(link)).json()
    seen = [one["id"] for one in (*first.json()["data"], *second["data"])]
    assert (len(seen), seen) == (3, sorted(seen, reverse=True))
    assert not second["has_more"]


async def test_a_proof_comes_with_the_anchor_and_another_program_takes_it(world, sealer):
    async with world.client(ANA) as ana:
        one = await looked_up(ana)
        for _ in range(4):
            await looked_up(ana)
        early = await ana.get(one["links"]["proof"])
        assert (early.status_code, early.json()["code"]) == (409, "data_use.not_anchored")
        assert int(early.headers["retry-after"]) == 60
        await sealer.seal()
        await sealer.anchor()
        proof = (await ana.get(one["links"]["proof"])).json()
        keys = onestop_verify.read_keys((await ana.get("/v1/audit/keys")).json())
        anchors = (await ana.get("/v1/audit/anchors?after=0&limit=1")).json()
    assert one["id"] in proof["entry"]
    assert onestop_verify.check_proof(proof, keys, anchors["data"]).count == 0
    assert onestop_verify.check_proof(proof | {"position": proof["position"] + 1}, keys).kinds == {"path"}
    assert (anchors["next_after"], anchors["data"]) == (None, [proof["anchor"]])
