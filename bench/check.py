"""Asks a contender everything once, so that one that does less work than the others is found out first."""

import json
import time
from collections.abc import Iterator, Sequence
from typing import Any

from contenders import Contender
from departments import COUNT, Departments
from postgres import Cluster


def faults(contender: Contender, departments: Departments, cluster: Cluster, database: str) -> list[str]:
    """Return what is wrong with a contender, in sentences; nothing when it may be measured."""
    departments.tell_all(delay=20, hang=0, fail=0)
    found = [*refuses(contender)]
    found += [*reads(contender, departments)]
    found += [*submits(contender, departments, cluster, database)]
    found += [*reports_trouble(contender, departments)]
    return found


def refuses(contender: Contender) -> Iterator[str]:
    good = contender.first_token()
    middle = len(good) // 2
    forged = good[:middle] + ("A" if good[middle] != "A" else "B") + good[middle + 1 :]
    for what, token in {"no token": "", "forged": forged, **contender.refused_tokens}.items():
        for ask in (contender.me, contender.case, contender.events):
            status, _ = contender.ask(ask, token=token)
            if status not in (401, 403):
                yield f"{ask.path} with a bad token ({what}): {status} instead of 401"
    for body in contender.refused_bodies:
        status, _ = contender.ask(contender.case, body=body)
        if status not in (400, 422):
            yield f"{contender.case.path} with a bad body {body}: {status} instead of 400 or 422"


def reads(contender: Contender, departments: Departments) -> Iterator[str]:
    first, second = contender.tokens.read_text().split()[:2]
    answers = [contender.ask(contender.me, token=token) for token in (first, second)]
    if [status for status, _ in answers] != [200, 200] or answers[0][1] == answers[1][1]:
        yield f"{contender.me.path}: not each citizen's own answer: {answers}"
    status, body = contender.ask(contender.one)
    if status != 200 or departments.record(1)["receipt"].encode() not in body:
        yield f"{contender.one.path}: not the first department's answer: {status} {body[:200]!r}"


def submits(contender: Contender, departments: Departments, cluster: Cluster, database: str) -> Iterator[str]:
    rows, before = count_rows(contender, cluster, database), departments.asked()
    status, body = contender.ask(contender.case)
    if status not in (200, 201, 202) or contender.parts_in_order(body) != COUNT:
        yield f"{contender.case.path}: {status} with {contender.parts_in_order(body)} parts in order: {body[:300]!r}"
        return
    if not 2000 <= len(body) <= 9000:
        yield f"{contender.case.path}: an answer of {len(body)} bytes"
    receipts = [departments.record(number)["receipt"].encode() for number in range(1, COUNT + 1)]
    if missing := [receipt for receipt in receipts if receipt not in body]:
        yield f"{contender.case.path}: receipts missing from the answer: {missing}"
    asked = departments.asked() - before - COUNT  # the receipts were asked for above
    if asked != COUNT:
        yield f"{contender.case.path}: departments were asked {asked} times"
    written = tuple(
        after - before for before, after in zip(rows, count_rows(contender, cluster, database), strict=True)
    )
    if written != contender.rows_of_one_case:
        yield f"{contender.case.path}: wrote {written} rows instead of {contender.rows_of_one_case}"


def reports_trouble(contender: Contender, departments: Departments) -> Iterator[str]:
    for trouble in ("hang", "fail"):
        departments.tell(COUNT, **{trouble: 1})
        begun = time.monotonic()
        status, body = contender.ask(contender.case)
        waited = time.monotonic() - begun
        departments.tell(COUNT, **{trouble: 0})
        good = contender.parts_in_order(body)
        if status not in (200, 201, 202) or good != COUNT - 1 or waited > 0.9:
            yield f"one department has trouble ({trouble}): {status} with {good} parts in order after {waited:.2f} s"
    if not recovered(contender):
        yield "the department is well again, the contender does not see it"


def recovered(contender: Contender) -> bool:
    """Ask until all parts are in order again: a breaker may need its time."""
    end = time.monotonic() + contender.recovers_within_s
    while time.monotonic() < end:
        if contender.parts_in_order(contender.ask(contender.case)[1]) == COUNT:
            return True
        time.sleep(0.25)
    return False


def count_rows(contender: Contender, cluster: Cluster, database: str) -> tuple[int, ...]:
    return tuple(int(count) for count in cluster.sql(database, contender.rows).split("|"))


def peers_differ(peers: Sequence[Contender], departments: Departments) -> Iterator[str]:
    """Compare what the peers answer to one case, in health and in trouble: all but its number must be the same."""
    for trouble in ("", "hang", "fail"):
        if trouble:
            departments.tell(COUNT, **{trouble: 1})
        answers = [plain(peer.ask(peer.case)[1]) for peer in peers]
        departments.tell(COUNT, hang=0, fail=0)
        for peer, answer in zip(peers, answers, strict=True):
            if answer != answers[0]:
                yield f"{peer.name} does not answer as {peers[0].name} does (trouble: {trouble or 'none'})"


def plain(body: bytes) -> Any:
    """Return a peer's answer without the case's number and without empty members."""
    try:
        answer = json.loads(body)
    except ValueError:
        return body
    parts = [{name: value for name, value in part.items() if value is not None} for part in answer.get("parts", ())]
    return {"complete": answer.get("complete"), "parts": parts}
