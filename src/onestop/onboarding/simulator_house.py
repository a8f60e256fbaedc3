"""The simulators inside the portal: one an adapter, of its newest version, made when it is first asked."""

import hmac
import time
from hashlib import sha256
from pathlib import Path

import msgspec

from onestop.gateway.manifest import BadManifest, Manifest, parse_serving
from onestop.identity.service_machine_keys import resolve
from onestop.onboarding import store_play
from onestop.onboarding.errors import AdapterAbsent
from onestop.onboarding.service import Life
from onestop.onboarding.simulator import Simulator
from onestop.onboarding.simulator_errors import SimulatorClosed
from onestop.onboarding.simulator_scenario import Ordered, Scenario
from onestop.onboarding.simulator_server import Callbacks, order
from onestop.outbound.addresses import AllowList

_LOOK_EVERY_S = 2.0
_MOST = 200


class Playing:
    """One simulator, of which bytes it was made, and what was ordered when."""

    def __init__(self, simulator: Simulator, digest: bytes, callback_url: str, allow: AllowList) -> None:
        self.simulator, self.digest = simulator, digest
        self.callbacks = Callbacks(simulator, callback_url, allow)
        self.looked = 0.0
        self.ordered_at: object = None


class House:
    """All simulators of one process; each process remembers its own effects."""

    def __init__(self, life: Life, examples: Path | None) -> None:
        self._life, self._examples = life, examples
        self._playing: dict[str, Playing] = {}

    async def admit(self, adapter: str, key: str | None) -> None:
        """Let a caller in: anybody in demo and sandbox, elsewhere who shows a key of the adapter's owner.

        Raises:
            SimulatorClosed: real people are served here, and no such key was shown.
        """
        if self._life.settings.profile != "production":
            return
        found = await resolve(self._life.pool, self._life.settings, key) if key else None
        owner = await self._owner(adapter)
        if found is None or owner is None or not hmac.compare_digest(found[0].department or "", owner):
            raise SimulatorClosed(adapter=adapter)

    async def _owner(self, adapter: str) -> str | None:
        from onestop.onboarding import store

        known = await store.adapter(self._life.pool, adapter)
        return known.owner if known is not None else None

    async def simulator(self, adapter: str) -> Playing:
        """Return the simulator of an adapter's newest version; a new version is a new simulator.

        Raises:
            AdapterAbsent: there is none.
        """
        playing, now = self._playing.get(adapter), time.monotonic()
        if playing is not None and now - playing.looked < _LOOK_EVERY_S:
            return playing
        row = await store_play.played(self._life.pool, adapter)
        data = row.manifest if row is not None else self._life.files.get(adapter)
        if data is None:
            raise AdapterAbsent(adapter=adapter)
        digest = sha256(data).digest()
        if playing is None or playing.digest != digest:
            playing = self._make(adapter, data, digest, from_file=row is None)
        playing.looked = now
        await self._follow(adapter, playing)
        return playing

    def _make(self, adapter: str, data: bytes, digest: bytes, *, from_file: bool) -> Playing:
        try:
            manifest: Manifest = parse_serving(data, adapter)[0]
        except BadManifest as fault:
            raise AdapterAbsent(adapter=adapter) from fault
        folder = self._examples / adapter / "examples" if from_file and self._examples is not None else None
        if len(self._playing) >= _MOST:
            self._playing.clear()
        url = self._life.settings.public_url.rstrip("/") + "/v1/callbacks"
        simulator = Simulator(manifest, examples=folder, scenario=Scenario())
        playing = Playing(simulator, digest, url, AllowList(self._life.settings.outbound_allow))
        self._playing[adapter] = playing
        return playing

    async def _follow(self, adapter: str, playing: Playing) -> None:
        """Behave as was ordered last, in whichever process."""
        row = await store_play.scenario(self._life.pool, adapter)
        if row is not None and row.set_at != playing.ordered_at:
            playing.ordered_at = row.set_at
            order(playing.simulator, msgspec.convert(row.ordered, Ordered))
