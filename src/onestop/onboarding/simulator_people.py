"""The trigger people, with whom every department misbehaves in one way, and the numbers that no sandbox takes."""

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Final, Literal
from urllib.parse import unquote_plus

import msgspec
from stdnum.cn import ric

from onestop.gateway.manifest import Operation
from onestop.onboarding.simulator_memory import Memory
from onestop.onboarding.simulator_requests import Request

TRIGGERS: Final = {
    "990102198001019015": 901,  # no record
    "990102198001019023": 902,  # the record differs
    "990102198001019031": 903,  # no answer at all
    "99010219800101904X": 904,  # a fault inside
    "990102198001019058": 905,  # an answer that cannot be read
    "990102198001019066": 906,  # eight seconds
    "990102198001019074": 907,  # old data
    "990102198001019082": 908,  # a correction is needed, once
    "990102198001019090": 909,  # declined
    "990102198001019103": 910,  # the term is extended
    "990102198001019111": 911,  # another region's
}
SLOW_S: Final = 8.0
STALE: Final = timedelta(days=800)
_NUMBER = re.compile(r"(?<![0-9A-Za-z])[1-9]\d{16}[\dXx](?![0-9A-Za-z])")
_OF_SUBMISSION = {901: None, 902: "correction", 908: "correction", 909: "declined", 910: "extended", 911: "transferred"}
_OF_QUERY = {901: "not_found", 911: "not_found"}


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """How a department is to behave this once; `word` is what it should say."""

    word: str | None = None
    ending: Literal["answer", "hang"] = "answer"
    malformed: bool = False
    slow: bool = False
    stale: bool = False


def wish_of(operation: Operation, values: Mapping[str, str], facts: Mapping[str, str], memory: Memory) -> Wish:
    """Return what the first trigger person in a request asks for; nothing where there is none."""
    told = [values.get("subject.number", ""), *facts.values()]
    number = next((value for value in told if value in TRIGGERS), None)
    trigger = TRIGGERS.get(number or "")
    if number is None or trigger is None:
        return Wish()
    words: Mapping[int, str | None] = _OF_SUBMISSION if operation.kind == "submit" else _OF_QUERY
    word = words.get(trigger)
    if trigger == 904:
        word = "down"
    if trigger == 908 and word is not None and not memory.first_time(operation.id, number):
        word = "ok"  # this is the corrected one
    return Wish(
        word=word,
        ending="hang" if trigger == 903 else "answer",
        malformed=trigger == 905,
        slow=trigger == 906,
        stale=trigger == 907,
    )


def real_numbers(request: Request) -> bool:
    """Tell whether a request holds what may be a real person's number: of the right form, not beginning with 99."""
    text = f"{unquote_plus(request.path)} {unquote_plus(request.raw_query)} {request.body.decode('latin-1')}"
    return any(real_number(found) for found in _NUMBER.findall(unquote_plus(text) if "%" in text else text))


def real_number(number: str) -> bool:
    """Tell whether a text may be a real person's number."""
    number = number.upper()
    if number.startswith("99") or _NUMBER.fullmatch(number) is None:
        return False
    return bool(ric.calc_check_digit(number) == number[17])
