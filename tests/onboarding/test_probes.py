"""Health probes reach a department by the same way as citizens' questions."""

import msgspec
import pytest

from onestop.onboarding.probes import ask_probe
from tests.gateway.keys import cert_pem
from tests.gateway.peer import ALLOW, line, peer
from tests.gateway.test_auth_tls import ME, MUTUAL, OTHERS, server

pytestmark = pytest.mark.anyio


async def test_a_probe_goes_by_the_departments_own_tls_and_with_what_every_request_carries():
    text = '[always]\nheaders = { X-Gate = "east" }\n[probe]\npath = "/health"\n' + MUTUAL
    async with peer(tls=server(asks=True)) as served, line(text, ME, served) as opened:
        assert await ask_probe(opened.manifest, opened.where, ALLOW) == 200
        others = msgspec.structs.replace(opened.where, secrets=ME | {"ca": cert_pem(OTHERS)})
        assert await ask_probe(opened.manifest, others, ALLOW) is None, "another authority is not believed"
    assert [(seen.target, seen.headers["x-gate"]) for seen in served.asked] == [("/health", "east")]
    assert "authorization" not in served.asked[0].headers
