"""Keys of anchors follow one another, trees of two suites too; who trusts the first key follows, to nowhere else."""

import asyncio
import itertools
import json
import random
from datetime import timedelta

import msgspec
import pytest

import onestop_verify
from audit import ledger
from audit.ledger import R, jwks, signer, write
from onestop import clock, sm2
from onestop.audit import anchor_keys, anchors, export, proofs, sealer, service, store_tree
from onestop.audit.anchor_keys import Ed25519Key, KeyRing
from onestop.audit.anchors import Anchor, LedgerRewritten
from onestop.audit.sealer import Sealer
from onestop.audit.service_reseal import SEALED
from onestop.audit.witness import Witness
from onestop.crypto import Keys, SealBroken
from onestop.resealing import reseal
from onestop.rootkeys import RootFolder
from onestop_verify import Verifier, read_anchors, read_keys

pytestmark = pytest.mark.anyio


@pytest.fixture
async def empty(pool):
    await pool.execute(f"TRUNCATE {ledger.TABLES}")
    return pool


@pytest.fixture
def witness(tmp_path):
    return Witness(tmp_path / "anchors.jsonl")


@pytest.fixture
def made(empty, keys, witness):
    """Return what makes a sealer of a suite whose announced keys sign at once, or after `overlap_s`."""

    def make(suite="intl", overlap_s=0.0, **rest):
        return Sealer(empty, Keys(keys._folder, suite), R, witness, overlap_s=overlap_s, **rest)

    return make


async def step(works, count=3, **rest):
    async with works._pool.acquire() as db, db.transaction():
        await write(db, count)
    await works.seal()
    return await works.anchor(every_s=0, **rest)


async def exported(db):
    return "".join([portion async for portion in export.export(db, R)]).encode()


async def checked(db, witness, keys=None, text=None):
    """Have the ledger verified by somebody who knows one key: the first, unless told otherwise."""
    ring = await KeyRing.load(db, witness.keys, R) if keys is None else None
    known = read_keys(keys or {"keys": ring.jwks()["keys"][:1]})
    kept = read_anchors(witness.path.read_text().splitlines())
    return Verifier(known, kept).run((text or await exported(db)).splitlines(keepends=True))


@pytest.fixture(autouse=True)
def known(witness, keys):
    witness.keys = keys


def old(key, before, size, root):
    """Return an anchor as it was made before anchors told their suite."""
    one = Anchor(
        at=clock.real_now().strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        kid=key.public.kid,
        number=1 if before is None else before.number + 1,
        previous=anchors.FIRST if before is None else anchors.digest_of(before, key.suite),
        region=R,
        root=root.hex(),
        size=size,
    )
    signature = anchor_keys._base64url(key.sign_bytes(anchors.signed_bytes(one)))
    return msgspec.structs.replace(one, signature=signature)


async def test_anchors_of_before_there_was_a_suite_are_followed_by_others(made, empty, witness, keys):
    works = made()
    before = None
    for _ in range(2):
        await write(empty, 4)
        await works.seal()
        size = (await store_tree.head(empty, R)).size
        tree = await sealer.tree_of(empty, R, 0, size)
        before = old(anchor_keys.derived_key(keys), before, size, tree.root())
        await store_tree.insert_anchor(empty, R, before, clock.real_now())
    assert b"suite" not in anchors.signed_bytes(before)
    new = await step(works)
    assert (new.number, new.suite, new.base) == (3, "intl", 0)
    report = await checked(empty, witness)
    assert (report.count, report.anchors) == (0, 3)


async def test_a_key_is_announced_then_signs_and_who_knows_the_first_follows(made, empty, witness, keys):
    works = made(overlap_s=3600)
    first = await step(works)
    told = await step(works, rotate=True)
    assert told.kid == first.kid
    again = await step(works, rotate=True)
    assert (again.kid, again.next) == (first.kid, msgspec.UNSET)  # one is announced: there is no second one
    assert [key["kid"] for key in (await KeyRing.load(empty, keys, R)).jwks()["keys"]] == [first.kid, told.next.kid]
    turned = await step(made())
    assert turned.kid == told.next.kid
    report = await checked(empty, witness)
    assert (report.count, report.anchors) == (0, 4)


async def test_a_key_that_is_old_is_followed_by_itself(made, empty, witness, monkeypatch):
    works, now = made(key_days=90), clock.real_now()
    monkeypatch.setattr(sealer.clock, "real_now", lambda: now)
    kids = [(await step(works)).kid]
    for _ in range(3):
        now += timedelta(days=89)
        assert (await step(works)).next is msgspec.UNSET
        now += timedelta(days=1)
        told = await step(works)
        assert told.next is not msgspec.UNSET
        kids.append((await step(works)).kid)
    assert len(set(kids)) == 4
    assert (await checked(empty, witness)).count == 0


async def test_keys_turn_under_load_without_an_error(made, empty, witness):
    several = [made() for _ in range(4)]

    async def work(one, rotates):
        for _ in range(5):
            await write(empty, 2)
            await one.seal(most=2)
            while await one.anchor(every_s=0, rotate=rotates) is None and rotates:  # noqa: ASYNC110
                await asyncio.sleep(0)  # another one holds the tree

    await asyncio.gather(*(work(one, nth % 2 == 0) for nth, one in enumerate(several)))
    await step(several[0])
    assert await empty.fetchval("SELECT count(*) FROM audit_keys") >= 2
    report = await checked(empty, witness)
    assert (report.count, report.entries, report.unanchored) == (0, 64, 0)  # a use with every second act


async def forged(db, key, **rest):
    """Write the anchor that follows, signed with a key of one's own choice."""
    before = await sealer.newest(db, R)
    tree = await sealer.tree_of(db, R, before.begins, before.size, before.by)
    told = {"size": before.size, "root": tree.root(), "base": before.begins, "at": clock.real_now()}
    one = anchor_keys.sign(key, R, before, **told, **rest)
    await store_tree.insert_anchor(db, R, one, clock.real_now())


async def test_a_key_from_nowhere_is_refused_even_where_it_is_published(made, empty, witness, keys):
    await step(made())
    stranger = signer(b"s" * 32)
    await forged(empty, stranger, announces=stranger)
    first = anchor_keys.derived_key(keys)
    assert (await checked(empty, witness)).kinds == {"signature", "key"}
    assert (await checked(empty, witness, jwks(first, stranger))).kinds == {"key"}
    with pytest.raises(LedgerRewritten):
        await step(made())


async def test_a_key_that_was_followed_signs_no_more(made, empty, witness, keys):
    works = made()
    await step(works)
    await step(works, rotate=True)
    await step(works)
    await forged(empty, anchor_keys.derived_key(keys))
    assert (await checked(empty, witness)).kinds == {"key"}


async def test_a_retired_key_that_a_database_owner_brings_back_is_not_turned_to(made, empty, witness):
    works = made()
    await step(works)
    for _ in range(2):
        await step(works, rotate=True)
        await step(works)
    oldest = await empty.fetchval("SELECT kid FROM audit_keys ORDER BY announced LIMIT 1")
    await empty.execute("UPDATE audit_keys SET announced = 1000 WHERE kid = $1", oldest)
    before = await empty.fetchval("SELECT max(number) FROM audit_anchors")
    for told in (1000, before, 1):  # no such anchor, one that announces nothing, one of another key
        await empty.execute("UPDATE audit_keys SET announced = $2 WHERE kid = $1", oldest, told)
        if told == 1:
            await empty.execute("UPDATE audit_keys SET announced = 0 WHERE kid <> $1", oldest)
        with pytest.raises(LedgerRewritten):
            await step(works)
    assert await empty.fetchval("SELECT max(number) FROM audit_anchors") == before


async def test_a_key_that_its_predecessor_did_not_announce_is_not_learnt_from_a_proof(made, empty, witness, keys):
    stranger = signer(b"s" * 32)
    entry = {"anchor": json.loads(anchors.written(anchor_keys.sign(stranger, R, None, size=1, root=b"r", at=NOW)))}
    before = anchor_keys.sign(stranger, R, None, size=1, root=b"r", at=NOW, announces=stranger)
    told = [json.loads(anchors.written(before))]
    proof = entry | {"entry": "{}", "time_us": 1, "position": 0, "path": [], "keys": told}
    known = read_keys(jwks(anchor_keys.derived_key(keys)))
    assert "signature" in onestop_verify.check_proof(proof, known).kinds


NOW = clock.real_now()


async def use_of(db):
    await service.record(db, R, actor="a", action="x", subject="s", uses=[service.use_entry(ledger.USE)])
    return await db.fetchval("SELECT max(id) FROM data_uses")


async def test_a_change_of_suite_closes_one_tree_and_begins_another_and_proofs_of_both_hold(made, empty, witness, keys):
    ids, suites = [], ("intl", "sm", "intl")
    for suite in suites:
        for count in (3, 3, 180):  # announced, turned, and one with a kept node
            ids.append(await use_of(empty))
            await step(made(suite), count)
    found = [msgspec.json.decode(row.body, type=Anchor) for row in await store_tree.anchors(empty, R, 0, 100)]
    trees = {(one.begins, one.by.name): one.kid for one in found}
    assert [suite for _, suite in sorted(trees)] == list(suites)
    assert len(set(trees.values())) == 3
    links = [(one, before) for before, one in itertools.pairwise(found) if one.begins != before.begins]
    assert [one.previous == anchors.digest_of(before, one.by) for one, before in links] == [True, True]
    assert all(one.begins == before.size for one, before in links)
    report = await checked(empty, witness)
    assert (report.count, report.anchors, report.unanchored) == (0, len(found), 0)
    first = read_keys(jwks(anchor_keys.derived_key(keys)))
    for id_ in ids:
        proof = msgspec.to_builtins(await proofs.own_proof(empty, R, "s", id_))
        assert onestop_verify.check_proof(proof, first).count == 0
        moved = onestop_verify.check_proof(proof | {"position": proof["position"] + 1}, first)
        assert moved.kinds == {"path"}


async def test_an_installation_that_begins_with_sm_has_no_other_key(made, empty, witness, keys):
    works = made("sm")
    assert (await step(works)).suite == "sm"
    (key,) = (await KeyRing.load(empty, keys, R)).jwks()["keys"]
    assert (key["alg"], key["crv"]) == ("SGD_SM3_SM2", "SM2")
    await step(works, rotate=True)
    assert (await step(works)).kid != key["kid"]
    assert (await checked(empty, witness)).count == 0


@pytest.mark.parametrize("line", [b"", b"t\t0\tsm\n", b"t\t3\tintl\n"])
async def test_an_export_that_tells_another_tree_than_its_anchors_is_found(made, empty, witness, line):
    for suite in ("intl", "sm", "sm"):
        await step(made(suite), 3)
    text = await exported(empty)
    begins = next(one for one in text.splitlines(keepends=True) if one.startswith(b"t\t"))
    assert "tree" in (await checked(empty, witness, text=text.replace(begins, line))).kinds


KINDS = ("change", "change_and_hash", "delete", "delete_and_close", "insert_old", "reorder", "truncate", "drop_anchor")


async def test_tamperings_with_trees_of_two_suites_are_all_found(made, empty, witness):
    for suite, by in zip(("intl", "intl", "sm", "sm", "sm"), "abcde", strict=True):
        await write(empty, 16, by)
        await made(suite).seal()
        await made(suite).anchor(every_s=0)
    assert (await checked(empty, witness)).count == 0
    dice, missed = random.Random(20260302), []
    async with empty.acquire() as db:
        for turn in range(2 * len(KINDS)):
            undo = db.transaction()
            await undo.start()
            await ledger.TAMPERINGS[KINDS[turn % len(KINDS)]][0](db, dice)
            text = "".join([portion async for portion in export.lines(db, R)]).encode()
            await undo.rollback()
            if not (await checked(empty, witness, text=text)).count:
                missed.append((turn, KINDS[turn % len(KINDS)]))
    assert missed == []


async def test_under_sm_a_row_changed_before_it_was_sealed_is_sealed_as_changed(made, empty, witness):
    works = made("sm")
    await step(works)
    await write(empty, 2, "e")
    await empty.execute("UPDATE audit_entries SET action = 'y' WHERE actor = 'e' AND action = 'case.0'")
    await works.seal()
    await works.anchor(every_s=0)
    report = await checked(empty, witness)
    assert (report.kinds, report.count) == ({"changed"}, 1)


async def test_keys_are_sealed_anew_under_another_root_key_and_moved_to_no_other_name(made, empty, witness, tmp_path):
    folder = RootFolder.open(tmp_path / "keys")
    own = Keys(folder)
    works = Sealer(empty, own, R, witness, overlap_s=0)
    witness.keys = own
    await step(works)
    await step(works, rotate=True)
    turned = await step(works)
    folder.use(folder.add())
    fresh = Keys(RootFolder.open(tmp_path / "keys"))
    assert await reseal(empty, fresh, R, SEALED) == {"audit_keys": 1}
    works = Sealer(empty, fresh, R, witness, overlap_s=0)
    assert (await step(works)).kid == turned.kid
    await empty.execute("UPDATE audit_keys SET kid = 'another'")
    with pytest.raises(SealBroken):
        await step(works)


@pytest.mark.parametrize("data", [b"", b"anchor", b"\x00" * 999])
def test_the_verifiers_sm2_is_the_librarys(data):
    private, public = sm2.generate()
    signature = sm2.sign(private, public, data)
    key = onestop_verify.Sm2PublicKey(public)
    key.verify(signature, data)
    wrong = [
        (signature, data + b"x"),
        (signature[:-1], data),
        (signature[32:] + signature[:32], data),
        (bytes(64), data),
        (bytes([signature[0] ^ 1]) + signature[1:], data),
    ]
    for bad, over in wrong:
        with pytest.raises(onestop_verify.InvalidSignature):
            key.verify(bad, over)
        assert not sm2.verify(public, over, bad)
    with pytest.raises(ValueError, match="curve"):
        onestop_verify.Sm2PublicKey(public[:-1] + bytes([public[-1] ^ 1]))


def test_a_key_of_one_suite_does_not_sign_an_anchor_of_the_other():
    key = Ed25519Key(b"k" * 32)
    one = json.loads(anchors.written(anchor_keys.sign(key, R, None, size=1, root=b"r", at=NOW)))
    known = read_keys(jwks(key))
    assert onestop_verify.is_signed(one, known)
    assert not onestop_verify.is_signed(one | {"suite": "sm"}, known)
