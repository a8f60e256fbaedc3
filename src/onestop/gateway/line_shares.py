"""What a manifest's `[limits]` declare is divided among the processes that call, so that it holds for the installation.

Each process keeps a row with what it holds. Its round, one at a time by a lock, reads what the others hold and writes
its own: giving is done before it is written, taking after, and never more than the others have left. So what all hold
together is at most what is declared at every moment; a request costs no look at the database.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

import msgspec

from onestop.db import Pool
from onestop.gateway import running
from onestop.gateway import store_line_shares as store
from onestop.gateway.limits import Pace
from onestop.gateway.line import Line
from onestop.gateway.manifest import Manifest
from onestop.gateway.store_line_shares import Holding
from onestop.http.wake import Announcer
from onestop.ids import new_id

TOPIC: Final = "line_shares"
# Silent for so long, a process is taken for gone, so that who takes its place waits no longer. It may live, cut off
# from the database: then it may exceed its part until nobody is served from memory any more (sessions: 30 s).
GONE_S: Final = 10.0
_AFTER_A_GAP_S: Final = 60.0  # where this process was silent itself: the database may have been away for all
_STEADY_S: Final = 5.0
_TELL_S: Final = 0.5  # while calls end one by one, the others are not waked for each
_RATE: Final = "@"  # after the name of what is declared: its calls per second, as whole calls in a thousand seconds
_IDLE: Final = 4  # who has no use for places now keeps this part of an equal part, for its next call
_REMEMBERED_S: Final = 10.0  # for how long what a process had use for counts
TURN_S: Final = 10.0  # where there are fewer places than processes, for how long one has its place


class Share(msgspec.Struct, frozen=True):
    """What this process may use of one declared number."""

    declared: int
    places: int  # calls that may begin while fewer are under way
    held: int  # places, or what is still under way of more; what the row says
    turn_s: float = 0.0  # without a place: in how many seconds its turn comes


def split(limit: int, wanted: Sequence[int], turn: int = 0, serves: Sequence[bool] = ()) -> list[int]:
    """Divide `limit` places among processes that have use for so many each.

    Whoever wants no more than an equal part gets what it wants; those that want more share the rest equally; what
    nobody wants goes in equal parts to those that serve people, who come without notice (`serves`; to all where none
    does). Who wants nothing keeps a quarter of an equal part, at least one place.
    Where there are fewer places than processes each place is one process's for a turn, and goes round.
    """
    count = len(wanted)
    if limit < count:
        return [int((i + turn) % count < limit) for i in range(count)]
    parts = [max(limit // count // _IDLE, 1)] * count
    left = limit - sum(parts)
    hungry = [i for i in range(count) if wanted[i] > parts[i]]
    while left and hungry:
        each, over = divmod(left, len(hungry))
        for k, i in enumerate(hungry):
            more = min(each + (k < over), wanted[i] - parts[i])
            parts[i] += more
            left -= more
        hungry = sorted((i for i in hungry if wanted[i] > parts[i]), key=parts.__getitem__)
    eager = [i for i, yes in enumerate(serves) if yes] or list(range(count))
    each, over = divmod(left, len(eager))
    for k, i in enumerate(eager):
        parts[i] += each + (k < over)
    return parts


def turn_in_s(limit: int, count: int, index: int, epoch: float) -> float:
    """Return in how many seconds the process at `index` next has a place; 0 where it has one now."""
    turn = int(epoch / TURN_S)
    ahead = next((k for k in range(count) if (index + turn + k) % count < limit), 0)
    return (turn + ahead) * TURN_S - epoch if ahead else 0.0


def decide(declared: Mapping[str, int], all_held: Sequence[Holding], own: str, epoch: float) -> dict[str, Share]:
    """Return what one process may use now, by name: its part, as far as the others have left it."""
    index = next(i for i, one in enumerate(all_held) if one.process == own)
    count, told = len(all_held), {}
    serves = [one.serves for one in all_held]
    for name, limit in declared.items():
        wanted = [one.wanted.get(name, 0) for one in all_held]
        part = split(limit, wanted, int(epoch / TURN_S), serves)[index]
        mine = all_held[index].held.get(name, 0)
        free = limit - sum(one.held.get(name, 0) for one in all_held if one.process != own)
        places = part if part <= mine else max(mine, min(part, free))
        told[name] = Share(limit, places, max(places, mine), turn_in_s(limit, count, index, epoch))
    return told


def declared_by(manifests: Iterable[Manifest]) -> dict[str, int]:
    """Return the numbers that manifests declare: calls at once, and in a thousand seconds (`@`).

    By adapter and adapter/operation; of several versions of an adapter the last one counts.
    """
    told: dict[str, int] = {}
    for manifest in manifests:
        told[manifest.id] = manifest.limits.concurrency
        told |= {f"{manifest.id}/{one.id}": one.concurrency for one in manifest.operations if one.concurrency}
        if manifest.limits.per_second:
            told[manifest.id + _RATE] = _milli(manifest.limits.per_second)
        told |= {f"{manifest.id}/{o.id}{_RATE}": _milli(o.per_second) for o in manifest.operations if o.per_second}
    return told


class LineShares:
    """This process's part of every line, and its row; instants are loop time."""

    def __init__(self, pool: Pool, lines: Callable[[], Iterable[Line]], *, serves: bool = False) -> None:
        self._pool, self._serves = pool, serves
        self._lines = lines  # every line that may have calls under way, also those that are leaving
        self.process = new_id("prc")
        self._host = running.here()
        self._told: dict[str, Share] = {}
        self._wanted: dict[str, tuple[int, float]] = {}  # by name, and since when it is so much
        self._rounded = float("-inf")
        self._others: list[str] = []
        self._announced = 0.0
        self._announce = Announcer(pool)

    def give(self, line: Line) -> None:
        """Let a line begin with what this process holds of it; with nothing before the first round that knows it."""
        _allot(line, self._told)

    async def round(self, manifests: Iterable[Manifest]) -> None:
        """Say that this process is here, give what others lack, take what is free.

        Where the database cannot be read, what was given stays given and all else stays as it is.
        """
        declared = declared_by(manifests)
        async with self._pool.acquire() as db, db.transaction():
            more = self._look_what_is_wanted(declared)
            wanted = {name: many for name, (many, _) in self._wanted.items() if many}
            epoch, found = await store.begin(db, self.process, self._host, self._serves, wanted, self._patience_s())
            ended = [one.process for one in found if running.has_ended(one.host)]
            if ended:
                await store.remove(db, ended)
                found = [one for one in found if one.process not in ended]
            told = decide(declared, found, self.process, epoch)
            self._use({name: _given(share, self._told.get(name)) for name, share in told.items()})
            under_way = self._under_way()
            told = {name: _holding(share, under_way.get(name, 0)) for name, share in told.items()}
            await store.hold(db, self.process, {name: share.held for name, share in told.items() if share.held})
        self._use(told)
        self._rounded = asyncio.get_running_loop().time()
        self._tell([one.process for one in found], more or _gave(found, self.process, told))

    @property
    def short(self) -> bool:
        """Whether others have not yet given what is this process's part."""
        return any(not share.places and not share.turn_s for share in self._told.values())

    def _patience_s(self) -> float:
        """Return after how long a silence others are gone; whose own rounds have a gap gives them time to speak."""
        steady = asyncio.get_running_loop().time() - self._rounded < _STEADY_S
        return GONE_S if steady else _AFTER_A_GAP_S

    def _look_what_is_wanted(self, declared: Mapping[str, int]) -> bool:
        """Remember the most there was use for lately: what is under way, all where calls had to wait. True: more."""
        now, under_way = asyncio.get_running_loop().time(), self._under_way()
        short = {_name(line, operation) for line in self._lines() for operation in line.admission.shortages()}
        for line in self._lines():
            for operation, pace in _paces(line):
                name = _name(line, operation) + _RATE
                under_way[name] = under_way.get(name, 0) + _milli(pace.lately(now))
                if pace.was_short():
                    short.add(name)
        grew = False
        for name, limit in declared.items():
            many = limit if name in short else under_way.get(name, 0)
            before, since = self._wanted.get(name, (0, now))
            if many >= before or now - since > _REMEMBERED_S:
                self._wanted[name] = (many, now)
                grew |= many > before and name in short
        return grew

    def _tell(self, others: list[str], gave: bool) -> None:
        """Wake the others where they can take, or have somebody to give to; the next round does without."""
        now, joined = asyncio.get_running_loop().time(), others != self._others
        self._others = others
        if len(others) > 1 and (joined or (gave and now - self._announced >= _TELL_S)):
            self._announced = now
            self._announce(TOPIC)

    async def leave(self) -> None:
        """Cut all lines and free this process's shares; a call that does not end keeps them until the row is old."""
        self._use({name: Share(share.declared, 0, share.held) for name, share in self._told.items()})
        for line in list(self._lines()):
            await line.close()
        with contextlib.suppress(Exception):  # the database may be away; then the row grows old
            if not any(self._under_way().values()):
                await store.remove(self._pool, [self.process])
                self._announce(TOPIC)
            await self._announce.close()

    def _use(self, told: dict[str, Share]) -> None:
        self._told = told
        for line in self._lines():
            _allot(line, told)

    def _under_way(self) -> dict[str, int]:
        """Return the calls under way, by the names of what is declared; a version's that leaves count too."""
        found: dict[str, int] = {}
        for line in self._lines():
            for operation, calls in line.admission.calls().items():
                name = _name(line, operation)
                found[name] = found.get(name, 0) + calls
        return found


def _paces(line: Line) -> list[tuple[str, Pace]]:
    """Return a line's paces by operation, "" for the line's own."""
    own = [] if line.pace is None else [("", line.pace)]
    return own + list(line.paces.items())


def _milli(per_second: float) -> int:
    return max(round(per_second * 1000), 1)


def _name(line: Line, operation: str) -> str:
    return f"{line.manifest.id}/{operation}" if operation else line.manifest.id


def _given(share: Share, before: Share | None) -> Share:
    """Return what may be used until the row is written: the lesser of before and afterwards."""
    places = min(share.places, before.places if before is not None else 0)
    return msgspec.structs.replace(share, places=places)


def _holding(share: Share, under_way: int) -> Share:
    """Return the share with what the row must say: also calls that began under a larger one."""
    return msgspec.structs.replace(share, held=max(share.places, under_way))


def _gave(found: Sequence[Holding], own: str, told: Mapping[str, Share]) -> bool:
    """Tell whether less is held now than the row said before."""
    before = next(one.held for one in found if one.process == own)
    return any(name not in told or told[name].held < held for name, held in before.items())


def _allot(line: Line, told: Mapping[str, Share]) -> None:
    """Set one line's limits to what this process has of them; rates and repetitions are divided as places are."""
    manifest, now = line.manifest, asyncio.get_running_loop().time()
    nothing = Share(manifest.limits.concurrency, 0, 0)
    share = told.get(manifest.id, nothing)
    own = {o.id: told.get(f"{manifest.id}/{o.id}", nothing) for o in manifest.operations if o.concurrency}
    # A version that is tried or was replaced may declare less than the one that is live.
    line.admission.allot(
        min(share.places, manifest.limits.concurrency),
        {o.id: min(own[o.id].places, o.concurrency) for o in manifest.operations if o.concurrency},
        {"": share.turn_s, **{operation: one.turn_s for operation, one in own.items()}},
        now,
    )
    part = share.held / share.declared
    for operation, pace in _paces(line):
        rate = told.get(_name(line, operation) + _RATE)
        pace.change(rate.places / 1000 if rate is not None else 0.0, now)
    line.retries.keep_part(part)
