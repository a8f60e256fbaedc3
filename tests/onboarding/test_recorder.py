"""The recorder writes answers down with nothing of a real person in them, or not at all."""

import msgspec
import pytest
from stdnum.cn import ric

from onestop.gateway.line import Where
from onestop.gateway.operations import prepare
from onestop.onboarding.recorder import RealNumberLeft, record
from onestop.onboarding.simulator import Simulator
from onestop.onboarding.simulator_examples import reading
from onestop.onboarding.simulator_people import real_number
from onestop.onboarding.simulator_server import SimulatorApp
from tests.onboarding.playing import FOLDER, LOOPBACK, MANIFESTS, listening, shipped_one
from tests.onboarding.test_conformance import crooked, replaced

pytestmark = pytest.mark.anyio
REAL = "11010119900307001"
REAL += ric.calc_check_digit(REAL + "0")


async def recorded(adapter, url, secrets, **told):
    manifest, examples = shipped_one(adapter)
    files = await record(manifest, Where(url, secrets), LOOPBACK, examples=examples, **told)
    return {file.name: file.data for file in files}


async def test_an_answer_in_which_a_real_number_remains_is_not_written():
    hidden = f'"name":"x{REAL}y"'.encode()
    async with crooked("renshe", replaced('"name":"林晓舟"'.encode(), hidden)) as (url, simulator):
        with pytest.raises(RealNumberLeft):
            await recorded("renshe", url, simulator.secrets)


async def test_real_people_become_invented_ones_of_the_same_shape():
    said = f'"name":"司马真实","spouse_id":"{REAL}","mobile":"13812345678","mail":"real@gov.cn"'
    said += ',"addr":"北京市东城区真实街1号"'
    async with crooked("renshe", replaced('"name":"林晓舟"'.encode(), said.encode())) as (url, simulator):
        files = await recorded("renshe", url, simulator.secrets)
    body = files["social_insurance.ok.200.response.json"].decode()
    told = msgspec.json.decode(body)
    for word in ("司马真实", REAL, "13812345678", "real@gov.cn", "东城区"):
        assert word not in body
    assert told["spouse_id"].startswith("99")
    assert told["spouse_id"][6:14] == "19900307"
    assert not real_number(told["spouse_id"])
    assert told["mobile"].startswith("154000000")
    assert set(told) >= {"name", "spouse_id", "mobile", "mail", "addr", "insurance", "id_number"}


@pytest.mark.parametrize("adapter", ["renshe", "yibao", "gongan"])
async def test_what_is_recorded_is_read_as_the_examples_before(adapter):
    manifest, examples = shipped_one(adapter)
    simulator = Simulator(manifest, examples=examples)
    before = {f"{b.operation.id}.{e.name}": e.reads_as for b in simulator.books.values() for e in b.examples}
    async with listening(SimulatorApp(simulator)) as url:
        files = await recorded(adapter, url, simulator.secrets, effects=True)
    operations = prepare(MANIFESTS[adapter])
    again = {}
    for name, data in files.items():
        operation, example, status, *rest = name.split(".")
        if rest and rest[0] == "response":
            again[f"{operation}.{example}"] = reading(operations[operation], int(status), {}, data)
    asked = {name: word for name, word in before.items() if name in again}
    assert len(again) >= 3
    assert {n: w for n, w in again.items() if asked[n] != w and (asked[n], w) != ("correction", "completed")} in (
        {}, {"claim_status.pending": "completed"}, {"by_serial.pending": "completed"},
    )  # fmt: skip


async def test_nothing_with_an_effect_is_sent_unless_it_may_be():
    manifest, examples = shipped_one("gongan")
    app = SimulatorApp(Simulator(manifest, examples=examples))
    async with listening(app) as url:
        files = await recorded("gongan", url, app.simulator.secrets)
    assert len(app.simulator.memory) == 0
    assert not any(name.startswith("register_birth") for name in files)


async def test_the_command_writes_the_files(tmp_path):
    import asyncio
    import sys

    manifest, examples = shipped_one("gjj")
    app = SimulatorApp(Simulator(manifest, examples=examples))
    async with listening(app) as url:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "onestop", "adapter", "record", "gjj", "--against", url, "--into", str(tmp_path),
            stdout=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        assert await process.wait() == 0
    written = sorted(path.name for path in tmp_path.iterdir())
    assert written == sorted(path.name for path in (FOLDER / "gjj/examples").iterdir())
