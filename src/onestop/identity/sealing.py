"""What is sealed of a subject: its own data key under the region's, number and name under the data key.

Rows from before there were data keys lie under the installation's key; they are opened as well and sealed anew.
"""

import os
from typing import Final

from onestop.crypto import Keys, Sealer

_INDEX: Final = "subjects.number"
_KEY_BYTES: Final = 32


def new_data_key() -> bytes:
    """Return a new data key."""
    return os.urandom(_KEY_BYTES)


def wrap(keys: Keys, region: str, subject_id: str, data_key: bytes) -> bytes:
    """Return a data key as its row keeps it."""
    return keys.region(region).seal(data_key, _key_context(subject_id))


def rewrap(keys: Keys, region: str, subject_id: str, wrapped: bytes) -> bytes:
    """Return the same data key under the present key of the region.

    Raises:
        SealBroken: it is not this subject's.
    """
    return wrap(keys, region, subject_id, _unwrapped(keys, region, subject_id, wrapped))


def subject_sealer(keys: Keys, region: str, subject_id: str, wrapped: bytes | None) -> Sealer:
    """Return what seals and opens one subject's data; None: the installation's key, for a row from before.

    Raises:
        SealBroken: the data key is not this subject's.
    """
    if wrapped is None:
        return keys
    return keys.data_sealer(_unwrapped(keys, region, subject_id, wrapped))


def _unwrapped(keys: Keys, region: str, subject_id: str, wrapped: bytes) -> bytes:
    return keys.region(region).unseal(wrapped, _key_context(subject_id))


def subject_index(keys: Keys, number_type: str, number: str) -> bytes:
    """Return the blind index a subject is written with."""
    return keys.blind_index(_indexed(number_type, number), _INDEX)


def subject_indices(keys: Keys, number_type: str, number: str) -> list[bytes]:
    """Return every blind index a subject may have been written with."""
    return keys.blind_indices(_indexed(number_type, number), _INDEX)


def _indexed(number_type: str, number: str) -> str:
    return f"{number_type}:{number}"


# What a sealed value is bound to: table, column, row. A value moved to another place does not open.
def number_context(subject_id: str) -> str:
    """Return what a number is sealed for."""
    return f"subjects.number:{subject_id}"


def name_context(subject_id: str) -> str:
    """Return what a name is sealed for."""
    return f"subjects.name:{subject_id}"


def department_id_context(subject_id: str, department: str) -> str:
    """Return what a department's identifier is sealed for."""
    return f"subject_department_ids.value:{subject_id}:{department}"


def _key_context(subject_id: str) -> str:
    return f"subjects.data_key:{subject_id}"
