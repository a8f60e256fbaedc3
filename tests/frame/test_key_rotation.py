"""Everything that stays for years is sealed anew under another root key or suite, while it is read and written."""

import asyncio

import pytest

from onestop.crypto import Keys
from onestop.identity.models import Identified
from onestop.identity.service_subjects import Subjects
from onestop.key_rotation import SEALED, following, resealing
from onestop.resealing import reseal
from onestop.rootkeys import RootFolder

pytestmark = pytest.mark.anyio
REGION = "990100"
LIN = Identified(number_type="citizen_id", number="990102199203140221", name="林晓舟")

# One row of each table, all that must not be null: what it is, and its sealed columns with their contexts.
ROWS = {
    "signing_keys": (
        """INSERT INTO signing_keys (kid, purpose, algorithm, public_jwk, private_jwk)
        VALUES ('k1', 'test', 'ES256', '{}', $1)""",
        {"private_jwk": "signing_keys.private_jwk:k1"},
    ),
    "effects": (
        """INSERT INTO effects (region, id, case_id, step, adapter, operation, version, key, payload, result, progress)
        VALUES ('990100', 'eff_1', 'case_1', 's', 'a', 'o', '1', 'k', $1, $2, NULL)""",
        {"payload": "effects.payload.eff_1", "result": "effects.result.eff_1"},
    ),
    "adapter_secrets": (
        """INSERT INTO adapter_secrets (adapter, environment, id, name, value, fingerprint, not_before, set_by)
        VALUES ('a', 'live', 'x', 'n', $1, 'f', now(), 'me')""",
        {"value": "adapter_secrets.value:a:live:x"},
    ),
    "cases": (
        """INSERT INTO cases (region, id, number, claim_code, subject, actor, item, state, answers)
        VALUES ('990100', 'case_1', '1', 'c', 's', 's', 'i', 'draft', $1)""",
        {"answers": "cases.answers:case_1"},
    ),
    "case_steps": (
        """INSERT INTO case_steps (region, case_id, code, position, department, adapter, operation, state,
            promised_days, due_on, result)
        VALUES ('990100', 'case_1', 's', 1, 'd', 'a', 'o', 'waiting', 1, '2026-01-01', $1)""",
        {"result": "case_steps.result:case_1:s"},
    ),
    "certificates": (
        """INSERT INTO certificates (region, id, number, kind, case_id, subject, body, digest, code_index, signature)
        VALUES ('990100', 'cert_1', '1', 'completion', 'case_1', 's', $1, '', '', '')""",
        {"body": "certificates.body:cert_1"},
    ),
    "mandates": (
        """INSERT INTO mandates (region, id, kind, principal, actor, state, scope, level, begins_at, told)
        VALUES ('990100', 'mdt_1', 'agent', 's', 't', 'offered', '{}', 2, now(), $1)""",
        {"told": "mandates.told:mdt_1"},
    ),
    "licences": (
        """INSERT INTO licences (region, id, identifier, type, serial, version, number_index, department, subject,
            state, body, digest, signature, as_of, asked_at, valid_from)
        VALUES ('990100', 'lic_1', '1', 't', '1', 1, '', 'd', 's', 'valid', $1, '', '', now(), now(), '2026-01-01')""",
        {"body": "licences.body:lic_1"},
    ),
    "licence_copies": (
        """INSERT INTO licence_copies (region, id, licence_id, subject, about, expires_on)
        VALUES ('990100', 'cpy_1', 'lic_1', 's', $1, '2026-01-01')""",
        {"about": "licence_copies.about:cpy_1"},
    ),
    "audit_keys": (
        "INSERT INTO audit_keys (region, kid, announced, made_at, sealed) VALUES ('990100', 'k1', 1, now(), $1)",
        {"sealed": "audit_keys.sealed:k1"},
    ),
    "use_challenges": (
        """INSERT INTO use_challenges (region, id, use_id, subject, department, state, due_on, reason, answer)
        VALUES ('990100', 'chl_1', 'use_1', 's', 'd', 'upheld', '2026-01-01', $1, $2)""",
        {"reason": "use_challenges.reason.chl_1", "answer": "use_challenges.answer.chl_1"},
    ),
    "record_doubts": (
        """INSERT INTO record_doubts (region, id, subject, case_id, field, department, state, due_on, said, answer)
        VALUES ('990100', 'dbt_1', 's', 'case_1', 'a.b', 'd', 'confirmed', '2026-01-01', $1, $2)""",
        {"said": "record_doubts.said:dbt_1", "answer": "record_doubts.answer:dbt_1"},
    ),
}


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "keys"


def keys_of(folder, suite="intl"):
    return Keys(RootFolder.open(folder), suite)


async def seeded(pool, keys):
    """One row of everything that is sealed for years; returns how to look whether all of it can be read."""
    await pool.execute(
        "TRUNCATE subjects, subject_department_ids, cases, case_steps, effects, adapter_secrets, certificates, "
        "signing_keys, use_challenges, licences, licence_copies, mandates, audit_keys, record_doubts"
    )
    subjects = Subjects(pool, keys, REGION)
    await subjects.learn(await subjects.read(await subjects.know(LIN)), {"gongan": "P-4711"})
    for table, (insert, contexts) in ROWS.items():
        await pool.execute(insert, *[keys.seal(f"{table} {name}".encode(), c) for name, c in contexts.items()])


async def opened(pool, keys):
    found = {}
    for table, (_, contexts) in ROWS.items():
        row = await pool.fetchrow(f"SELECT * FROM {table}")
        found |= {f"{table} {name}": keys.unseal(row[name], context).decode() for name, context in contexts.items()}
    return found


async def headers(pool):
    found = set()
    for table, (_, contexts) in ROWS.items():
        row = await pool.fetchrow(f"SELECT * FROM {table}")
        found |= {row[name][:2] if row[name][0] >= 128 else row[name][:1] for name in contexts}
    return found


def test_every_table_with_a_row_here_is_sealed_anew():
    assert {each.table for each in SEALED} == {"subjects", "subject_department_ids", *ROWS}


# Bytes that are hashes or public, or sealed for days at most; see `key_rotation.SEALED`.
OTHER_BYTES = {
    "authorization_codes", "authorization_requests", "clients", "refresh_tokens", "used_proofs",
    "adapter_moves", "adapter_versions", "audit_entries", "audit_leaves", "audit_nodes", "completion_parts",
    "completions", "conformance_runs", "data_uses", "exports", "idempotency_keys", "licence_use_codes",
    "machine_keys", "refresh_families", "sessions", "sign_in_flows", "sign_in_tries", "trace_shares", "window_visits",
}  # fmt: skip


async def test_no_table_keeps_sealed_bytes_that_are_not_sealed_anew(pool):
    rows = await pool.fetch(
        "SELECT DISTINCT table_name FROM information_schema.columns "
        "WHERE table_schema = 'public' AND udt_name IN ('bytea', '_bytea')"
    )
    assert {row["table_name"] for row in rows} == {each.table for each in SEALED} | OTHER_BYTES


@pytest.mark.parametrize("change", ["key", "suite", "both"])
async def test_everything_is_sealed_anew_and_says_the_same(pool, folder, change):
    before = keys_of(folder)
    await seeded(pool, before)
    said = await opened(pool, before)
    if change != "suite":
        RootFolder.open(folder).use(RootFolder.open(folder).add())
    keys = keys_of(folder, "intl" if change == "key" else "sm")
    subject = await Subjects(pool, keys, REGION).know(LIN)
    moved = await reseal(pool, keys, REGION, SEALED)
    # Under a data key of its own, which was wrapped anew, an identifier stays as it is until the suite changes.
    expected = {each.table: 1 for each in SEALED}
    assert moved == (expected | {"subject_department_ids": 0} if change == "key" else expected)
    assert await reseal(pool, keys, REGION, SEALED) == {each.table: 0 for each in SEALED}
    assert await headers(pool) == {keys.header}
    assert await opened(pool, keys) == said == await opened(pool, before)  # who was started before reads it too
    assert await Subjects(pool, keys, REGION).know(LIN) == subject == await Subjects(pool, before, REGION).know(LIN)
    assert (await Subjects(pool, keys, REGION).read(subject)).number == LIN.number
    assert (await Subjects(pool, keys, REGION).read(subject)).ids == {"gongan": "P-4711"}
    row = await pool.fetchrow("SELECT data_key, number, name, number_index FROM subjects")
    assert row["data_key"].startswith(keys.header)
    assert row["number"][0] == row["name"][0] == keys.suite.id


async def test_many_rows_take_few_statements_and_a_row_in_somebodys_hands_is_passed_over(pool, folder):
    before = keys_of(folder)
    await seeded(pool, before)
    await pool.execute(
        """INSERT INTO cases (region, id, number, claim_code, subject, actor, item, state, answers)
        SELECT '990100', id, id, 'c', 's', 's', 'i', 'draft', a FROM unnest($1::text[], $2::bytea[]) AS n (id, a)""",
        [f"case_x{n}" for n in range(450)],
        [before.seal(b"{}", f"cases.answers:case_x{n}") for n in range(450)],
    )
    keys = keys_of(folder, "sm")
    cases = [each for each in SEALED if each.table == "cases"]
    async with pool.acquire() as held, held.transaction():
        await held.execute("SELECT id FROM cases WHERE id = 'case_x7' FOR UPDATE")
        assert await reseal(pool, keys, REGION, cases) == {"cases": 450}
    assert await reseal(pool, keys, REGION, cases) == {"cases": 1}


async def test_nobody_meets_an_error_while_keys_change_and_rows_are_sealed_anew(pool, folder):
    await seeded(pool, keys_of(folder))
    readers = [Subjects(pool, keys_of(folder, suite), REGION) for suite in ("intl", "sm")]
    subject = await readers[0].know(LIN)
    over = False

    async def use(subjects):
        count = 0
        while not over:
            assert await subjects.know(LIN) == subject
            assert (await subjects.read(subject)).number == LIN.number
            count += 1
        return count

    working = [asyncio.create_task(use(subjects)) for subjects in readers]
    for suite in ("sm", "intl", "sm"):
        RootFolder.open(folder).use(RootFolder.open(folder).add())
        await reseal(pool, keys_of(folder, suite), REGION, SEALED)
        await asyncio.sleep(0.05)
    over = True
    assert all(await asyncio.gather(*working))


async def test_two_suites_at_once_make_one_subject_of_one_number(pool, folder):
    await pool.execute("TRUNCATE subjects")
    rooms = [Subjects(pool, keys_of(folder, suite), REGION) for suite in ("intl", "sm", "intl", "sm")]
    assert len(set(await asyncio.gather(*[room.know(LIN) for room in rooms]))) == 1
    assert await pool.fetchval("SELECT count(*) FROM subjects") == 1


async def test_a_process_that_runs_notices_the_other_key(folder):
    keys = keys_of(folder)
    async with following(keys, every_s=0.01):
        RootFolder.open(folder).use(RootFolder.open(folder).add())
        async with asyncio.timeout(20):
            while keys.header != bytes([0x81, 2]):  # noqa: ASYNC110
                await asyncio.sleep(0.01)


async def test_a_worker_seals_anew_by_itself_and_goes_on_after_the_database_was_away(pool, folder):
    await seeded(pool, keys_of(folder))
    keys = keys_of(folder)
    await pool.execute("ALTER TABLE cases RENAME TO away")
    working = asyncio.create_task(resealing(pool, keys, REGION, again_after_s=0.01, every_s=0.01))
    try:
        await asyncio.sleep(0.1)
        await pool.execute("ALTER TABLE away RENAME TO cases")
        RootFolder.open(folder).use(RootFolder.open(folder).add())
        assert keys.reload()
        async with asyncio.timeout(20):
            while await headers(pool) != {keys.header}:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)


async def test_a_row_that_cannot_be_opened_is_left_and_holds_up_no_other(pool, folder):
    before = keys_of(folder)
    await seeded(pool, before)
    await pool.execute(
        """INSERT INTO cases (region, id, number, claim_code, subject, actor, item, state, answers)
        SELECT '990100', id, id, 'c', 's', 's', 'i', 'draft', a FROM unnest($1::text[], $2::bytea[]) AS n (id, a)""",
        ["case_0", "case_x", "case_y"],
        [b"", before.seal(b"{}", "cases.answers:another"), before.seal(b"{}", "cases.answers:case_y")],
    )
    keys = keys_of(folder, "sm")
    moved = await reseal(pool, keys, REGION, SEALED)
    assert moved["cases"] == 2
    assert moved["certificates"] == 1
    assert keys.unseal(await pool.fetchval("SELECT answers FROM cases WHERE id = 'case_y'"), "cases.answers:case_y")
    assert await pool.fetchval("SELECT answers FROM cases WHERE id = 'case_0'") == b""
