"""What of mandates is sealed for years, and so sealed anew when the key changes."""

from typing import Final

from onestop.mandates import store
from onestop.mandates.sealing import told_context
from onestop.resealing import Sealed, again

SEALED: Final = (
    Sealed(
        table="mandates",
        select=store.SELECT_STALE_TOLD,
        update=store.UPDATE_SEALED_TOLD,
        anew=lambda keys, row: [again(keys, row["told"], told_context(row["key"][0]))],
    ),
)
