"""The five departments: one process of deptsim on the load's core."""

import json
from typing import Any

import machine
from install import HOME

COUNT = 5


class Departments:
    """The running simulator; `with` stops it."""

    def __init__(self) -> None:
        self.origins = [f"http://127.0.0.1:{machine.free_port()}" for _ in range(COUNT)]
        ports = [origin.rpartition(":")[2] for origin in self.origins]
        self.process = machine.start([str(HOME / "deptsim"), *ports], {}, HOME / "log/deptsim.log")
        machine.wait_until_ready(self.origins[-1] + "/control", self.process)

    def tell(self, number: int, **settings: float) -> dict[str, int]:
        """Change one department (1 to 5) and return what it has served so far."""
        options = "&".join(f"{name}={value:g}" for name, value in settings.items())
        _, body = machine.fetch(f"{self.origins[number - 1]}/control?{options}")
        counts: dict[str, int] = json.loads(body)
        return counts

    def tell_all(self, **settings: float) -> None:
        for number in range(1, COUNT + 1):
            self.tell(number, **settings)

    def record(self, number: int) -> Any:
        """Return what a department answers, asked directly."""
        return json.loads(machine.fetch(f"{self.origins[number - 1]}/records")[1])

    def asked(self) -> int:
        """Return how many requests have been answered or are left hanging."""
        counts = [self.tell(number) for number in range(1, COUNT + 1)]
        return sum(sum(count.values()) for count in counts)

    def __enter__(self) -> "Departments":
        return self

    def __exit__(self, *_: object) -> None:
        machine.stop(self.process)
