"""What of cases is sealed for years, and so sealed anew when the key changes."""

from typing import Final

from onestop.cases import store_reseal as store
from onestop.cases.sealing import answers_context, doubt_context, result_context
from onestop.resealing import Sealed, again

SEALED: Final = (
    Sealed(
        table="cases",
        select=store.SELECT_STALE_ANSWERS,
        update=store.UPDATE_SEALED_ANSWERS,
        anew=lambda keys, row: [again(keys, row["answers"], answers_context(row["key"][0]))],
    ),
    Sealed(
        table="case_steps",
        select=store.SELECT_STALE_RESULTS,
        update=store.UPDATE_SEALED_RESULTS,
        first=("", ""),
        anew=lambda keys, row: [again(keys, row["result"], result_context(*row["key"]))],
    ),
    Sealed(
        table="record_doubts",
        select=store.SELECT_STALE_DOUBTS,
        update=store.UPDATE_SEALED_DOUBTS,
        anew=lambda keys, row: [
            again(keys, row[name], doubt_context(row["key"][0], name)) for name in ("said", "answer")
        ],
    ),
)
