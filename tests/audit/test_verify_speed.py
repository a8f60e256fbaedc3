"""How many entries a second the verifier reads; a figure for `make audit`, and a bound in CPU time under it.

The suite only looks whether both suites are read: a figure of a busy machine says nothing.
"""

import os
import time

import pytest

import onestop_verify
from onestop.audit import canonical
from onestop.clock import real_now
from onestop.settings import SuiteName
from onestop.suites import SUITES

FULL = os.environ.get("TAMPER") == "full"
COUNT = 100_000 if FULL else 500
GOAL = 50_000
AT = real_now()
CONTENT = f"[{'x' * 1_200}]"


def export(suite: SuiteName) -> list[bytes]:
    micro, lines = canonical.microseconds(AT), [] if suite == "intl" else [b"t\t0\tsm\n"]
    for nth in range(COUNT):
        entry = canonical.of_use("990100", f"use_{nth}", "sub_s", "a", None, None, CONTENT)
        leaf = canonical.leaf(entry, AT, SUITES[suite])
        lines.append(b"e\t%d\t%s\t%d\t%s\n" % (nth, leaf.hex().encode(), micro, entry))
    return [*lines, b"z\t%d\n" % COUNT]


@pytest.mark.parametrize("suite", ["intl", "sm"])
def test_the_verifier_reads_fifty_thousand_entries_a_second(suite):
    lines = export(suite)
    began = time.process_time()
    report = onestop_verify.Verifier({}).run(lines)
    taken = time.process_time() - began
    assert (report.count, report.entries) == (0, COUNT)
    if FULL:
        by_clock = COUNT / report.seconds
        print(f"\n{suite}: {COUNT / taken:,.0f} entries of 1.3 kB a second of CPU, {by_clock:,.0f} by the clock")
        assert COUNT / taken >= GOAL
