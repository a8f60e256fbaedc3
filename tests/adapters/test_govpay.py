"""GOV.UK Pay, from its own OpenAPI document, against Prism behind a front that checks the key."""

import pytest

from tests.adapters.servers import PAY_KEY

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("quick")]
FEE = {"fee_fen": 1200, "description": "Residence permit", "return_url": "https://portal.example/back"}


async def test_a_wrong_key_is_named_and_nothing_is_paid(open_office, servers):
    before = servers.pay.told("/-/created")["created"]
    async with open_office("govpay", servers.pay.url, api_key="of-somebody-else") as pay:
        answer = await pay.ask("create_payment", **FEE)
        assert (answer.kind, answer.reason) == ("denied", "Request blocked by firewall rules")
    assert servers.pay.told("/-/created")["created"] == before


async def test_a_payment_that_breaks_the_documents_rules_is_declined_with_their_sentence(open_office, servers):
    async with open_office("govpay", servers.pay.url, api_key=PAY_KEY) as pay:
        effect = await pay.submit("create_payment", **FEE | {"fee_fen": 99_000_000})
        [settled] = pay.outcomes(effect.key)
        assert (effect.state, settled.outcome) == ("refused", "declined")
        assert settled.reason.startswith("Invalid attribute value: amount")


async def test_a_payment_is_created_once_looked_after_and_ends_paid(open_office, servers):
    before = servers.pay.told("/-/created")["created"]
    async with open_office("govpay", servers.pay.url, api_key=PAY_KEY) as pay:
        effect = await pay.submit("create_payment", **FEE)
        first, last = pay.outcomes(effect.key)
        assert (first.outcome, first.reference) == ("pending", "hu20sqlact5260q2nanm0q8u93")
        assert first.result["pay_at"].startswith("https://")
        assert (effect.state, effect.answer, last.outcome) == ("done", "received", "completed")
    assert servers.pay.told("/-/created")["created"] == before + 1
