"""Purposes are data: the closest one counts, and a file that contradicts itself stops the start."""

from pathlib import Path

import pytest

from onestop.basis import purposes
from onestop.basis.errors import BadPurposes
from onestop.basis.models import Release
from onestop.basis.service import Basis

OWN = """
[[purposes]]
code = "{code}"
version = {version}
{more}
since = 2021-11-01
title = {{ zh = "试", en = "Try" }}
notice = {{ zh = "{words}", en = "{words}" }}
law = {{ article = {{ zh = "《个人信息保护法》第二十九条", en = "PIPL 29" }}, source = "a", {law} }}
categories = [{{ zh = "记录", en = "Records" }}]
recipients = [{{ zh = "部门", en = "Department" }}]
retention = "{retention}"
covers = [{covers}]
"""
LAW = 'in_force = 2021-11-01, confidence = "found"'
CLOSE = '{ room = "exchange", adapter = "gjj" }'


def own(
    tmp_path: Path,
    code: str = "own",
    *,
    version: int = 1,
    words: str = "告知",
    more: str = 'kind = "consent"',
    retention: str = "exchange",
    covers: str = CLOSE,
) -> Path:
    """Write a file of one purpose and return it."""
    path = tmp_path / f"{code}.toml"
    path.write_text(
        OWN.format(code=code, version=version, words=words, more=more, law=LAW, retention=retention, covers=covers),
        "utf-8",
    )
    return path


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ({"more": 'kind = "because"'}, "kind"),
        ({"retention": "for_ever"}, "no retention class"),
        ({"more": 'kind = "statutory_duty"\ndays = 3'}, "only a consent"),
        ({"more": 'kind = "consent"\nholds_from = 2'}, "not there yet"),
        ({"covers": '{ room = "lookups" }'}, "same release"),
        ({"more": 'kind = "consent"\nunknown = 1'}, "unknown"),
    ],
)
def test_a_file_that_cannot_be_meant_is_refused(tmp_path: Path, told: dict[str, str], says: str) -> None:
    with pytest.raises(BadPurposes, match=says):
        purposes.load(own(tmp_path, **told))


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadPurposes):
        purposes.load(tmp_path / "none.toml")


def test_the_closest_purpose_counts(tmp_path: Path) -> None:
    found = purposes.load(own(tmp_path))

    def of(operation: str, adapter: str = "gjj", room: str = "exchange") -> str | None:
        release = Release(room=room, adapter=adapter, operation=operation, consumer="department:two")  # type: ignore[arg-type]
        purpose = found.of(release)
        return purpose.code if purpose else None

    assert of("housing_fund") == "housing-fund-handover"
    assert of("another") == "own"
    assert of("another", adapter="gongan") == "between-departments"
    assert of("housing_fund", room="lookups") == "own-affairs"


def test_every_purpose_that_is_shipped_says_its_law_and_how_far_it_is_trusted() -> None:
    for one in purposes.load().all.values():
        assert one.law.source
        assert one.law.confidence in ("found", "high", "medium", "low")
        assert one.separate or one.kind != "consent"


@pytest.mark.anyio
async def test_words_that_change_under_the_same_version_stop_the_start(tmp_path: Path, pool) -> None:
    await Basis(pool, "990100", purposes.load(own(tmp_path, "words"))).start()
    changed = Basis(pool, "990100", purposes.load(own(tmp_path, "words", words="另一句")))
    with pytest.raises(BadPurposes, match="version 2"):
        await changed.start()
    await Basis(pool, "990100", purposes.load(own(tmp_path, "words", words="另一句", version=2))).start()
    assert await pool.fetchval("SELECT count(*) FROM notice_texts WHERE purpose = 'words'") == 4
