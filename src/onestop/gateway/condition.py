"""How departments are, by the calls and effects they really got: ok, degraded, down, in maintenance, stopped, or
people only."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Literal

import msgspec

from onestop import clock
from onestop.db import Db
from onestop.gateway import store_status
from onestop.gateway.manifest import Manifest, Window
from onestop.gateway.overrides import WHOLE
from onestop.gateway.service import Gateway, is_called

State = Literal["ok", "degraded", "down", "maintenance", "stopped", "desk"]
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_SILENT_S = 900.0  # a department that fetches, and has left an effect lying so long, does not


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    """One department: no person's data, and nothing that helps an attacker."""

    id: str
    state: State
    since: datetime  # as this process saw it
    to_send: int = 0
    unknown: int = 0
    at_desk: int = 0
    awaited: int = 0
    oldest_unknown_s: float | None = None
    last_done: datetime | None = None
    declared: int | None = None  # calls at once that its manifest allows this installation; None: it is not called
    share: int | None = None  # of these, the part of the process that answers


class Conditions:
    """Remembers, for one process, since when each department is as it is."""

    def __init__(self, gateway: Gateway, now: Callable[[], datetime] = clock.real_now) -> None:
        self._gateway, self._now = gateway, now
        self._since: dict[str, tuple[State, datetime]] = {}

    async def look(self, db: Db, region: str) -> list[Condition]:
        """Return every department as it is now, in order of id."""
        names = sorted(self._gateway.manifests)
        traffic = {one.adapter: one for one in await store_status.traffic(db, region)}
        done = {one.adapter: one.at for one in await store_status.last_done(db, region, names)}
        return [self._one(name, traffic.get(name), done.get(name)) for name in names]

    def _one(self, name: str, seen: store_status.Traffic | None, done: datetime | None) -> Condition:
        state = self._state(self._gateway.manifests[name], seen)
        was = self._since.get(name)
        if was is None or was[0] != state:
            was = self._since[name] = (state, self._now())
        counts: dict[str, Any] = msgspec.structs.asdict(seen) if seen else {}
        counts.pop("adapter", None)
        line = self._gateway.lines.get(name)
        if line is not None:
            counts |= {"declared": line.manifest.limits.concurrency, "share": line.admission.limit.most}
        return Condition(id=name, state=state, since=was[1], last_done=done, **counts)

    def _state(self, manifest: Manifest, seen: store_status.Traffic | None) -> State:
        if manifest.desk:
            return "desk"
        stopped = [one for one in self._gateway.overridden(manifest.id) if one.state == "stopped"]
        if any(one.operation == WHOLE for one in stopped):
            return "stopped"
        if any(in_window(window, self._now()) for window in manifest.windows):
            return "maintenance"
        if not is_called(manifest):
            waits = seen is not None and (seen.oldest_unknown_s or 0) > _SILENT_S
            return "degraded" if waits else "ok"
        line = self._gateway.lines.get(manifest.id)
        if line is None:
            return "down"
        broken = list(line.health()["breakers"].values())
        if not broken:
            return "degraded" if stopped else "ok"
        every = len(broken) == len(line.operations)
        return "down" if every or all(one["state"] == "open" for one in broken) else "degraded"


def in_window(window: Window, now: datetime) -> bool:
    """Tell whether an instant lies in a weekly maintenance window, which may go past midnight."""
    local = now.astimezone(clock.CHINA)
    for day in (local.date(), local.date() - timedelta(days=1)):
        if _DAYS[day.weekday()] not in window.days:
            continue
        begins = datetime.combine(day, window.begins, clock.CHINA)
        ends = datetime.combine(day, window.ends, clock.CHINA)
        if ends <= begins:
            ends += timedelta(days=1)
        if begins <= local < ends:
            return True
    return False
