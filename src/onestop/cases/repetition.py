"""Safe repetition of verbs that wait for a case's row: whoever waited asks for the kept answer before refusing."""

from collections.abc import Awaitable, Callable

from onestop.cases.office import Office
from onestop.db import Connection
from onestop.errors import OnestopError
from onestop.http import idempotency
from onestop.http.idempotency import Keyed, Reply


async def once(
    office: Office,
    keyed: Keyed,
    write: Callable[[Connection], Awaitable[Reply]],
    permit: Callable[[], Awaitable[None]] | None = None,
) -> Reply:
    """Answer under a key as `idempotency.once` does; `permit` raises what forbids the act, with no transaction open.

    A repetition that waited for the row finds the case changed by its own first request: a refusal for that reason
    would be untrue, so a kept answer goes before any refusal.

    Raises:
        KeyReused: the key came before with another body.
    """
    try:
        if permit is not None:
            await permit()
        return await idempotency.once(office.pool, office.keys, keyed, write)
    except OnestopError:
        kept = await idempotency.find(office.pool, office.keys, keyed)
        if kept is None:
            raise
        return kept
