"""Whatever a database owner does to the sealed ledger is found, by a program that knows nothing of onestop.

`make audit` tries a thousand tamperings; the suite some of each kind.
"""

import os
import random
from collections import Counter

import pytest

import onestop_verify
from audit import ledger
from audit.ledger import TAMPERINGS, fill, verified
from onestop.audit import store_tree
from onestop.audit.sealer import Sealer
from onestop.audit.witness import Witness

pytestmark = pytest.mark.anyio

ROUNDS = 1_000 if os.environ.get("TAMPER") == "full" else 3 * len(TAMPERINGS)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """The file outside of the database; as long as the module's database, which is filled once."""
    return tmp_path_factory.mktemp("witness") / "anchors.jsonl"


@pytest.fixture
async def works(pool, keys, file):
    made = Sealer(pool, keys, ledger.R, Witness(file))
    ledger.FORGER.works = made
    if not file.exists():
        await fill(pool, made)
    return made


@pytest.fixture
async def db(pool):
    async with pool.acquire() as connection:
        yield connection


async def tampered(db, works, tamper, dice, **rest):
    """Tamper, verify, and take it back."""
    undo = db.transaction()
    await undo.start()
    try:
        await tamper(db, dice)
        return await verified(db, works, **rest)
    finally:
        await undo.rollback()


async def test_an_untouched_ledger_has_no_findings(db, works):
    report = await verified(db, works, fresh_s=3600)
    assert [one.says() for one in report.findings] == []
    assert (report.entries, report.anchors, report.unanchored, report.pending) == (96, 4, 0, 12)

    async def seal(db, _):
        rows = await store_tree.unsealed(db, ledger.R, 0, 100)
        await works._add(db, await store_tree.head(db, ledger.R), rows)

    report = await tampered(db, works, seal, random.Random(7))
    assert (report.count, report.entries, report.unanchored, report.pending) == (0, 108, 12, 0)


async def test_random_tamperings_are_all_found(db, works):
    dice = random.Random(20260302)
    found: Counter[str] = Counter()
    missed = []
    for turn in range(ROUNDS):
        name = list(TAMPERINGS)[turn % len(TAMPERINGS)]
        tamper, _ = TAMPERINGS[name]
        report = await tampered(db, works, tamper, dice)
        if not report.count:
            missed.append((turn, name))
        found[name] += report.count > 0
    assert missed == []
    assert sum(found.values()) == ROUNDS
    if ROUNDS == 1_000:
        print("\n" + "\n".join(f"{name}: {count} found" for name, count in sorted(found.items())))


@pytest.mark.parametrize("name", TAMPERINGS)
async def test_each_kind_is_called_by_its_name(db, works, name):
    tamper, kinds = TAMPERINGS[name]
    report = await tampered(db, works, tamper, random.Random(7))
    assert report.kinds & kinds, [one.says() for one in report.findings]
    assert all(one.says("zh") for one in report.findings)


async def test_without_kept_anchors_a_rolled_back_ledger_looks_young(db, works):
    """Why the file outside of the database is needed."""
    report = await tampered(db, works, ledger.roll_back, random.Random(7), kept=False)
    assert report.count == 0
    report = await tampered(db, works, ledger.fork, random.Random(7), kept=False)
    assert report.count == 0


async def test_a_lost_tail_is_found_by_the_age_of_the_newest_anchor_as_well(db, works):
    report = await tampered(db, works, ledger.roll_back, random.Random(7), kept=False, fresh_s=0)
    assert report.kinds == {"stale"}


# The check of the verifier that finds a kind of tampering, and nothing else does: without it the tampering is missed.
CHECKS = {
    "change": "_check_content",
    "change_and_hash": "_check_root",
    "delete": "_check_content",
    "insert_old": "_unsealed",
    "insert_sealed": "_check_root",
    "reorder": "_check_root",
    "roll_back": "_check_rollback",
}


@pytest.mark.parametrize("name", CHECKS)
async def test_a_verifier_without_its_check_misses_the_tampering(db, works, name, monkeypatch):
    tamper, _ = TAMPERINGS[name]
    monkeypatch.setattr(onestop_verify.Verifier, CHECKS[name], lambda *_: None)
    report = await tampered(db, works, tamper, random.Random(7))
    assert report.count == 0, [one.says() for one in report.findings]


async def one_signature(db, dice):
    await db.execute(
        'UPDATE audit_anchors SET body = replace(body, \'"signature":"\', \'"signature":"AA\') WHERE number = 4'
    )


async def test_a_verifier_that_does_not_check_signatures_misses_a_forged_one(db, works, monkeypatch):
    assert (await tampered(db, works, one_signature, random.Random(7), kept=False)).kinds == {"signature"}
    monkeypatch.setattr(onestop_verify, "is_signed", lambda *_: True)
    assert (await tampered(db, works, one_signature, random.Random(7), kept=False)).count == 0


async def test_a_row_changed_before_it_is_sealed_without_its_leaf_is_found(db, works):
    async def change(db, _):
        await db.execute("UPDATE audit_entries SET actor = 'x' WHERE actor = 'e'")

    assert (await tampered(db, works, change, random.Random(7))).kinds == {"changed"}
