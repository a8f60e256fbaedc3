"""What every department's system does behind its own format: know people, keep what it did, tell the time."""

import asyncio
import hashlib
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Literal, TypeVar

from onestop.demo.departments.faults import Faults, Manners
from onestop.demo.departments.ledger import Entry, Ledger
from onestop.demo.departments.wire import Request
from onestop.demo.people import Behaviour, Facts, by_number, department, is_id_number

CHINA = timezone(timedelta(hours=8))
STALE = timedelta(days=400)
OTHER_REGION = "990200"
OTHER_NAME = "演示异名"

# What a department takes for an applicant whose register entry says otherwise, is asked to correct, or is declined.
CORRECTIONS = ({"field": "applicant_name", "reason": "姓名与户口簿不一致，请核对后重新提交"},)
DECLINE_REASON = "不符合办理条件"

RefusalKind = Literal[
    "unauthenticated",
    "bad_request",
    "unknown_path",
    "not_found",
    "no_such_serial",
    "differs",
    "moved",
    "declined",
    "correction",
    "key_reused",
    "duplicate",
    "too_many",
    "broken",
]
Effect = tuple[str, dict[str, Any]]  # the effect's number in the department, and what the answer tells
Known = TypeVar("Known")


class Refusal(Exception):
    """The department says no; each system words it in its own way."""

    def __init__(self, kind: RefusalKind, sentence: str, **facts: Any) -> None:
        super().__init__(sentence)
        self.kind = kind
        self.sentence = sentence
        self.facts = facts


class Broken(Exception):
    """The system fails inside."""


class Hang(Exception):
    """The system takes the request and never says anything."""


class Cut(Exception):
    """The connection closes without an answer."""


class Desk:
    """One department's people, ledger, faults and clock."""

    def __init__(
        self,
        id: str,
        state: Path,
        secrets: Mapping[str, str],
        *,
        now: datetime | None = None,
        seed: int = 1,
        manners: Manners | None = None,
    ) -> None:
        state.mkdir(parents=True, exist_ok=True)
        self.id = id
        self.secrets = secrets
        self.ledger = Ledger(state / f"{id}.ledger.jsonl", secrets["ledger_key"])
        self.faults = Faults(state / f"{id}.faults.json", manners or Manners(), seed)
        self._fixed_now = now
        self._age = timedelta(hours=department(id).age_h)

    def now(self) -> datetime:
        """Return the department's clock: the real one in China Standard Time, unless it was fixed."""
        return (self._fixed_now or datetime.now(UTC)).astimezone(CHINA).replace(microsecond=0)

    def as_of(self, request: Request) -> datetime:
        """Return the instant the data told to this request stands at."""
        return self.now() - (STALE if request.behaviour is Behaviour.STALE else self._age)

    def fault_in_force(self) -> str | None:
        """Return the mode the department was told to misbehave in, while it lasts."""
        manners = self.faults.manners
        return manners.mode if manners.mode and time.time() < manners.until else None

    async def pace(self) -> None:
        """Take as long as this department takes."""
        if self.faults.manners.delay_ms:
            await asyncio.sleep(self.faults.manners.delay_ms / 1000)

    async def meet(self, request: Request, *numbers: str) -> None:
        """Note whom the request is about and misbehave as the first trigger person among them demands.

        Raises:
            Refusal: a number is not a citizen identity number.
            Hang, Broken: what trigger people 903 and 904 are for.
        """
        for number in numbers:
            if not is_id_number(number):
                raise Refusal("bad_request", "公民身份号码格式或校验码不正确", field="id_number")
            known = by_number().get(number)
            if known and known.behaviour is not Behaviour.NORMAL:
                request.behaviour = known.behaviour
                break
        match request.behaviour:
            case Behaviour.TIMEOUT:
                raise Hang
            case Behaviour.ERROR:
                raise Broken
            case Behaviour.SLOW:
                await asyncio.sleep(self.faults.manners.slow_ms / 1000)

    async def consult(self, request: Request, number: str, know: Callable[[Facts], Known | None]) -> Known:
        """Return what `know` finds among the person's facts.

        Raises:
            Refusal: nobody of this number is known here, or the record is kept in the other region.
        """
        await self.meet(request, number)
        person = by_number().get(number)
        if request.behaviour is Behaviour.MOVED:
            raise Refusal("moved", "档案已转往其他地区", region=OTHER_REGION)
        known = know(person.facts) if person and request.behaviour is not Behaviour.NOT_FOUND else None
        if known is None:
            raise Refusal("not_found", "未查询到该人员信息")
        return known

    def name(self, request: Request, number: str) -> str:
        """Return the name under which the department keeps the person; 902's record has another one."""
        return OTHER_NAME if request.behaviour is Behaviour.DIFFERS else by_number()[number].name

    async def take(
        self,
        request: Request,
        operation: str,
        key: str,
        people: tuple[str, ...],
        make: Callable[[], Effect],
        *,
        due_ms: int = 0,
        receipt: str | None = None,
        replays: bool = True,
    ) -> tuple[Entry, bool]:
        """Do what a submission asks at most once per key; return its entry and whether this request made it.

        The entry is on disk before this returns. `people` begins with the applicant. `due_ms` is how long the outcome
        stays untold; `receipt` begins the receipt number given at once. With `replays` a key seen before gives its
        first entry again; without, it is refused.

        Raises:
            Refusal: the submission has no effect, or its key was used before and may not be used again.
        """
        known = self._known(request, operation, key, replays)
        if known is None:
            await self.meet(request, *people)
            known = self._known(request, operation, key, replays)  # another request may have come while this one slept
        if known is not None:
            request.behaviour = Behaviour.NORMAL
            return known, False
        outcome, effect_id, facts = self._decide(request, operation, people[0], make)
        if receipt is not None:
            facts["receipt"] = f"{receipt}{len(self.ledger.entries) + 1:06d}"
        return self.ledger.append(
            at=datetime.now(UTC).isoformat(timespec="milliseconds"),
            operation=operation,
            key=key,
            person=self.ledger.person(people[0]),
            outcome=outcome,
            effect_id=effect_id,
            digest=hashlib.sha256(request.body).hexdigest(),
            due=time.time() + due_ms / 1000,
            facts=facts,
        ), True

    def _known(self, request: Request, operation: str, key: str, replays: bool) -> Entry | None:
        entry = self.ledger.by_key.get(key)
        if entry is None:
            return None
        if not replays:
            self.ledger.append(
                at=datetime.now(UTC).isoformat(timespec="milliseconds"),
                operation=operation,
                key=key,
                person=entry.person,
                outcome="duplicate",
            )
            raise Refusal("duplicate", "业务流水号重复，请先查询办理结果")
        if entry.operation != operation or entry.digest != hashlib.sha256(request.body).hexdigest():
            raise Refusal("key_reused", "同一幂等键对应的内容不一致")
        return entry

    def _decide(
        self, request: Request, operation: str, applicant: str, make: Callable[[], Effect]
    ) -> tuple[str, str | None, dict[str, Any]]:
        match request.behaviour:
            case Behaviour.NOT_FOUND:
                raise Refusal("not_found", "未查询到该人员信息")
            case Behaviour.DIFFERS:
                raise Refusal("differs", "申报信息与库中信息不一致", field="applicant_name")
            case Behaviour.DECLINED:
                return "declined", None, {"reason": DECLINE_REASON}
            case Behaviour.MOVED:
                return "moved", None, {"region": OTHER_REGION}
            # Whoever was asked to correct is believed the next time, and asked again in the case after that.
            case Behaviour.CORRECTION if not self.ledger.was_asked(operation, applicant):
                return "correction", None, {"corrections": list(CORRECTIONS)}
        effect_id, facts = make()
        if request.behaviour is Behaviour.EXTENDED:
            return "extended", effect_id, {**facts, "due_on": (self.now() + timedelta(days=10)).date().isoformat()}
        return "done", effect_id, facts

    def phase(self, entry: Entry) -> str:
        """Return how far a submission is now: pending, extended, done, declined, correction or moved."""
        now = time.time()
        if now < entry.due:
            return "pending"
        if entry.outcome == "extended" and now >= entry.due + self.faults.manners.extension_ms / 1000:
            return "done"
        return entry.outcome
