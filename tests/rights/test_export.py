"""One signed file of everything that is held of a person, made by the worker, for that person alone."""

import base64

import pytest

from onestop.rights import service_export
from tests.rights.conftest import ANA, town_on

pytestmark = pytest.mark.anyio


async def test_an_export_holds_everything_of_its_person_signed_and_one_that_cannot_be_made_says_so(
    dsn, state_dir, pool
):
    async with town_on(dsn, state_dir) as town:
        await town.sign_in("ana", "ana_1", "ben")
        for who in ("ana", "ben"):
            await town.live_a_little(who)
        office = await town.desk.app.dependencies["office"].dependency()
        refused = await town.ask("ana_1", "POST", "/v1/me/exports")
        assert (refused.status_code, refused.json()["code"]) == (403, "rights.level_needed")
        asked = await town.ask("ana", "POST", "/v1/me/exports")
        here = asked.headers["location"]
        assert (asked.status_code, asked.json()["state"]) == (202, "queued")
        assert (await town.ask("ana", "POST", "/v1/me/exports")).headers["location"] == here, "one at a time"
        early = await town.ask("ana", "GET", f"{here}/file")
        assert (early.status_code, early.json()["code"]) == (409, "rights.export_not_ready")
        assert await service_export.work(office) == 1
        assert await service_export.work(office) == 0
        for path in (here, f"{here}/file"):
            stranger = await town.ask("ben", "GET", path)
            assert (stranger.status_code, stranger.json()["code"]) == (404, "rights.export_unknown")
        assert (await town.ask("ana_1", "GET", f"{here}/file")).status_code == 403
        assert (await town.ask("ana", "GET", here)).json()["links"]["file"] == f"{here}/file"

        got = await town.ask("ana", "GET", f"{here}/file")
        file, told = got.json(), got.json()["export"]
        body = base64.urlsafe_b64decode(file["payload"] + "==")
        assert office.issuer.is_genuine(body, file["signature"])
        assert not office.issuer.is_genuine(body.replace(b"export", b"forged", 1), file["signature"])
        assert told["person"]["number"] == ANA
        assert [one["case"]["item"]["code"] for one in told["cases"]] == ["birth"]
        assert [one["purpose"] for one in told["consents"]] == ["housing-fund-handover"]
        assert len(told["sessions"]) == 2
        assert told["retention"]["export"]["days"] == 3
        assert town.subjects["ben"] not in got.text
        acts = await pool.fetch("SELECT action FROM audit_entries WHERE object = $1 ORDER BY id", file["id"])
        assert [row["action"] for row in acts] == ["export.asked", "export.asked", "export.fetched"]
        assert ANA.encode() not in await pool.fetchval("SELECT file FROM exports"), "it lies sealed"

        await pool.execute("INSERT INTO exports (region, id, subject, lang) VALUES ('990100', 'exp_1', 'sub_no', 'zh')")
        assert await service_export.work(office) == 0
        assert await pool.fetchval("SELECT state FROM exports WHERE id = 'exp_1'") == "failed"
