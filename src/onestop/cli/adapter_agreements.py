"""`onestop adapter agreement`, `policy` and `quota`: who may ask an adapter what, and what is left of it today."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from onestop.cli.adapter_life import actor_named, as_option, in_life
from onestop.cli.adapters import adapter
from onestop.cli.place import json_option, state_option
from onestop.cli.speech import Speaker
from onestop.cli.told import told

if TYPE_CHECKING:
    from onestop.onboarding.service import Life

_MOMENT = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"])
_MOST = 200


@adapter.group("agreement", no_args_is_help=True)
def agreement() -> None:
    """The words of every command stand in the catalogue `cli`."""


@agreement.command("list")
@click.argument("name", metavar="ID")
@click.option("--after")
@state_option
@json_option
@click.pass_obj
def list_agreements(speaker: Speaker, name: str, after: str | None, state: Path | None, as_json: bool) -> None:
    from onestop.onboarding import service_terms

    found = in_life(
        state, lambda life: service_terms.agreements(life, actor_named("-"), name, after=after, limit=_MOST)
    )  # fmt: skip
    if as_json:
        speaker.show(found)
        return
    for one in found.data:  # no table: it would cut the ids, and they are what one goes on with
        _tell(speaker, one, as_json=False)
        speaker.line("  " + getattr(one, f"purpose_{speaker.lang}"))
    _more(speaker, found.next_cursor)


@agreement.command("propose")
@click.argument("name", metavar="ID")
@click.argument("consumer", metavar="CONSUMER")
@click.option("--operation", default="*")
@click.option("--purpose-zh", required=True)
@click.option("--purpose-en", required=True)
@click.option("--per-day", type=int)
@click.option("--per-second", type=float)
@click.option("--begins", type=_MOMENT)
@click.option("--ends", type=_MOMENT)
@as_option
@state_option
@json_option
@click.pass_obj
def propose(
    speaker: Speaker, name: str, consumer: str, operation: str, purpose_zh: str, purpose_en: str,
    per_day: int | None, per_second: float | None, begins: datetime | None, ends: datetime | None, who: str,
    state: Path | None, as_json: bool,
) -> None:  # fmt: skip
    from onestop.onboarding import service_terms

    new = told(
        service_terms.NewAgreement, consumer=consumer, operation=operation, purpose_zh=purpose_zh,
        purpose_en=purpose_en, per_day=per_day, per_second=per_second, begins=begins, ends=ends,
    )  # fmt: skip

    async def work(life: "Life") -> Any:
        return await life.commit(lambda db: service_terms.propose(life, db, actor_named(who), name, new))

    _tell(speaker, in_life(state, work), as_json)


def _deciding(decision: str) -> None:
    """Make the command of one word the provider can say."""

    @agreement.command(decision)
    @click.argument("name", metavar="ID")
    @click.argument("agreement_id", metavar="AGREEMENT")
    @click.option("--why", default="")
    @as_option
    @state_option
    @json_option
    @click.pass_obj
    def decide(
        speaker: Speaker, name: str, agreement_id: str, why: str, who: str, state: Path | None, as_json: bool
    ) -> None:  # fmt: skip
        from onestop.onboarding import service_terms

        word = told(service_terms.Decision, decision=decision, why=why)

        async def work(life: "Life") -> Any:
            return await life.commit(
                lambda db: service_terms.decide(life, db, actor_named(who), name, agreement_id, word)
            )

        _tell(speaker, in_life(state, work), as_json)


for _decision in ("approve", "refuse", "end"):
    _deciding(_decision)


@adapter.command("policy")
@click.argument("name", metavar="ID")
@click.option("--portal", type=click.Choice(["open", "agreed"]), required=True)
@click.option("--approves", type=click.Choice(["owner", "automatic"]), required=True)
@click.option("--automatic-per-day", type=int)
@as_option
@state_option
@json_option
@click.pass_obj
def policy(
    speaker: Speaker, name: str, portal: str, approves: str, automatic_per_day: int | None, who: str,
    state: Path | None, as_json: bool,
) -> None:  # fmt: skip
    from onestop.onboarding import service_terms

    # Both words are asked for: it is written as a whole, and what was left out would silently become the default.
    new = told(service_terms.Policy, portal=portal, approves=approves, automatic_per_day=automatic_per_day)

    async def work(life: "Life") -> Any:
        return await life.commit(lambda db: service_terms.set_policy(life, db, actor_named(who), name, new))

    made = in_life(state, work)
    if as_json:
        speaker.show(made)
        return
    most = _times(made.automatic_per_day)
    speaker.tell("life.policy", adapter=name, portal=made.portal, approves=made.approves, most=most)


@adapter.command("quota")
@click.argument("name", metavar="ID")
@state_option
@json_option
@click.pass_obj
def quota(speaker: Speaker, name: str, state: Path | None, as_json: bool) -> None:
    from onestop.onboarding import service_terms

    found = in_life(state, lambda life: service_terms.quota(life, actor_named("-"), name))
    if as_json:
        speaker.show(found)
        return
    rows = [
        (q.agreement, q.consumer, q.operation, str(q.used), _times(q.remaining), q.resets_at.isoformat())
        for q in found.data
    ]
    speaker.table(("id", "consumer", "operation", "used", "left", "ends"), rows)


def _tell(speaker: Speaker, made: Any, as_json: bool) -> None:
    if as_json:
        speaker.show(made)
    else:
        speaker.tell("life.agreement", id=made.id, consumer=made.consumer, operation=made.operation, state=made.state)


def _times(number: int | None) -> str:
    return "-" if number is None else str(number)


def _more(speaker: Speaker, cursor: str | None) -> None:
    if cursor is not None:
        speaker.tell("life.more", after=cursor)
