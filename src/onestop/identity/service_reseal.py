"""What of identity is sealed for years, and so sealed anew when the key changes."""

from collections.abc import Sequence
from typing import Any, Final

from onestop.crypto import Keys
from onestop.identity import store_reseal as store
from onestop.identity.service_keys import signing_key_context
from onestop.identity.service_subjects import name_context, number_context, subject_index
from onestop.resealing import Sealed, again


def _subject(keys: Keys, row: Any) -> Sequence[object]:
    """Seal number and name anew; the index follows the suite, since the number is open here anyway."""
    subject_id = row["key"][0]
    number = keys.unseal(row["number"], number_context(subject_id)).decode()
    return [
        again(keys, row["number"], number_context(subject_id)),
        again(keys, row["name"], name_context(subject_id)),
        subject_index(keys, row["number_type"], number),
    ]


SEALED: Final = (
    Sealed(
        table="subjects",
        select=store.SELECT_STALE_SUBJECTS,
        update=store.UPDATE_SEALED_SUBJECTS,
        anew=_subject,
    ),
    Sealed(
        table="signing_keys",
        select=store.SELECT_STALE_KEYS,
        update=store.UPDATE_SEALED_KEYS,
        anew=lambda keys, row: [again(keys, row["private_jwk"], signing_key_context(row["key"][0]))],
    ),
)
