"""The recorder: a test system's answers written down as examples, with nothing of a real person in them."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Final

import msgspec
from stdnum.cn import ric

from onestop.errors import Actor, Invalid
from onestop.gateway.line import CallFailed, Line, Where
from onestop.gateway.manifest import Manifest, Operation
from onestop.gateway.operations import Answer
from onestop.ids import new_id
from onestop.onboarding.simulator import Simulator
from onestop.onboarding.simulator_bodies import PERSON
from onestop.onboarding.simulator_examples import Book, Recorded
from onestop.onboarding.simulator_people import TRIGGERS
from onestop.onboarding.simulator_wire import exchange, flat, nested
from onestop.outbound.addresses import AllowList

NAMES: Final = ("林晓舟", "周启明", "王秀英", "陈立", "赵婉", "周沐禾", "欧阳致远")
_MOST_PEOPLE: Final = 900
_PHONE: Final = re.compile(r"(?<!\d)1[3-9]\d{9}(?!\d)")
_NUMBER: Final = re.compile(r"(?<![0-9A-Za-z])[1-9]\d{16}[\dXx](?![0-9A-Za-z])")
_WINDOW: Final = re.compile(r"(?=([1-9]\d{5}(?:19|20)\d{2}(?:0[1-9]|1[0-2])(?:[0-2]\d|3[01])\d{3}[\dXx]))")
_MAIL: Final = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_CARD: Final = re.compile(r"(?<!\d)\d{16,19}(?!\d)")
_NAME: Final = re.compile(r"[\u4e00-\u9fff]{2,4}|[\u4e00-\u9fff]{1,10}[·•][\u4e00-\u9fff]{1,10}")
_NAME_MEMBERS: Final = re.compile(r"(?:^|[._])(?:\w*name|xm|xingming|\w*xm)$", re.IGNORECASE)
_PLACE_MEMBERS: Final = re.compile(r"(?:^|[._])(?:\w*addr\w*|dz|zz|\w*dizhi|place|residence)$", re.IGNORECASE)
_ENDINGS: Final = {"json": "json", "xml": "xml", "soap": "xml", "soap12": "xml", "form": "txt", "csv": "csv"}
_ORGANISATION: Final = re.compile(r"局|公司|医院|银行|中心|学校|委|院|店|馆|所|厅|处")


class RealNumberLeft(Invalid):
    """An answer holds what may be a real person's number, and it could not be replaced."""

    code = "sandbox.real_identity_left"
    who_acts: ClassVar[Actor] = "department"


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """One file of an example."""

    name: str
    data: bytes


class Cleaner:
    """Replaces what is personal by what is invented, the same everywhere in one recording."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}
        self._people = 0

    def clean(self, operation: Operation, book: Book, body: bytes) -> bytes:
        """Return a reply of the same shape with invented people in it.

        Raises:
            RealNumberLeft: what may be a real person's number remains.
        """
        tree = book.tree(body)
        swaps: dict[str, str] = {}
        for path, value in flat(tree).items():
            swaps |= self._swaps(path, value)
        cleaned = exchange(operation, body, swaps, shortest=2)
        text = cleaned.decode(operation.charset, "replace")
        if any(
            ric.calc_check_digit(n.upper()) == n[17].upper() for n in _WINDOW.findall(text) if not n.startswith("99")
        ):
            raise RealNumberLeft(operation=operation.id)
        return cleaned

    def _swaps(self, path: str, value: str) -> dict[str, str]:
        found: dict[str, str] = {}
        for number in _NUMBER.findall(value):
            if not number.startswith("99"):
                found[number] = self._for(number, self._number)
        for card in _CARD.findall(value):
            if card not in found and not card.startswith("99") and len(card) != 18:
                found[card] = self._for(card, lambda old: "99" + "0" * (len(old) - 2))
        for phone in _PHONE.findall(value):
            found[phone] = self._for(phone, lambda _: f"154000000{len(self._known) % 100:02}")
        for mail in _MAIL.findall(value):
            found[mail] = "someone@example.com"
        bare = re.sub(r"\.\d+(?=\.|$)", "", path)
        if _NAME_MEMBERS.search(bare) and _NAME.fullmatch(value) and not _ORGANISATION.search(value):
            found[value] = self._for(value, lambda _: NAMES[len(self._known) % len(NAMES)])
        elif _PLACE_MEMBERS.search(bare) and len(value) >= 4:
            found[value] = "云溪市临江区示例路1号"
        return {old: new for old, new in found.items() if old not in NAMES}

    def _for(self, old: str, make: Any) -> str:
        if old not in self._known:
            self._known[old] = make(old)
        return self._known[old]

    def _number(self, old: str) -> str:
        """Return an invented number, born the same day and of the same sex."""
        self._people = (self._people + 1) % _MOST_PEOPLE
        place = (self._people * 2 + int(old[16]) % 2) % 1000
        head = f"990102{old[6:14]}{place:03}"
        return head + str(ric.calc_check_digit(head + "0"))


async def record(
    manifest: Manifest,
    where: Where,
    allow: AllowList,
    *,
    examples: Path | None = None,
    persons: Sequence[str] = (),
    effects: bool = False,
) -> list[Written]:
    """Ask what the examples ask, about test persons only, and return requests and answers as files of examples.

    Without examples each query is asked about the persons told. Nothing with an effect is sent unless it may be.

    Raises:
        RealNumberLeft: an answer holds what may be a real person's number; nothing of it is returned.
    """
    books = Simulator(manifest, examples=examples, told=where.secrets).books
    line, cleaner = Line(manifest, where, allow), Cleaner()
    done: list[str] = []  # keys of effects of this recording, which look-ups without a recorded key ask for
    written: list[Written] = []
    try:
        for operation in sorted(manifest.operations, key=lambda o: o.kind != "submit"):
            if operation.steps or (operation.kind in ("submit", "cancel") and not effects):
                continue
            for name, values in _asked(operation, books[operation.id], persons, done):
                written += await _one(line, cleaner, operation, books[operation.id], name, values)
    finally:
        await line.close()
    return written


def _asked(
    operation: Operation, book: Book, persons: Sequence[str], done: list[str]
) -> list[tuple[str, dict[str, Any]]]:
    """Return what is asked, and what the example is called."""
    unasked = {number for number, trigger in TRIGGERS.items() if trigger in (903, 904, 905, 906)}
    asked = [
        (example.name, values)
        for example in book.examples
        if not example.made
        and example.values.get("subject.number", "") not in unasked
        and (values := _values(operation, example, done)) is not None
    ]
    if operation.kind == "query" and (not asked or persons):
        people = persons or (PERSON,)
        asked += [(f"person_{index}", nested({"subject.number": n})) for index, n in enumerate(people, 1)]
    return asked


def _values(operation: Operation, example: Recorded, done: list[str]) -> dict[str, Any] | None:
    """Return what an example is asked with; None where its file does not say and this recording does not know."""
    fresh: dict[str, str] = {}
    if operation.kind == "submit":
        fresh["key"] = new_id("eff")
        if example.good:
            done.append(fresh["key"])
    elif operation.kind == "lookup" and "key" not in example.values:
        if example.good and not done:
            return None
        fresh["key"] = done[0] if example.good else new_id("eff")
    return example.asking(fresh) or None


async def _one(
    line: Line, cleaner: Cleaner, operation: Operation, book: Book, name: str, values: dict[str, Any]
) -> list[Written]:
    try:
        answer: Answer = await line.ask(operation.id, values, operation.total_s, lane="batch")
    except CallFailed:
        return []
    if answer.reply is None:
        return []
    _, _, _, sent = line.operations[operation.id].request(values)
    body = cleaner.clean(operation, book, answer.reply.body)
    ending = _ENDINGS.get(operation.response_codec, "txt")
    files = [Written(name=f"{operation.id}.{name}.{answer.reply.status}.response.{ending}", data=body)]
    if sent:
        asked = _ENDINGS.get(operation.request_codec, "txt")
        files.insert(0, Written(name=f"{operation.id}.{name}.request.{asked}", data=sent))
    return files
