"""One process's part in a department that several share, and the department that counts who is there."""

import asyncio

from onestop.gateway.line import CallFailed, Line, Where
from onestop.gateway.line_shares import LineShares
from onestop.gateway.manifest import parse
from onestop.outbound.addresses import AllowList
from tests.gateway.department import holds_all, people

ALLOW = AllowList(["127.0.0.0/8"])


class Counting:
    """A department that knows how many calls it ever had at once."""

    def __init__(self):
        self.at_once = self.most = 0
        self.answer = holds_all(0.004)
        self.ended = asyncio.Event()

    async def __call__(self, path, headers, body):
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        try:
            return await self.answer(path, headers, body)
        finally:
            self.at_once -= 1
            self.ended.set()

    async def quiet(self, most):
        """Wait until no more than `most` calls are here."""
        while self.at_once > most:
            self.ended.clear()
            await self.ended.wait()


class Sharer:
    """A line, its share, and more callers than it can ever have places for."""

    def __init__(self, pool, port, manifest, callers=24):
        self.line = Line(parse(manifest), Where(f"http://127.0.0.1:{port}", {}), ALLOW)
        self.shares = LineShares(pool, lambda: [self.line])
        self.shares.give(self.line)
        self.people, self.tasks, self.turned_away = people(callers), [], []

    @property
    def share(self):
        return self.line.admission.limit.most

    async def round(self):
        await self.shares.round([self.line.manifest])

    def start(self):
        self.tasks = [asyncio.create_task(self._asking(who)) for who in self.people]

    async def _asking(self, who):
        while True:
            try:
                await self.line.ask("query", {"subject": {"number": who.number, "name": who.name}}, 2.0, who.number)
            except CallFailed as failed:
                self.turned_away.append(failed.retry_after_s)
                await asyncio.sleep(0.01)

    async def stop(self):
        """End asking; what is under way is cut, as when a process is killed."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await self.line.close()
