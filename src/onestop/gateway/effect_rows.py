"""What lies sealed in an effect's row: what it hands over, how far it has come, what came of it."""

import secrets
from typing import Any

import msgspec

from onestop import clock
from onestop.crypto import Keys
from onestop.gateway.models import Effect, Settled

_json = msgspec.json.Encoder()


def context(effect_id: str, what: str) -> str:
    """Return what a sealed part of an effect is bound to: its payload, progress or result."""
    return f"effects.{what}.{effect_id}"


def values_of(keys: Keys, effect: Effect, payload: bytes) -> dict[str, Any]:
    """Return what the expressions of an effect's request read."""
    told = msgspec.json.decode(keys.unseal(payload, context(effect.id, "payload")))
    return {
        "payload": told,
        "subject": told.get("subject"),
        "case": told.get("case"),
        "actor": told.get("actor"),
        "mandate": told.get("mandate"),
        "key": effect.key,
        "reference": effect.reference or told.get("reference"),
        "now": clock.now().isoformat(),
        "traceparent": f"00-{effect.trace_id}-{secrets.token_hex(8)}-01" if effect.trace_id else None,
    }


def sealed_result(keys: Keys, effect_id: str, settled: Settled) -> bytes | None:
    """Return a settled effect's result, sealed; None where it has none."""
    return None if settled.result is None else keys.seal(_json.encode(settled.result), context(effect_id, "result"))
