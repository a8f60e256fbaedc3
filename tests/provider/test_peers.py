"""Other people's relying parties against a whole onestop over sockets: npm's openid-client and oauth4webapi.

Skipped only where npm is not there.
"""

import asyncio
import json
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import uvicorn
from authlib.oidc.discovery import OpenIDProviderMetadata
from joserfc.jwk import ECKey

from identity.conftest import LIN
from onestop.app import open_portal
from onestop.crypto import Keys
from onestop.identity.models import SESSION_COOKIE
from onestop.identity.service import Sessions
from onestop.provider import metadata, service_clients
from onestop.provider.models import NewClient
from onestop.provider.service_clients import Clients
from onestop.provider.service_notices import Notices
from tests.ports import HOST, free_port
from tests.provider.conftest import PURPOSE

pytestmark = pytest.mark.anyio
HERE = Path(__file__).parent / "peer"
needs_npm = pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")


AGREEMENT = """
    INSERT INTO agreements (id, adapter, consumer, operation, purpose_zh, purpose_en, begins, state, asked_by)
    VALUES ('agr_peer', 'gongan', 'department:renshe', '*', '核对户籍', 'To check households', now(), 'active', 'test')
"""


async def registered(pool, settings, client_id: str, back: str, **changed: Any) -> dict[str, Any]:
    told = {
        "id": client_id,
        "department": "renshe",
        "name_zh": "社保网站",
        "name_en": "Social insurance site",
        "redirect_uris": (back,),
        "purposes": (PURPOSE,),
    }
    async with pool.acquire() as db, db.transaction():
        new = msgspec.convert(told | changed, NewClient)
        made = await service_clients.register(db, settings, new, by="test")
    return {"id": made.id, "secret": made.secret}


@pytest.fixture(scope="module")
async def found(pool, settings) -> AsyncIterator[dict[str, Any]]:
    """What the relying parties said, each walk by name."""
    port = free_port()
    url, back = f"http://{HOST}:{port}", f"http://{HOST}:{free_port()}/back"
    settings = msgspec.structs.replace(settings, public_url=url)
    key = ECKey.generate_key("P-256", private=True)
    public = {"keys": [key.as_dict(private=False)]}
    clients = {
        "basic": await registered(pool, settings, "peer-basic", back, auth_method="client_secret_basic"),
        "keyed": await registered(pool, settings, "peer-keyed", back, auth_method="private_key_jwt", keys=public),
        "open": await registered(pool, settings, "peer-open", back, auth_method="none"),
    }
    clients["keyed"]["jwk"] = {n: v for n, v in key.as_dict(private=True).items() if n in ("kty", "crv", "x", "y", "d")}
    await pool.execute(AGREEMENT)
    async with open_portal(settings) as desk:
        config = uvicorn.Config(desk, host=HOST, port=port, log_level="critical", access_log=False, lifespan="off")
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve(sockets=None))
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event to wait for
            await asyncio.sleep(0.01)
        sessions = Sessions(pool, Keys.load(settings.state_dir), settings)
        cookie, session = await sessions.open_cookie(LIN, provider="demo")
        for name in ("peer-basic", "peer-keyed", "peer-open"):  # the notice is a page for people: see `test_notice`
            client = await Clients(pool).find(name)
            await Notices(pool, settings.region).note(session.subject_id, client, client.purposes)
        told = {"issuer": url, "cookie": f"{SESSION_COOKIE}={cookie}", "back": back, "clients": clients}
        folder = await asyncio.to_thread(subprocess.check_output, [HERE / "install"], text=True)
        node = await asyncio.create_subprocess_exec(
            "node", HERE / "relying.mjs", folder.strip(), json.dumps(told), stdout=-1, stderr=-1
        )
        async with asyncio.timeout(60):
            out, complained = await node.communicate()
        assert node.returncode == 0, complained.decode()
        yield json.loads(out)
        server.should_exit = server.force_exit = True
        await serving


@needs_npm
@pytest.mark.parametrize(
    ("walk", "kind"),
    [
        ("code", "bearer"),
        ("pushed", "bearer"),
        ("keyed", "bearer"),
        ("open", "bearer"),
        ("bound", "dpop"),
        ("open_bound", "dpop"),
    ],
)
async def test_openid_client_signs_in_refreshes_and_revokes(found, walk, kind):
    told = found[walk]
    assert "failed" not in told, told
    assert (told["name"], told["same"], told["type"]) == (LIN.name, True, kind)
    assert told.get("active", True) is True
    assert told["ended"] == "invalid_grant"
    pushed = walk in ("pushed", "keyed", "bound")
    assert ("request_uri" in told["parameters"]) == pushed
    assert ("scope" in told["parameters"]) != pushed


@needs_npm
async def test_oauth4webapi_does_every_step_and_checks_the_token_offline(found):
    assert found["steps"] == {"name": LIN.name, "type": "dpop", "nonces": True, "client": True, "same": True}


@needs_npm
async def test_a_site_gets_a_token_for_the_department_it_has_an_agreement_with_and_for_no_other(found):
    assert found["exchange"] == {
        "act": "renshe",
        "agreement": "agr_peer",
        "number": LIN.number,
        "elsewhere": "invalid_target",
    }


class Metadata(OpenIDProviderMetadata):
    """authlib's checks but for one: RS256 is not offered, as FAPI 2.0 wants it."""

    def validate_id_token_signing_alg_values_supported(self) -> None:
        assert self["id_token_signing_alg_values_supported"] == ["ES256"]


def test_the_metadata_are_such_as_authlib_takes():
    Metadata(metadata.document("https://portal.test")).validate()
