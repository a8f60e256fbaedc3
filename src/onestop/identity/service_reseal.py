"""What of identity is sealed for years, and so sealed anew when the key changes."""

from collections.abc import Sequence
from typing import Any, Final

from onestop.crypto import Keys
from onestop.identity import sealing
from onestop.identity import store_reseal as store
from onestop.identity.service_keys import signing_key_context
from onestop.resealing import Sealed, again


def _subject(keys: Keys, row: Any) -> Sequence[object]:
    """Wrap the data key anew, making one where there is none; number, name and index follow the suite."""
    subject_id, region, wrapped = row["key"][0], row["region"], row["data_key"]
    opener = sealing.subject_sealer(keys, region, subject_id, wrapped)
    if wrapped is None:
        anew = sealing.wrap(keys, region, subject_id, sealing.new_data_key())
    else:
        anew = sealing.rewrap(keys, region, subject_id, wrapped)
    sealer = sealing.subject_sealer(keys, region, subject_id, anew)
    number = opener.unseal(row["number"], sealing.number_context(subject_id))
    name = opener.unseal(row["name"], sealing.name_context(subject_id))
    return [
        sealer.seal(number, sealing.number_context(subject_id)),
        sealer.seal(name, sealing.name_context(subject_id)),
        sealing.subject_index(keys, row["number_type"], number.decode()),
        anew,
    ]


def _department_id(keys: Keys, row: Any) -> Sequence[object]:
    subject_id, department = row["key"]
    sealer = sealing.subject_sealer(keys, row["region"], subject_id, row["data_key"])
    return [again(sealer, row["value"], sealing.department_id_context(subject_id, department))]


SEALED: Final = (
    Sealed(
        table="subjects",
        select=store.SELECT_STALE_SUBJECTS,
        update=store.UPDATE_SEALED_SUBJECTS,
        anew=_subject,
    ),
    Sealed(
        table="subject_department_ids",
        select=store.SELECT_STALE_DEPARTMENT_IDS,
        update=store.UPDATE_SEALED_DEPARTMENT_IDS,
        first=("", ""),
        anew=_department_id,
    ),
    Sealed(
        table="signing_keys",
        select=store.SELECT_STALE_KEYS,
        update=store.UPDATE_SEALED_KEYS,
        anew=lambda keys, row: [again(keys, row["private_jwk"], signing_key_context(row["key"][0]))],
    ),
)
