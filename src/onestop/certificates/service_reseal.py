"""What of certificates and licences is sealed for years, and so sealed anew when the key changes."""

from typing import Final

from onestop.certificates import store_reseal as store
from onestop.certificates.licences import copy_context, snapshot_context
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
    Sealed(
        table="licences",
        select=store.SELECT_STALE_SNAPSHOTS,
        update=store.UPDATE_SEALED_SNAPSHOTS,
        anew=lambda keys, row: [again(keys, row["body"], snapshot_context(row["key"][0]))],
    ),
    Sealed(
        table="licence_copies",
        select=store.SELECT_STALE_COPIES,
        update=store.UPDATE_SEALED_COPIES,
        anew=lambda keys, row: [again(keys, row["about"], copy_context(row["key"][0]))],
    ),
)
