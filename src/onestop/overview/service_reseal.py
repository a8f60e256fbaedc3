"""What of the overview is sealed for years, and so sealed anew when the key changes."""

from typing import Final

from onestop.overview import store_reseal as store
from onestop.overview.service_challenges import words_context
from onestop.resealing import Sealed, again

SEALED: Final = (
    Sealed(
        table="use_challenges",
        select=store.SELECT_STALE_CHALLENGES,
        update=store.UPDATE_SEALED_CHALLENGES,
        anew=lambda keys, row: [
            again(keys, row[name], words_context(row["key"][0], name)) for name in ("reason", "answer")
        ],
    ),
)
