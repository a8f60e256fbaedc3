"""Where operations stand: a manifest calls one address, documents may name several."""

from collections import Counter
from typing import Any

from onestop.onboarding.importing.drafts import Draft
from onestop.onboarding.importing.models import Description
from onestop.onboarding.importing.notes import Notes


def server_of(draft: Draft, description: Description) -> str:
    """Return the address at which an operation stands; "" where the document names none."""
    return draft.described.server or next(iter(description.servers), "")


def neighbours(drafts: list[Draft], description: Description) -> list[Draft]:
    """Return the operations that stand at the address where most of them do; at the first of equals."""
    counts = Counter(server_of(draft, description) for draft in drafts)
    most = max(counts, key=lambda server: counts[server], default="")
    return [draft for draft in drafts if server_of(draft, description) == most]


def settle(taken: list[Draft], description: Description, notes: Notes, spot: Any) -> None:
    """Make the address of the operations that are taken the document's first, and name those that stand elsewhere."""
    near = neighbours(taken, description)
    server = server_of(near[0], description) if near else ""
    if server:
        description.servers = [server, *(other for other in description.servers if other != server)]
    for draft in taken:
        if draft not in near:
            there = spot(draft.described.pointer)
            told = {"operation": draft.id, "server": server_of(draft, description), "main": server}
            notes.add("server_other", there, "error", **told)
