"""A mandate as one of its parties sees it, in their language."""

from typing import Protocol

from onestop import clock
from onestop.crypto import Keys
from onestop.identity.rules import mask_number
from onestop.identity.service import Sessions
from onestop.mandates import rules
from onestop.mandates.models import Direction, Mandate, MandateView
from onestop.mandates.sealing import open_told
from onestop.texts import Language, text


class Room(Protocol):
    """What views are made with."""

    @property
    def sessions(self) -> Sessions: ...
    @property
    def keys(self) -> Keys: ...


async def view(room: Room, mandate: Mandate, direction: Direction, lang: Language) -> MandateView:
    """Return a mandate with its words.

    The giver reads the receiver as they named them: a number typed wrong must not tell them somebody's name.
    """
    rule = rules.kinds()[mandate.kind]
    principal = await room.sessions.person(mandate.principal)
    told = open_told(room.keys, mandate)
    if told is None or direction == "received":
        actor = await room.sessions.person(mandate.actor)
        actor_name, actor_number = actor.name, mask_number(actor.number)
    else:
        actor_name, actor_number = told.name, told.number_masked
    side: rules.Side = "principal" if direction == "given" else "actor"
    return MandateView(
        id=mandate.id,
        kind=mandate.kind,
        kind_name=text(f"mandate.kind.{mandate.kind}", lang),
        direction=direction,
        principal_name=principal.name,
        actor_name=actor_name,
        actor_number=actor_number,
        state=mandate.state,
        says=text(f"mandate.says.{_saying(mandate)}", lang),
        version=mandate.version,
        scope=mandate.scope,
        hand_on=mandate.hand_on,
        level=mandate.level,
        begins_at=mandate.begins_at,
        ends_at=mandate.ends_at,
        basis=rule.basis_en if lang == "en" else rule.basis_zh,
        source=mandate.adapter,
        as_of=mandate.as_of,
        valid_until=mandate.valid_until,
        spent_cases=mandate.cases,
        spent_fen=mandate.fen,
        moves=rules.moves(mandate, side),
        usable=direction == "received" and _usable(mandate),
        links={"self": f"/v1/me/mandates/{mandate.id}"},
    )


def _usable(mandate: Mandate) -> bool:
    """Tell whether somebody may try to act under it: a department is asked again where its answer is too old."""
    now = clock.now()
    if mandate.adapter is not None and (mandate.ends_at is None or now < mandate.ends_at):
        return mandate.state == "live"
    return rules.standing(mandate, now) is None


def _saying(mandate: Mandate) -> str:
    """Return the key of the sentence that says how a mandate stands, or who acts next."""
    if mandate.state == "offered" and mandate.confirmed_at is None:
        return "unconfirmed"
    if mandate.state == "live":
        return {"not_begun": "not_begun", "expired": "expired"}.get(rules.standing(mandate, clock.now()) or "", "live")
    return mandate.state
