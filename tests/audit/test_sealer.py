"""The sealer takes every committed row once, whatever is open, and never signs two pasts."""

import asyncio

import msgspec
import pytest

from audit.ledger import TABLES, signer
from audit.test_canonical import USE, leaf_of_act, leaf_of_use, rows_of
from onestop.audit import anchor_keys, anchors, merkle, sealer, service, store_tree
from onestop.audit.anchors import LedgerRewritten
from onestop.audit.sealer import Sealer
from onestop.audit.witness import Witness

pytestmark = pytest.mark.anyio

R = "990100"


@pytest.fixture
async def empty(pool):
    """Leave nothing of other tests in the ledger."""
    await pool.execute(f"TRUNCATE {TABLES}")
    return pool


@pytest.fixture
def witness(tmp_path):
    return Witness(tmp_path / "anchors" / f"{R}.jsonl")


@pytest.fixture
def works(empty, keys, witness):
    return Sealer(empty, keys, R, witness)


async def write(db, count=1, by="a"):
    for _ in range(count):
        await service.record(db, R, actor=by, action="x", subject="s", uses=[service.use_entry(USE)])


async def seal_and_anchor(works):
    await works.seal()
    return await works.anchor(every_s=0)


async def sealed(pool):
    return [row["id"] for row in await pool.fetch("SELECT id FROM audit_leaves ORDER BY position LIMIT 10000")]


async def missing(pool):
    acts, uses = await rows_of(pool)
    return {row["id"] for row in (*acts, *uses)} - set(await sealed(pool))


async def test_rows_are_taken_once_and_the_tree_is_over_their_leaves(works, pool):
    await write(pool, 3)
    assert await works.seal() == 6
    assert await works.seal() == 0
    acts, uses = await rows_of(pool)
    leaves = {row["id"]: leaf_of_act(row) for row in acts} | {row["id"]: leaf_of_use(row) for row in uses}
    assert {row["id"]: row["leaf"] for row in await pool.fetch("SELECT id, leaf FROM audit_leaves")} == leaves
    made = await works.anchor()
    order = [leaves[one] for one in await sealed(pool)]
    tree = merkle.Tree(6, {(0, n): leaf for n, leaf in enumerate(order)})
    assert made.root == tree.root().hex()


async def test_the_row_of_a_long_transaction_is_taken_when_it_appears_and_younger_ones_do_not_wait(works, empty):
    async with empty.acquire() as long:
        open_ = long.transaction()
        await open_.start()
        await write(long, by="long")
        await write(empty, 2, by="young")
        assert await works.seal() == 4  # not held up, and not looked past
        upto = (await store_tree.head(empty, R)).upto
        await write(empty, by="younger")
        assert await works.seal() == 2
        assert (await store_tree.head(empty, R)).upto == upto  # it will look at the open transaction again
        await open_.commit()
    assert len(await missing(empty)) == 2
    assert await works.seal() == 2
    assert await missing(empty) == set()


async def test_by_order_of_ids_or_times_the_late_row_would_be_missed(works, empty):
    """What the horizon is for: the late row is older than the newest that is sealed, by id and by time."""
    async with empty.acquire() as long:
        open_ = long.transaction()
        await open_.start()
        await write(long, by="long")
        await write(empty, by="young")
        await works.seal()
        newest = max(await sealed(empty))
        await open_.commit()
    late = await missing(empty)
    assert min(late) < newest
    await works.seal()
    assert await missing(empty) == set()


async def test_what_was_rolled_back_is_not_taken(works, empty):
    async with empty.acquire() as db:
        open_ = db.transaction()
        await open_.start()
        await write(db)
        await open_.rollback()
    assert await works.seal() == 0


async def test_a_small_portion_loses_nothing(works, empty):
    async with empty.acquire() as db, db.transaction():
        await write(db, 5)  # ten rows of one transaction
    await write(empty, 3)
    assert await works.seal(most=3) == 16
    assert await missing(empty) == set()
    assert len(await sealed(empty)) == len(set(await sealed(empty))) == 16


async def test_rows_of_before_leaves_are_taken_with_one_worked_out(works, empty):
    await empty.execute(
        "INSERT INTO audit_entries (region, id, actor, action, detail) VALUES ($1, 'aud_0', 'a', 'x', $2)", R, {"b": 1}
    )
    await works.seal()
    (row,) = await empty.fetch("SELECT * FROM audit_entries LIMIT 1")
    assert await empty.fetchval("SELECT leaf FROM audit_leaves WHERE id = 'aud_0'") == leaf_of_act(row)


async def test_a_database_restored_elsewhere_is_looked_at_as_a_whole(works, empty):
    await write(empty, 2)
    await works.seal()
    await write(empty)
    await empty.execute("UPDATE audit_entries SET xact = 7")  # the counts of another server
    await empty.execute("UPDATE data_uses SET xact = 1000000000000")
    await empty.execute("UPDATE audit_heads SET upto = 1000000000000")
    assert await works.seal() == 2
    await write(empty)
    assert await works.seal() == 2
    assert await missing(empty) == set()


async def test_six_sealers_at_once_make_one_tree_and_one_chain(empty, keys, witness):
    several = [Sealer(empty, keys, R, witness) for _ in range(6)]

    async def work(one):
        for _ in range(4):
            await write(empty)
            await one.seal(most=2)
            await one.anchor(every_s=0)

    await asyncio.gather(*(work(one) for one in several))
    await several[0].seal()
    await several[0].anchor(every_s=0)
    assert await missing(empty) == set()
    positions = [row[0] for row in await empty.fetch("SELECT position FROM audit_leaves ORDER BY 1 LIMIT 1000")]
    assert positions == list(range(48))
    chain = [
        msgspec.json.decode(row["body"], type=anchors.Anchor)
        for row in await empty.fetch("SELECT body FROM audit_anchors ORDER BY number LIMIT 1000")
    ]
    assert all(anchors.follows(one, before) for before, one in zip([None, *chain], chain, strict=False))
    assert witness.path.read_text().splitlines() == [anchors.written(one) for one in chain]


async def test_an_anchor_is_made_once_a_minute_and_once_an_hour_where_nothing_came(works, empty, monkeypatch):
    from datetime import UTC, datetime, timedelta

    now = datetime(2026, 3, 2, tzinfo=UTC)
    monkeypatch.setattr(sealer.clock, "real_now", lambda: now)
    assert await works.anchor() is None  # nothing to sign
    await write(empty)
    await works.seal()
    assert (await works.anchor()).number == 1
    await write(empty)
    await works.seal()
    now += timedelta(seconds=59)
    assert await works.anchor() is None
    now += timedelta(seconds=1)
    assert (await works.anchor()).number == 2
    now += timedelta(seconds=3599)
    assert await works.anchor() is None
    now += timedelta(seconds=1)
    assert (await works.anchor()).size == 4


async def test_after_a_crash_before_the_file_was_written_the_next_round_writes_it(works, empty, witness):
    await write(empty)
    await works.seal()
    await works.anchor(every_s=0)
    witness.path.unlink()
    await write(empty)
    await works.seal()
    await works.anchor(every_s=0)
    assert len(witness.path.read_text().splitlines()) == 2
    with witness.path.open("a") as file:
        file.write('{"at":"cut o')  # a crash while it wrote
    await works.anchor(every_s=0)
    await write(empty)
    await works.seal()
    assert (await works.anchor(every_s=0)).number == 3
    assert witness.last().number == 3


@pytest.mark.parametrize("stop", ["insert_leaves", "insert_nodes", "move_head", "insert_anchor"])
async def test_a_crash_between_two_steps_leaves_nothing_half_done(works, empty, monkeypatch, stop):
    await write(empty, 130)  # so that a node is written as well

    async def crash(*_):
        raise ConnectionError

    with monkeypatch.context() as patched:
        patched.setattr(store_tree, stop, crash)
        with pytest.raises(ConnectionError):
            await seal_and_anchor(works)
    await works.seal()
    made = await works.anchor(every_s=0)
    assert (made.number, made.size) == (1, 260)
    whole = await sealer.tree_of(empty, R, 0, 260)
    rows = await empty.fetch("SELECT position, leaf FROM audit_leaves LIMIT 1000")
    assert whole.root() == merkle.Tree(260, {(0, row[0]): row[1] for row in rows}).root()


async def rolled_back(db):
    await db.execute("DELETE FROM audit_anchors WHERE number > 1")


async def forked(db):
    await db.execute('UPDATE audit_anchors SET body = replace(body, \'"root":"\', \'"root":"00\') WHERE number = 2')


@pytest.mark.parametrize("rewrite", [rolled_back, forked])
async def test_over_a_rewritten_past_nothing_is_signed(works, empty, rewrite):
    for _ in range(2):
        await write(empty)
        await works.seal()
        await works.anchor(every_s=0)
    await rewrite(empty)
    await write(empty)
    await works.seal()
    with pytest.raises(LedgerRewritten):
        await works.anchor(every_s=0)
    assert await empty.fetchval("SELECT max(number) FROM audit_anchors") <= 2


async def test_an_anchor_that_was_not_signed_here_is_not_carried_on(works, empty, tmp_path):

    await write(empty)
    await works.seal()
    now = sealer.clock.real_now()
    foreign = anchor_keys.sign(signer(b"x" * 32), R, None, size=2, root=b"r" * 32, at=now)
    await store_tree.insert_anchor(empty, R, foreign, now)
    with pytest.raises(LedgerRewritten):
        await works.anchor(every_s=0)


async def test_a_round_that_fails_is_logged_and_the_next_one_works(works, empty, monkeypatch):
    await write(empty)
    rounds = []

    async def no_wait(_):
        rounds.append(len(await sealed(empty)))
        if len(rounds) == 2:
            raise asyncio.CancelledError

    original = store_tree.horizon

    async def once_broken(db):
        if not rounds:
            raise ConnectionError
        return await original(db)

    monkeypatch.setattr(store_tree, "horizon", once_broken)
    monkeypatch.setattr(sealer.asyncio, "sleep", no_wait)
    with pytest.raises(asyncio.CancelledError):
        await works.run()
    assert rounds == [0, 2]
