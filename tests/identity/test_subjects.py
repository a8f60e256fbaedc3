"""Each subject's number and name lie under a key of its own, and that one under the region's."""

import asyncio

import pytest

from identity.conftest import CHEN, LIN
from onestop.crypto import SealBroken
from onestop.identity import sealing
from onestop.identity.models import Identified
from onestop.identity.service_reseal import SEALED
from onestop.identity.service_subjects import Subjects
from onestop.resealing import reseal

pytestmark = pytest.mark.anyio
REGION = "990100"


@pytest.fixture
def subjects(pool, keys):
    return Subjects(pool, keys, REGION)


@pytest.fixture(autouse=True)
async def nobody(pool):
    await pool.execute("TRUNCATE subjects, subject_department_ids")


async def written_before_there_were_data_keys(pool, keys, who):
    """A row as the release before wrote it."""
    subject_id = f"sub_{who.number[-4:]}"
    await pool.execute(
        "INSERT INTO subjects (region, id, kind, number_type, number_index, number, name) "
        "VALUES ('990100', $1, 'person', $2, $3, $4, $5)",
        subject_id,
        who.number_type,
        sealing.subject_index(keys, who.number_type, who.number),
        keys.seal(who.number.encode(), sealing.number_context(subject_id)),
        keys.seal(who.name.encode(), sealing.name_context(subject_id)),
    )
    return subject_id


async def test_one_subjects_key_and_seals_open_nothing_of_another(pool, subjects):
    lin, chen = await subjects.know(LIN), await subjects.know(CHEN)
    taken = "(SELECT {0} FROM subjects WHERE id = $1)"
    for column in ("number", "name", "data_key"):
        kept = await pool.fetchval(f"SELECT {column} FROM subjects WHERE id = $1", chen)
        await pool.execute(f"UPDATE subjects SET {column} = {taken.format(column)} WHERE id = $2", lin, chen)
        with pytest.raises(SealBroken):
            await subjects.read(chen)
        await pool.execute(f"UPDATE subjects SET {column} = $1 WHERE id = $2", kept, chen)
    assert (await subjects.read(chen)).number == CHEN.number


async def test_without_its_data_key_a_row_says_nothing_even_to_the_root_key(pool, keys, subjects):
    lin = await subjects.know(LIN)
    row = await pool.fetchrow("SELECT number, name FROM subjects WHERE id = $1", lin)
    await pool.execute("UPDATE subjects SET data_key = NULL WHERE id = $1", lin)
    with pytest.raises(SealBroken):
        await subjects.read(lin)
    with pytest.raises(SealBroken):
        keys.unseal(row["number"], sealing.number_context(lin))


async def test_another_regions_key_does_not_open_it(pool, keys, subjects):
    lin = await subjects.know(LIN)
    await pool.execute("UPDATE subjects SET region = '990200' WHERE id = $1", lin)
    with pytest.raises(SealBroken):
        await Subjects(pool, keys, "990200").read(lin)


async def test_a_row_from_before_is_read_and_given_its_own_key(pool, keys, subjects):
    lin = await written_before_there_were_data_keys(pool, keys, LIN)
    assert await subjects.know(LIN) == lin
    assert (await subjects.read(lin)).number == LIN.number
    assert (await reseal(pool, keys, REGION, SEALED))["subjects"] == 1
    assert (await reseal(pool, keys, REGION, SEALED))["subjects"] == 0
    assert await pool.fetchval("SELECT data_key IS NOT NULL FROM subjects WHERE id = $1", lin)
    assert await subjects.know(LIN) == lin
    assert ((await subjects.read(lin)).number, (await subjects.read(lin)).name) == (LIN.number, LIN.name)


async def test_a_name_changes_with_and_without_a_key_of_its_own(pool, keys, subjects):
    lin, chen = await written_before_there_were_data_keys(pool, keys, LIN), await subjects.know(CHEN)
    for subject_id, who in ((lin, LIN), (chen, CHEN)):
        renamed = Identified(number_type=who.number_type, number=who.number, name="林小舟")
        assert await subjects.know(renamed) == subject_id
        assert (await subjects.read(subject_id)).name == "林小舟"


async def test_names_that_change_while_rows_are_given_keys_stay_readable(pool, keys, subjects):
    lin = await written_before_there_were_data_keys(pool, keys, LIN)

    async def rename():
        for n in range(40):
            await subjects.know(Identified(number_type=LIN.number_type, number=LIN.number, name=f"林{n}"))

    async def anew():
        for _ in range(10):
            await pool.execute("UPDATE subjects SET changed_at = now()")
            await reseal(pool, keys, REGION, SEALED)

    await asyncio.gather(rename(), anew())
    assert (await subjects.read(lin)).name.startswith("林")


async def test_a_departments_identifier_is_one_subjects_and_does_not_move(pool, subjects):
    lin, chen = [await subjects.read(await subjects.know(who)) for who in (LIN, CHEN)]
    await subjects.learn(lin, {"gongan": "P-1", "yibao": "Y-1"})
    await subjects.learn(chen, {"gongan": "P-2"})
    assert (await subjects.held(lin.id)).ids == {"gongan": "P-1", "yibao": "Y-1"}
    assert (await subjects.held(chen.id)).ids == {"gongan": "P-2"}
    taken = "(SELECT value FROM subject_department_ids WHERE subject_id = $1 AND department = $2)"
    move = f"UPDATE subject_department_ids SET value = {taken} WHERE subject_id = $3 AND department = 'gongan'"
    put_back = "UPDATE subject_department_ids SET value = $1 WHERE subject_id = $2 AND department = 'gongan'"
    for whose, department in ((chen.id, "gongan"), (lin.id, "yibao")):
        kept = await pool.fetchval(taken[1:-1], lin.id, "gongan")
        await pool.execute(move, whose, department, lin.id)
        with pytest.raises(SealBroken):
            await subjects.read(lin.id)
        await pool.execute(put_back, kept, lin.id)
    assert (await subjects.read(lin.id)).ids["gongan"] == "P-1"


async def test_one_number_of_two_types_is_two_subjects(subjects):
    first = await subjects.know(Identified(number_type="staff", number="zwfw:0042", name="a"))
    second = await subjects.know(Identified(number_type="machine", number="zwfw:0042", name="a"))
    assert first != second
    assert ((await subjects.read(first)).kind, (await subjects.read(second)).kind) == ("staff", "machine")
