"""How onestop itself is started for the benchmark: the one file here that knows it."""

from contenders import Contender, Given


def why_not() -> str | None:
    """Return the reason onestop cannot be measured, or None."""
    return "bench/project.py does not start it yet"


def prepare(given: Given) -> Contender:
    """Make everything one start of the gateway needs, untimed, and say how it is started.

    To do here: migrate `given.dsn`; sign in `given.citizens` citizens and write one bearer token a line to a file in
    `given.home`; put five adapters `bench-1` to `bench-5` on `given.departments` and an item `bench-five` that asks
    all of them, within 500 ms, on submission. The gateway runs on core 0, one process, with every feature on; the
    runner pins it. `rows` and `rows_of_one_case` tell check.py what one case leaves in the tables.
    """
    raise NotImplementedError
