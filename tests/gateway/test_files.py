"""Effects and answers by file: whole or not at all, once and never twice, nothing a spreadsheet would run."""

import hashlib
import json
import os

import asyncpg
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from onestop.gateway import file_rows, files, store_files
from onestop.gateway.file_rows import BadFile, BadRow
from onestop.gateway.files import FileDrop
from onestop.gateway.manifest import Files
from tests.gateway.work import REGION, Work, at_work, manifest, until

pytestmark = pytest.mark.anyio
NOW = "[files]\nevery_s = 1.0\nmost_rows = 3\n{}"


@pytest.fixture(autouse=True)
async def empty(pool):
    await pool.execute("TRUNCATE effects")
    with capture_logs():
        yield


def exchanged(codec="csv", charset="utf-8"):
    return manifest(answer="file", tables=NOW.format(f'codec = "{codec}"\ncharset = "{charset}"'))


class Exchange:
    """One department that exchanges files, and the folder."""

    def __init__(self, pool, keys, folder, *told, other=None):
        self.work = Work(pool, keys, [exchanged(*told), *([other] if other else [])])
        self.folder = folder
        self.drop = self.another()

    def another(self):
        work = self.work
        return FileDrop(work.pool, work.keys, work.gateway, REGION, work.handler, self.folder)

    async def offer(self, **payloads):
        """Intend effects and wait until a worker has left them for the next file, due at once."""
        for key, name in payloads.items():
            await self.work.intend(key, payload={"name": name})
        async with at_work(self.work):
            left = "SELECT count(*) FROM effects WHERE channel = 'call'"

            async def all_left():
                return not await self.work.pool.fetchval(left)

            await until(all_left)
        await self.work.pool.execute("UPDATE effects SET intended_at = now() - interval '2 s' WHERE batch IS NULL")

    def out(self):
        return sorted(path for path in (self.folder / "out").iterdir() if path.suffix in (".csv", ".jsonl"))

    def rows(self):
        told = self.work.gateway.manifests["dep"].files
        return [row for path in self.out() for _, row in file_rows.read(told, path.read_bytes())]

    def answer(self, text, name="dep-1.csv", charset="utf-8"):
        (self.folder / "in" / name).write_bytes(text.encode(charset))

    def names(self, folder):
        return sorted(path.name for path in (self.folder / folder).iterdir())


@pytest.fixture
async def exchange(pool, keys, tmp_path):
    found = Exchange(pool, keys, tmp_path / "files")
    await found.drop.look()  # makes the folders
    return found


# ---- refusals ------------------------------------------------------------------------------------------------------


async def test_another_departments_file_is_not_read_and_its_keys_are_nobodys(pool, keys, tmp_path):
    other = manifest("other", answer="file", tables=NOW.format(""))
    exchange = Exchange(pool, keys, tmp_path / "files", other=other)
    await exchange.offer(a="林")
    await exchange.drop.look()
    exchange.answer("key,status,number\r\na,ok,N1\r\n", "other-1.csv")
    exchange.answer("key,status,number\r\na,ok,N1\r\n", "stranger-1.csv")
    await exchange.drop.look()
    assert exchange.work.heard == []
    assert exchange.names("in") == ["stranger-1.csv"]
    report = json.loads((exchange.folder / "bad/other-1.csv.report.json").read_text("utf-8"))
    assert report["bad"] == [{"row": 2, "cause": "nothing was sent under its key"}]


async def test_an_operation_that_is_gone_is_told_to_its_owner_and_nothing_of_it_is_lost(exchange, pool):
    await pool.execute("TRUNCATE adapter_notices")
    await exchange.offer(a1="林", a2="王", b1="李")
    await exchange.drop.look()  # a whole file, with three rows
    await exchange.offer(c1="赵")
    serving = exchange.work.gateway.manifests["dep"]
    rest = [one for one in serving.operations if one.answer != "file"]
    exchange.work.gateway.manifests["dep"] = msgspec.structs.replace(serving, operations=rest, version="1.1.0")
    # Whoever wrote the file did not come back to note it.
    lost = "UPDATE effects SET answer = 'none', lease_until = now() - interval '1 s' WHERE key LIKE 'a_'"
    assert await pool.execute(lost) == "UPDATE 2"
    exchange.answer("key,number,status\r\nb1,N1,ok\r\n")
    with capture_logs() as logs:
        await exchange.drop.look()
        await exchange.drop.look()
    assert not [one for one in logs if one["event"] == "files_failed"]
    assert exchange.work.of("c1") == ["desk"]  # it was in no file
    states = {row["key"]: (row["state"], row["answer"]) for row in await pool.fetch("SELECT * FROM effects")}
    assert states["a1"] == states["a2"] == states["b1"] == ("sent", "awaited")
    assert len(exchange.rows()) == 3
    assert exchange.names("in") == []
    assert exchange.names("bad") == ["dep-1.csv", "dep-1.csv.report.json"]
    told = await pool.fetch("SELECT kind, version, params FROM adapter_notices WHERE adapter = 'dep'")
    assert {(one["kind"], one["version"]) for one in told} == {("file_operation_gone", "1.1.0")}
    assert {one["params"]["operation"] for one in told} == {"apply"}
    assert len(told) == 3, "once for each file, however often it is looked at"


async def test_bad_rows_are_named_and_the_good_ones_are_taken(exchange):
    await exchange.offer(a="林", b="陈")
    await exchange.drop.look()
    exchange.answer("key,status,number\r\na,ok,N1\r\nb,perhaps,N2\r\n,ok,N3\r\nb,ok\r\nzz,ok,N4\r\n")
    await exchange.drop.look()
    assert exchange.work.heard == [("a", "completed")]
    report = json.loads((exchange.folder / "bad/dep-1.csv.report.json").read_text("utf-8"))
    assert (report["rows"], report["new"], [fault["row"] for fault in report["bad"]]) == (5, 1, [3, 4, 5, 6])
    assert exchange.names("bad") == ["dep-1.csv", "dep-1.csv.report.json"]
    assert exchange.names("done") == exchange.names("in") == []


@pytest.mark.parametrize(
    "data",
    [b"\xff\xfe\x00", b"", b"key,key\r\na,b\r\n", b'key,status\r\n"a', b"key,\r\na,b\r\n"],
    ids=["charset", "empty", "twice a column", "open quote", "nameless"],
)
async def test_a_file_that_cannot_be_read_is_put_away_with_the_reason(exchange, data):
    (exchange.folder / "in/dep-1.csv").write_bytes(data)
    await exchange.drop.look()
    assert exchange.names("bad") == ["dep-1.csv", "dep-1.csv.report.json"]
    assert json.loads((exchange.folder / "bad/dep-1.csv.report.json").read_text("utf-8"))["cause"]


async def test_links_unfinished_files_and_giants_are_not_read(exchange, tmp_path, monkeypatch):
    secret = tmp_path / "secret"
    secret.write_text("key,status\r\na,ok\r\n", "utf-8")
    (exchange.folder / "in/dep-link.csv").symlink_to(secret)
    (exchange.folder / "in/dep-1.csv.tmp").write_text("key", "utf-8")
    (exchange.folder / "in/dep-folder.csv").mkdir()
    monkeypatch.setattr(files, "_MOST_BYTES", 10)
    exchange.answer("key,status\r\na,ok\r\n", "dep-big.csv")
    await exchange.drop.look()
    assert exchange.names("in") == ["dep-1.csv.tmp", "dep-folder.csv", "dep-link.csv"]
    assert exchange.names("bad") == ["dep-big.csv", "dep-big.csv.report.json"]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "＝", "＋", "－", "＠"])
async def test_no_cell_is_a_formula(start):
    data = file_rows.write(Files(), [{"name": f"{start}HYPERLINK(1)"}]).decode()
    assert f"'{start}HYPERLINK(1)" in data
    assert list(file_rows.read(Files(), data.encode())) == [(2, {"name": f"{start}HYPERLINK(1)"})]


async def test_a_negative_number_stays_one_and_a_list_is_no_cell():
    assert file_rows.write(Files(), [{"n": -5}]) == b"n\r\n-5\r\n"
    with pytest.raises(BadRow):
        file_rows.write(Files(), [{"n": [1]}])


# ---- out -----------------------------------------------------------------------------------------------------------


async def test_effects_go_out_in_whole_files_of_at_most_so_many_rows(exchange):
    await exchange.offer(a="林", b="陈", c="=1+1", d="周")
    await exchange.drop.look()
    await exchange.work.pool.execute("UPDATE effects SET intended_at = now() - interval '2 s'")
    await exchange.drop.look()
    assert [len(list(file_rows.read(Files(), path.read_bytes()))) for path in exchange.out()] == [3, 1]
    assert {"key": "c", "name": "=1+1"} in exchange.rows()
    assert any(b"'=1+1" in path.read_bytes() for path in exchange.out())
    for path in exchange.out():
        beside = json.loads(path.with_name(f"{path.name}.manifest.json").read_text("utf-8"))
        data = path.read_bytes()
        assert (beside["file"], beside["operation"]) == (path.name, "apply")
        assert beside["sha256"] == hashlib.sha256(data).hexdigest()
        assert beside["rows"] == len(list(file_rows.read(Files(), data)))
    row = await exchange.work.row("a")
    assert (row["state"], row["answer"], row["batch"]) == ("sent", "awaited", exchange.out()[0].name)
    assert not [name for name in os.listdir(exchange.folder / "out") if name.endswith(".tmp")]


async def test_a_file_waits_until_it_is_due(exchange):
    await exchange.offer(a="林")
    await exchange.work.pool.execute("UPDATE effects SET intended_at = now() + interval '30 s'")
    await exchange.drop.look()
    assert exchange.out() == []


async def test_two_workers_write_every_effect_into_one_file(pool, keys, tmp_path):
    import asyncio

    exchange = Exchange(pool, keys, tmp_path / "files")
    await exchange.offer(**{f"k{n}": "林" for n in range(12)})
    drops = [exchange.another() for _ in range(4)]
    for _ in range(4):
        await asyncio.gather(*(drop.look() for drop in drops))
    assert sorted(row["key"] for row in exchange.rows()) == sorted(f"k{n}" for n in range(12))


@pytest.mark.parametrize("crash", ["before the file", "after the file", "between file and manifest"])
async def test_whoever_dies_while_writing_leaves_nothing_lost_and_nothing_twice(exchange, monkeypatch, crash):
    await exchange.offer(a="林", b="陈")
    publish, out = files._publish, store_files.out

    def dies_before(*_):
        raise KeyboardInterrupt

    def dies_between(folder, name, data, _manifest):
        files._write_whole(folder, name, data)
        raise KeyboardInterrupt

    async def dies_after(*_):
        raise KeyboardInterrupt

    if crash == "after the file":
        monkeypatch.setattr(store_files, "out", dies_after)
    else:
        monkeypatch.setattr(files, "_publish", dies_before if crash == "before the file" else dies_between)
    with pytest.raises(KeyboardInterrupt):
        await exchange.drop.look()
    monkeypatch.setattr(files, "_publish", publish)
    monkeypatch.setattr(store_files, "out", out)
    await exchange.another().look()
    assert (await exchange.work.row("a"))["answer"] == "none", "the lease still holds"
    await exchange.work.pool.execute("UPDATE effects SET lease_until = now() - interval '1 s'")
    await exchange.another().look()
    await exchange.another().look()
    assert [row["key"] for row in exchange.rows()] == ["a", "b"]
    assert len(exchange.out()) == 1
    assert exchange.out()[0].with_name(f"{exchange.out()[0].name}.manifest.json").exists()
    assert [(await exchange.work.row(key))["answer"] for key in "ab"] == ["awaited", "awaited"]


# ---- in ------------------------------------------------------------------------------------------------------------


async def test_answers_are_taken_once_however_often_the_file_comes(exchange):
    await exchange.offer(a="林", b="陈")
    await exchange.drop.look()
    text = "key,status,number,says\r\na,ok,N1,\r\nb,no,,资料不全\r\n"
    for _ in range(3):
        exchange.answer(text)
        await exchange.drop.look()
    assert exchange.work.heard == [("a", "completed"), ("b", "declined")]
    assert (await exchange.work.row("a"))["reference"] == "N1"
    assert len(exchange.names("done")) == 3, "none is written over"


@pytest.mark.parametrize(
    ("charset", "bom"), [("utf-8", b"\xef\xbb\xbf"), ("gb18030", b""), ("gb18030", b"\x84\x31\x95\x33")]
)
async def test_charsets_and_byte_order_marks(pool, keys, tmp_path, charset, bom):
    exchange = Exchange(pool, keys, tmp_path / "files", "csv", charset)
    await exchange.offer(a="林𠮷")
    await exchange.drop.look()
    assert exchange.rows() == [{"key": "a", "name": "林𠮷"}]
    assert "林𠮷".encode(charset) in exchange.out()[0].read_bytes()
    (exchange.folder / "in/dep-1.csv").write_bytes(bom + "key,status,says\r\na,no,不符合𠮷\r\n".encode(charset))
    await exchange.drop.look()
    assert exchange.work.heard == [("a", "declined")]


async def test_a_file_for_spreadsheets_begins_with_the_mark():
    assert file_rows.write(Files(charset="utf-8-sig"), [{"a": "林"}]).startswith(b"\xef\xbb\xbf")


async def test_lines_of_json_go_both_ways(pool, keys, tmp_path):
    exchange = Exchange(pool, keys, tmp_path / "files", "jsonl")
    await exchange.offer(a="林")
    await exchange.drop.look()
    assert exchange.rows() == [{"key": "a", "name": "林"}]
    exchange.answer('{"key": "a", "status": "ok", "number": "N1"}\n[1]\n{"key": "a"\n', "dep-1.jsonl")
    await exchange.drop.look()
    assert exchange.work.heard == [("a", "completed")]
    report = json.loads((exchange.folder / "bad/dep-1.jsonl.report.json").read_text("utf-8"))
    assert [fault["row"] for fault in report["bad"]] == [2, 3]


async def test_what_no_file_answers_is_a_persons_work(pool, keys, tmp_path):
    told = exchanged()
    operations = [msgspec.structs.replace(told.operations[0], answer_within_s=3600.0), *told.operations[1:]]
    exchange = Exchange(pool, keys, tmp_path / "files")
    exchange.work.gateway.manifests["dep"] = msgspec.structs.replace(told, operations=operations)
    await exchange.offer(a="林")
    await exchange.drop.look()
    await exchange.work.age("a", 2, sent=True)
    async with at_work(exchange.work):
        await until(lambda: _heard(exchange.work))
    assert exchange.work.heard == [("a", "desk")]


async def _heard(work):
    return bool(work.heard)


# ---- rows ----------------------------------------------------------------------------------------------------------

TEXT = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\x00"), max_size=30)


@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=5), st.sampled_from(["utf-8", "utf-8-sig", "gb18030"]))
def check_every_text_comes_back(rows, charset):
    told = Files(charset=charset)
    # A guard that stood there before is taken for ours.
    given_rows = [{"a": a.lstrip("'"), "b": b.lstrip("'")} for a, b in rows]
    back = [row for _, row in file_rows.read(told, file_rows.write(told, given_rows))]
    assert back == given_rows


async def test_every_text_comes_back_as_it_went():
    check_every_text_comes_back()


@given(st.binary(max_size=200), st.sampled_from(["csv", "jsonl"]), st.sampled_from(["utf-8", "gb18030"]))
def check_any_bytes(data, codec, charset):
    try:
        for _, row in file_rows.read(Files(codec=codec, charset=charset), data):
            assert isinstance(row, (dict, BadRow))
    except BadFile:
        pass


async def test_any_bytes_are_read_or_refused():
    check_any_bytes()


async def test_a_department_whose_files_cannot_be_looked_at_keeps_nobody_else_from_theirs(
    pool, keys, tmp_path, monkeypatch
):
    other = manifest(name="other", answer="file", tables=NOW.format(""))
    found = Exchange(pool, keys, tmp_path / "files", other=other)
    looked = []
    away = [asyncpg.CannotConnectNowError("starting up")]

    async def write_due(one, *_):
        looked.append(one.id)
        if away:
            raise away.pop()

    monkeypatch.setattr(found.drop, "_write_due", write_due)
    await found.drop.look()
    assert sorted(looked) == sorted(["dep", "other"])
