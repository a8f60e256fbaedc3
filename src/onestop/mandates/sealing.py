"""What is sealed of a mandate: the actor as the giver named them, which may be nobody's real name."""

import msgspec

from onestop.crypto import Keys
from onestop.mandates.models import Mandate, Told


def told_context(mandate_id: str) -> str:
    """Return what the sealed name is bound to."""
    return f"mandates.told:{mandate_id}"


def seal_told(keys: Keys, mandate_id: str, told: Told) -> bytes:
    """Return the actor's name and masked number as the mandate's row keeps them."""
    return keys.seal(msgspec.json.encode(told), told_context(mandate_id))


def open_told(keys: Keys, mandate: Mandate) -> Told | None:
    """Return the actor as the giver named them; None for a department's mandate.

    Raises:
        SealBroken: the seal is not this mandate's.
    """
    if mandate.told is None:
        return None
    return msgspec.json.decode(keys.unseal(mandate.told, told_context(mandate.id)), type=Told)
