"""Nothing is ever released without a basis: 100,000 steps against a model that is written another way."""

import random
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import msgspec
import pytest

from onestop.basis import purposes, rules
from onestop.basis.models import About, Consent, Decision, Guardian, Purpose
from onestop.clock import CHINA

STEPS = 100_000
BEGAN = datetime(2026, 3, 2, 1, tzinfo=UTC)
Decide = Callable[..., Decision]


def purpose(code: str, **changed: object) -> Purpose:
    """A purpose like one that is shipped, of another code."""
    shipped = purposes.load().all["housing-fund-handover"]
    return msgspec.structs.replace(shipped, code=code, since=date(2026, 1, 1), **changed)


class Town:
    """People, purposes and a clock; `truth` says by whom and until when each may be released, kept as things happen."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.now = BEGAN
        # Two adults and two children, of whom one becomes 14 while this lasts.
        self.born = {
            "ana": date(1992, 3, 14),
            "ben": date(1990, 8, 21),
            "kid": date(2012, 3, 20),
            "baby": date(2025, 1, 1),
        }
        self.purposes = {
            "loan": purpose("loan", days=1),
            "school": purpose("school", days=None),
            "ended": purpose("ended", until=date(2026, 3, 9)),
            "duty": purpose("duty", kind="statutory_duty", days=None, separate=()),
        }
        self.consents: list[Consent] = []
        self.guardians: list[Guardian] = []
        self.truth: dict[tuple[str, str], tuple[str, datetime, int]] = {}  # whose, what → by whom, until when, version
        self.guarding: dict[tuple[str, str], bool] = {}
        self.made = 0

    def step(self, decide: Decide) -> str | None:
        """Do something; return what was decided wrongly, None where nothing was."""
        whose, what = self.random.choice([*self.born]), self.random.choice([*self.purposes])
        act = self.random.random()
        if act < 0.60:
            return self.release(decide, whose, what)
        if act < 0.75:
            self.give(whose, what)
        elif act < 0.85:
            self.withdraw(whose, what)
        elif act < 0.93:
            self.guard(whose)
        elif act < 0.94:
            self.new_notice(what)
        else:
            self.now += timedelta(minutes=self.random.randrange(1, 30))
            if self.random.random() < 0.002:  # the town begins anew: otherwise all would be grown up
                self.now = BEGAN
                self.consents, self.truth = [], {}
                self.guardians, self.guarding = [], {}
        return None

    def release(self, decide: Decide, whose: str, what: str) -> str | None:
        rightful = self.rightful(whose, what)
        decided = decide(
            self.purposes[what], About(subject=whose, born_on=self.born[whose]), self.consents, self.guardians, self.now
        )
        return None if decided.allowed == rightful else f"{decided.why} for {whose}, {what}: rightful is {rightful}"

    def rightful(self, whose: str, what: str) -> bool:
        if what == "duty":
            return True
        by, until, version = self.truth.get((whose, what), ("", BEGAN, 0))
        on_time = what != "ended" or self.now.astimezone(CHINA) < datetime(2026, 3, 9, tzinfo=CHINA)
        entitled = self.guarding.get((by, whose), False) if self.child(whose) else by == whose
        return on_time and self.now < until and version >= self.purposes[what].holds_from and entitled

    def child(self, whose: str) -> bool:
        birthday = {"kid": date(2026, 3, 20), "baby": date(2039, 1, 1)}.get(whose)
        return birthday is not None and self.now.astimezone(CHINA).date() < birthday

    def give(self, whose: str, what: str) -> None:
        # Whoever says so: that it counts only of those who may is for the deciding.
        by = self.random.choice([whose, whose, "ana", "ben"])
        self.end(whose, what, "replaced")
        days = self.purposes[what].days
        until = self.now + timedelta(minutes=80) if days else datetime.max.replace(tzinfo=UTC)
        self.made += 1
        self.consents.append(
            Consent(
                id=f"con_{self.made}",
                subject=whose,
                purpose=what,
                version=self.purposes[what].version,
                notice_hash="",
                lang="zh",
                given_by=by,
                given_at=self.now,
                expires_at=until if days else None,
            )
        )
        self.truth[whose, what] = (by, until, self.purposes[what].version)

    def withdraw(self, whose: str, what: str) -> None:
        self.end(whose, what, "withdrawn")
        self.truth.pop((whose, what), None)

    def end(self, whose: str, what: str, why: str) -> None:
        ended = [
            msgspec.structs.replace(one, ended_at=self.now, ended_why=why)
            if (one.subject, one.purpose) == (whose, what) and one.ended_at is None
            else one
            for one in self.consents
        ]
        over = [one for one in ended if one.ended_at][-20:]
        self.consents = [one for one in ended if one.ended_at is None or one in over]

    def guard(self, whose: str) -> None:
        by = self.random.choice(["ana", "ben"])
        if not self.child(whose) or by == whose:
            return
        if self.guarding.pop((by, whose), False):
            self.guardians = [
                msgspec.structs.replace(one, ends_at=self.now)
                if (one.guardian, one.ward) == (by, whose) and one.ends_at is None
                else one
                for one in self.guardians
            ]
            over = [one for one in self.guardians if one.ends_at][-8:]  # some of them: they must not count
            self.guardians = [one for one in self.guardians if one.ends_at is None or one in over]
        else:
            self.guardians.append(Guardian(id="grd", ward=whose, guardian=by, begins_at=self.now))
            self.guarding[by, whose] = True

    def new_notice(self, what: str) -> None:
        known = self.purposes[what]
        if known.kind != "consent":
            return
        more = self.random.random() < 0.5  # is done than before, or only said in other words
        version = known.version + 1
        self.purposes[what] = msgspec.structs.replace(
            known, version=version, holds_from=version if more else known.holds_from
        )


def run(decide: Decide, steps: int, seed: int = 20261125) -> str | None:
    """Return the first wrong decision in so many steps; None where there is none."""
    town = Town(seed)
    for _ in range(steps):
        wrong = town.step(decide)
        if wrong:
            return wrong
    return None


def test_no_release_without_a_basis_and_none_refused_with_one_in_100_000_steps() -> None:
    assert run(rules.decide, STEPS) is None


def _without(what: str) -> Decide:
    """A function that decides as ours, but does not look at one thing."""

    def decide(purpose, about, consents, guardians, now):  # type: ignore[no-untyped-def]
        if what == "withdrawal":
            consents = [msgspec.structs.replace(one, ended_at=None) for one in consents]
        elif what == "expiry":
            consents = [msgspec.structs.replace(one, expires_at=None) for one in consents]
        elif what == "notice":
            purpose = msgspec.structs.replace(purpose, holds_from=1)
        elif what == "end of a guardian":
            guardians = [msgspec.structs.replace(one, ends_at=None) for one in guardians]
        elif what == "age":
            about = msgspec.structs.replace(about, born_on=None)
        elif what == "whose it is":
            consents = [msgspec.structs.replace(one, subject=about.subject) for one in consents]
        elif what == "what it is for":
            consents = [msgspec.structs.replace(one, purpose=purpose.code) for one in consents]
        elif what == "end of a purpose":
            purpose = msgspec.structs.replace(purpose, until=None)
        return rules.decide(purpose, about, consents, guardians, now)

    return decide


@pytest.mark.parametrize(
    "what",
    [
        "withdrawal", "expiry", "notice", "end of a guardian", "age", "whose it is", "what it is for",
        "end of a purpose",
    ],
)  # fmt: skip
def test_a_decision_that_forgets_one_thing_is_found(what: str) -> None:
    assert run(_without(what), 30_000) is not None


def test_what_no_purpose_covers_is_refused() -> None:
    decided = rules.decide(None, About(subject="ana"), [], [], BEGAN)
    assert (decided.allowed, decided.why) == (False, "no_purpose")


@pytest.mark.parametrize(("today", "child"), [(date(2026, 3, 19), True), (date(2026, 3, 20), False)])
def test_a_child_is_one_until_the_day_before_its_fourteenth_birthday(today: date, child: bool) -> None:
    assert rules.is_child(date(2012, 3, 20), today) is child


def test_only_a_persons_number_tells_a_birth_date() -> None:
    assert rules.born_on("citizen_id", "990102199203140221") == date(1992, 3, 14)
    assert rules.born_on("uscc", "91990103MA9T00018D") is None
    assert rules.born_on("citizen_id", "990102199213140221") is None
