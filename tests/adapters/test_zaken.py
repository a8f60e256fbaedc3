"""A Dutch municipality's registers: a JWT of our own proves who calls."""

import pytest

from tests.adapters.servers import ZAKEN

pytestmark = pytest.mark.anyio
SECRETS = {"client_id": ZAKEN["client_id"], "jwt_key": ZAKEN["secret"]}


async def test_a_token_made_with_another_secret_is_refused(open_office, servers):
    async with open_office("zaken", servers.zaken.url, **SECRETS | {"jwt_key": "x" * 32}) as registry:
        answer = await registry.ask("find_case")
        assert answer.kind == "denied"


async def test_a_token_of_our_own_is_taken(open_office, servers):
    async with open_office("zaken", servers.zaken.url, **SECRETS) as registry:
        answer = await registry.ask("find_case")
        assert answer.kind == "not_found"
