"""What of certificates is sealed for years, and so sealed anew when the key changes."""

from typing import Final

from onestop.certificates import store_reseal as store
from onestop.certificates.service import body_context
from onestop.resealing import Sealed, again

# Digest and code's index stay as they were made: both tell their suite, and are looked up by either.
SEALED: Final = (
    Sealed(
        table="certificates",
        select=store.SELECT_STALE_BODIES,
        update=store.UPDATE_SEALED_BODIES,
        anew=lambda keys, row: [again(keys, row["body"], body_context(row["key"][0]))],
    ),
)
