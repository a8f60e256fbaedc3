"""Rules about times and amounts: limits that contradict each other, or promise what cannot be kept."""

from collections.abc import Iterator
from typing import Final

from onestop.gateway.lint.findings import Hit, Subject, hit

BUDGET_S: Final = 10.0  # `budget_ceiling_ms` as it is shipped: no request, and no call of the worker, lasts longer
_BYTES_AN_ITEM: Final = 100


def times(s: Subject) -> Iterator[Hit]:
    """Time limits beyond what anybody waits, and parts that are longer than their whole."""
    for path, operation in s.operations():
        if operation.total_s > BUDGET_S:
            yield hit("ADP-100", (*path, "total_s"), total_s=operation.total_s, most_s=BUDGET_S)
        if s.told((*path, "connect_s")) and operation.connect_s > operation.total_s:
            yield hit("ADP-101", (*path, "connect_s"), connect_s=operation.connect_s, total_s=operation.total_s)
        if s.told((*path, "late_s")) and operation.late_s < operation.total_s:
            yield hit("ADP-107", (*path, "late_s"), late_s=operation.late_s, total_s=operation.total_s)
        poll = operation.poll
        if poll is not None and (poll.every_s <= 0 or poll.first_s > poll.for_s or poll.every_s > poll.for_s):
            yield hit("ADP-108", (*path, "poll"), for_s=poll.for_s)


def amounts(s: Subject) -> Iterator[Hit]:
    """More calls for one operation than the department bears; answers kept for a bad day and never taken."""
    limits = s.manifest.limits
    for path, operation in s.operations():
        if operation.concurrency is not None and operation.concurrency > limits.concurrency:
            yield hit("ADP-105", (*path, "concurrency"), own=operation.concurrency, whole=limits.concurrency)
        if operation.per_second and limits.per_second and operation.per_second > limits.per_second:
            yield hit("ADP-105", (*path, "per_second"), own=operation.per_second, whole=limits.per_second)
        if 0 < operation.stale_s <= operation.cache_s:
            yield hit("ADP-106", (*path, "stale_s"), stale_s=operation.stale_s, cache_s=operation.cache_s)
        if (operation.cache_s or operation.stale_s) and operation.kind != "query":
            yield hit("ADP-111", (*path, "cache_s"), name=operation.id)


def pages(s: Subject) -> Iterator[Hit]:
    """Pages without an end, of any length, or larger than an answer may be."""
    for path, operation in s.operations():
        paging = operation.paging
        if paging is None:
            continue
        where = (*path, "paging")
        if paging.size_parameter is None:
            yield hit("ADP-102", where, name=operation.id)
        if operation.max_reply_bytes < paging.size * _BYTES_AN_ITEM:
            yield hit("ADP-103", (*path, "max_reply_bytes"), bytes=operation.max_reply_bytes, size=paging.size)
        if paging.style in ("cursor", "next") and paging.next is None:
            yield hit("ADP-109", (*where, "next"), style=paging.style)
        if operation.kind != "query" or (paging.place == "body" and operation.method == "GET") or operation.steps:
            yield hit("ADP-110", where, name=operation.id)


def windows(s: Subject) -> Iterator[Hit]:
    """Windows that last a whole day."""
    for i, window in enumerate(s.manifest.windows):
        if window.begins == window.ends or not window.days:
            yield hit("ADP-104", ("windows", i), begins=str(window.begins), ends=str(window.ends))


RULES = (times, amounts, pages, windows)
