"""What was taken once is taken no second time: codes, proofs, assertions, shown again to two instances at once.

`REPLAYS=full` (`make replays`) does it 1,000 times, else a few of each kind.
"""

import asyncio
import os
import time
from functools import partial
from itertools import cycle
from typing import Any

import pytest

from onestop.provider.callers import ASSERTION_TYPE
from tests.provider.conftest import Instance

pytestmark = pytest.mark.anyio
EACH = 340 if os.environ.get("REPLAYS") == "full" else 12


async def statuses(asked: list[Any]) -> list[int]:
    """Ask everything, eight at a time, and return what was answered."""
    slots = asyncio.Semaphore(8)

    async def one(call: Any) -> int:
        async with slots:
            return int((await call()).status_code)

    return await asyncio.gather(*(one(call) for call in asked))


@pytest.fixture
def both(onestop: Instance, elsewhere: Instance) -> Any:
    return cycle((onestop, elsewhere))


async def test_no_code_is_taken_again_not_even_at_the_same_moment(both, register, lin):
    site = await register()
    code = await site.code(lin)
    found = await statuses([partial(site.redeems, code, at=next(both)) for _ in range(8)])
    assert found.count(200) <= 1  # of eight at once one; none where a second use ended it before it was answered
    assert set(found) <= {200, 400}
    again = await statuses([partial(site.redeems, code, at=next(both)) for _ in range(EACH)])
    assert set(again) == {400}
    print(f"\n{len(again)} replays of a code: 0 taken")


async def test_no_refresh_token_is_taken_again_at_the_same_moment(both, register, lin):
    site = await register()
    token = (await site.signs_in(lin))["refresh_token"]
    found = await statuses([partial(site.refreshes, token, at=next(both)) for _ in range(8)])
    assert found.count(200) <= 1  # and where another one's second use ended the sign-in first, none
    assert set(found) <= {200, 400}


async def test_no_proof_is_taken_again(both, register, lin):
    site = await register()
    token = (await site.signs_in(lin, dpop=True))["access_token"]
    told = {"jti": "once", "iat": int(time.time())}
    found = await statuses([partial(site.userinfo, token, dpop=True, at=next(both), **told) for _ in range(8)])
    assert sorted(found) == [200] + [401] * 7
    again = [partial(site.userinfo, token, dpop=True, at=next(both), **told) for _ in range(EACH)]
    assert set(await statuses(again)) == {401}
    print(f"\n{EACH} replays of a proof: 0 taken")


async def test_no_assertion_is_taken_again(both, register):
    site = await register("private_key_jwt")
    form = {"client_assertion_type": ASSERTION_TYPE, "client_assertion": site.assertion(), "token": "x"}

    def shows(at: Instance) -> Any:
        return partial(site.calls, "/oauth/introspect", form, at=at)

    site.key = None  # it proves itself by what is in the form alone
    found = await statuses([shows(next(both)) for _ in range(8)])
    assert sorted(found) == [200] + [401] * 7
    again = await statuses([shows(next(both)) for _ in range(EACH)])
    assert set(again) == {401}
    print(f"\n{len(again)} replays of an assertion: 0 taken")
