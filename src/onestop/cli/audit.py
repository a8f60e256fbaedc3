"""`onestop audit`: the ledger written out for anybody's verifier, and looked at by the one that comes with onestop."""

import asyncio
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from onestop.cli.place import database, json_option, settings_of, state_option
from onestop.cli.speech import Exit, Halt, Speaker

if TYPE_CHECKING:
    from onestop.crypto import Keys
    from onestop.settings import Settings

_ROUNDS, _PAUSE_S = 50, 0.2
file_option = click.Path(path_type=Path, dir_okay=False)
read_option = click.Path(path_type=Path, dir_okay=False, exists=True)


@click.group("audit", no_args_is_help=True)
def audit() -> None:
    """The words of every command stand in the catalogue `cli`."""


@audit.command("export")
@click.option("--out", type=file_option, required=True)
@click.option("--keys-out", type=file_option)
@state_option
@click.pass_obj
def export(speaker: Speaker, out: Path, keys_out: Path | None, state: Path | None) -> None:
    import json

    settings = settings_of(state)
    count = asyncio.run(_export(settings, out))
    if keys_out is not None:
        keys_out.write_text(json.dumps(asyncio.run(_jwks(settings)), indent=2) + "\n", "utf-8")
    speaker.tell("audit.exported", count=count, file=out)


@audit.command("verify")
@click.argument("file", type=read_option, required=False)
@click.option("--anchors", type=read_option, multiple=True)
@click.option("--keys", type=read_option)
@click.option("--fresh", type=click.FloatRange(min=0), metavar="SECONDS")
@state_option
@json_option
@click.pass_obj
def verify(
    speaker: Speaker,
    file: Path | None,
    anchors: tuple[Path, ...],
    keys: Path | None,
    fresh: float | None,
    state: Path | None,
    as_json: bool,
) -> int:
    import onestop_verify as verifier

    settings = settings_of(state)
    known = verifier.read_keys(_told_keys(keys) if keys else asyncio.run(_jwks(settings)))
    kept = [one for path in anchors or _own_anchors(settings) for one in verifier.read_anchors(_lines(path))]
    with tempfile.TemporaryDirectory(prefix="onestop-audit-") as folder:
        looked_at = file or Path(folder) / "ledger"
        if file is None:
            asyncio.run(_export(settings, looked_at))
        with looked_at.open("rb") as lines:
            report = verifier.Verifier(known, kept, fresh_s=fresh).run(lines)
    if as_json:
        speaker.show(_as_json(report))
    else:
        for line in verifier.said(report, speaker.lang):
            speaker.line(line)
    return Exit.FINDINGS if report.count else Exit.OK


@audit.command("rotate")
@state_option
@click.pass_obj
def rotate(speaker: Speaker, state: Path | None) -> None:
    settings = settings_of(state)
    number, kid = asyncio.run(_rotate(settings))
    speaker.tell("audit.rotated" if kid else "audit.rotating", number=number, kid=kid)


async def _rotate(settings: "Settings") -> tuple[int, str | None]:
    """Have an anchor announce another key, while workers go on.

    Returns the anchor's number and the key's id; None for the id where a key is announced already.
    """
    from msgspec import UNSET

    from onestop.audit.sealer import Sealer, witness_of

    keys, witness = _own_keys(settings), witness_of(settings.state_dir, settings.region)
    async with database(settings) as pool:
        sealer = Sealer(pool, keys, settings.region, witness)
        await sealer.seal()
        made = []
        for _ in range(_ROUNDS):
            if (anchor := await sealer.anchor(every_s=0, rotate=True)) is not None:
                made.append(anchor)
                # The first may have been an announced key's turn to sign; then this one is announced after it.
                if anchor.next is not UNSET or len(made) == 2:
                    return anchor.number, None if anchor.next is UNSET else anchor.next.kid
            else:
                await asyncio.sleep(_PAUSE_S)  # a worker holds the tree at this moment
    raise Halt("nothing_to_sign")


async def _export(settings: "Settings", out: Path) -> int:
    from onestop.audit.export import export as portions

    count = 0
    async with database(settings) as pool:
        with out.open("w", encoding="utf-8", newline="\n") as file:
            async for portion in portions(pool, settings.region):
                count += portion.count("\n")
                file.write(portion)
    return count


async def _jwks(settings: "Settings") -> dict[str, Any]:
    """Return the installation's own public keys; the first is not made where it is not there."""
    from onestop.audit.anchor_keys import KeyRing

    keys = _own_keys(settings)
    async with database(settings) as pool:
        return (await KeyRing.load(pool, keys, settings.region)).jwks()


def _own_keys(settings: "Settings") -> "Keys":
    from onestop.crypto import Keys

    if not (settings.state_dir / "keys" / "root.key").exists():
        raise Halt("no_root_key", Exit.CONFIGURATION, folder=settings.state_dir)
    return Keys.load(settings.state_dir, settings.crypto_suite)


def _told_keys(path: Path) -> Any:
    import json

    try:
        return json.loads(path.read_text("utf-8"))
    except ValueError as fault:
        raise Halt("not_keys", Exit.USAGE, file=path) from fault


def _own_anchors(settings: "Settings") -> list[Path]:
    """Return the file of anchors of this state folder, where there is one."""
    from onestop.audit.sealer import witness_of

    path = witness_of(settings.state_dir, settings.region).path
    return [path] if path.exists() else []


def _lines(path: Path) -> list[str]:
    return path.read_text("utf-8").splitlines()


def _as_json(report: Any) -> dict[str, Any]:
    return {
        "entries": report.entries,
        "anchors": report.anchors,
        "unanchored": report.unanchored,
        "pending": report.pending,
        "entries_per_second": round(report.entries / report.seconds) if report.seconds else None,
        "count": report.count,
        "findings": [{"kind": one.kind, "place": one.place, "detail": one.detail} for one in report.findings],
    }
