"""What of the audit is sealed for years, and so sealed anew when the root key changes."""

from typing import Final

from onestop.audit import store_reseal as store
from onestop.audit.anchor_keys import key_context
from onestop.resealing import Sealed, again

SEALED: Final = (
    Sealed(
        table="audit_keys",
        select=store.SELECT_STALE_KEYS,
        update=store.UPDATE_SEALED_KEYS,
        anew=lambda keys, row: [again(keys, row["sealed"], key_context(row["key"][0]))],
    ),
)
