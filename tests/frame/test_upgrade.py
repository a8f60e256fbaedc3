"""A database with rows of before subjects' keys and the sealed ledger: nobody is lost, and all of it can be proven."""

import shutil

import pytest

from audit.ledger import verified
from onestop import migrate
from onestop.audit import service as audit
from onestop.audit.models import Use
from onestop.audit.sealer import Sealer
from onestop.audit.witness import Witness
from onestop.db import open_pool
from onestop.identity.models import Identified
from onestop.identity.service_subjects import Subjects
from onestop.key_rotation import SEALED
from onestop.resealing import reseal
from onestop.resources import shipped

from .test_migrate import empty as empty

pytestmark = pytest.mark.anyio
REGION = "990100"
LIN = Identified(number_type="citizen_id", number="990102199203140221", name="林晓舟")
BEFORE = 15
SUBJECT = """
    INSERT INTO subjects (region, id, kind, number_type, number_index, number, name)
    VALUES ('990100', 'sub_old', 'person', 'citizen_id', $1, $2, $3)
"""
LEDGER = """
    INSERT INTO audit_entries (region, id, actor, action, detail) VALUES ('990100', 'aud_0', 'a', 'x', '{"b": 1}');
    INSERT INTO data_uses (region, id, subject, actor, uses) VALUES ('990100', 'use_0', 'sub_old', 'a',
        '[{"adapter": "x", "operation": "o", "version": "1", "outcome": "read", "purpose": "办事", "basis": "法"}]')
"""


async def test_rows_of_before_are_found_rekeyed_sealed_and_verified(empty, keys, tmp_path):
    (tmp_path / "before").mkdir()
    for file in migrate.read()[:BEFORE]:
        shutil.copy(shipped("migrations") / file.name, tmp_path / "before")
    await migrate.upgrade(empty, tmp_path / "before")
    pool = await open_pool(empty)
    try:
        index = keys.blind_index(f"{LIN.number_type}:{LIN.number}", "subjects.number")
        number = keys.seal(LIN.number.encode(), "subjects.number:sub_old")
        await pool.execute(SUBJECT, index, number, keys.seal(LIN.name.encode(), "subjects.name:sub_old"))
        await pool.execute(LEDGER)
        await migrate.upgrade(empty)
        subjects = Subjects(pool, keys, REGION)
        assert await subjects.know(LIN) == "sub_old"
        assert (await reseal(pool, keys, REGION, SEALED))["subjects"] == 1
        assert (await subjects.read("sub_old")).number == LIN.number
        entry = audit.use_entry(
            Use(adapter="x", basis="法", operation="o", outcome="read", purpose="办事", version="1")
        )
        await audit.record(pool, REGION, actor="a", action="y", subject="sub_old", uses=[entry])
        assert len(await audit.own_data_uses(pool, REGION, "sub_old")) == 2
        works = Sealer(pool, keys, REGION, Witness(tmp_path / "anchors.jsonl"))
        assert await works.seal() == 4
        await works.anchor(every_s=0)
        report = await verified(pool, works)
        assert (report.entries, report.count) == (4, 0)
    finally:
        await pool.close()
