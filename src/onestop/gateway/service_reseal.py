"""What of the gateway is sealed for years, and so sealed anew when the key changes."""

from typing import Final

from onestop.gateway import store_reseal as store
from onestop.gateway.effect_rows import context
from onestop.gateway.places import secret_context
from onestop.resealing import Sealed, again

SEALED: Final = (
    Sealed(
        table="effects",
        select=store.SELECT_STALE_EFFECTS,
        update=store.UPDATE_SEALED_EFFECTS,
        anew=lambda keys, row: [
            again(keys, row[name], context(row["key"][0], name)) for name in ("payload", "result", "progress")
        ],
    ),
    Sealed(
        table="adapter_secrets",
        select=store.SELECT_STALE_SECRETS,
        update=store.UPDATE_SEALED_SECRETS,
        first=("", "", ""),
        anew=lambda keys, row: [again(keys, row["value"], secret_context(*row["key"]))],
    ),
)
