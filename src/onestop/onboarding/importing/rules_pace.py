"""How often a system may be called, and whether a value keeps one effect from becoming two: as sentences tell it."""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from onestop.onboarding.importing.rules_names import words_of
from onestop.onboarding.importing.vocabulary import known

_SECONDS: Final = {
    "s": 1, "sec": 1, "second": 1, "秒": 1, "秒钟": 1, "m": 60, "min": 60, "minute": 60, "分": 60, "分钟": 60,
    "h": 3600, "hr": 3600, "hour": 3600, "时": 3600, "小时": 3600, "d": 86400, "day": 86400, "天": 86400, "日": 86400,
}  # fmt: skip
_UNIT: Final = r"(seconds?|secs?|s|minutes?|mins?|m|hours?|hrs?|h|days?|d)\b"
_COUNT: Final = r"(?<![\d.,:])(\d{1,3}(?:,\d{3})+|\d{1,9})"
_CALLS: Final = r"(?:(?:api|http) )?(?:requests?|calls?|transactions?|queries|hits|reqs?|messages?)"
_RATES: Final = (
    re.compile(rf"{_COUNT}\s*{_CALLS}\s*(?:per|/|an?|each|every|in)\s*(?:(\d{{1,5}})\s*)?{_UNIT}", re.I),
    re.compile(
        rf"\b(?:rate|limit|throttl|quota)\w*[^.;\d]{{0,40}}?{_COUNT}\s*(?:per|/)\s*(?:(\d{{1,5}})\s*)?{_UNIT}", re.I
    ),
)
_UNIT_ZH: Final = r"(秒钟?|分钟?|小时|时|天|日)"
_CALLS_ZH: Final = r"(?:次|笔|个?请求|条)"
_RATE_ZH: Final = re.compile(rf"每\s*{_UNIT_ZH}[^。；;\d每]{{0,16}}(\d{{1,9}})\s*{_CALLS_ZH}")
_RATE_ZH_AFTER: Final = re.compile(rf"(\d{{1,9}})\s*{_CALLS_ZH}\s*[/／每]\s*{_UNIT_ZH}")
_PER_SECOND: Final = re.compile(r"\b[QT]PS\b\D{0,12}?(\d{1,6})|(\d{1,6})\s*[QT]PS\b", re.I)
_POLICY: Final = re.compile(r"(?<![\w.])(\d{1,9})\s*;\s*w\s*=\s*(\d{1,6})")
_AT_ONCE: Final = re.compile(
    r"并发(?:数|量|请求)?[^。；;\d]{0,10}(\d{1,4})"
    r"|(?<!\d)(\d{1,4})\s+(?:concurrent|simultaneous|parallel)\s+(?:requests?|calls?|connections?)"
    r"|\bconcurren\w+[^.;\d]{0,24}?(\d{1,4})(?!\d)",
    re.I,
)
_LIMITED: Final = re.compile(r"(?:ratelimit|throttl|retryafter)")
_DAY_S: Final = 86_400

_TRACES: Final = known("request.trace_headers")
_REPEATS: Final = re.compile(
    r"idempoten|幂等|防重|去重|重复(?:提交|请求|调用|发送)|dedup|de-dup|duplicate (?:request|submission)s?"
    r"|(?:repeat|resend|retr(?:y|ied))\w*[^.;]{0,40}(?:safe|same|once|again)|safely (?:retr|repeat|resen)"
    r"|detect\w* (?:repeat|duplicat)",
    re.I,
)
_NOT: Final = re.compile(
    r"(?:不|非|未)\s*(?:保证|支持|做|是)?\s*(?:幂等|去重|防重)|\b(?:not|no|non)[- ](?:\w+ ){0,2}idempoten", re.I
)


class Pace(NamedTuple):
    """What sentences tell of limits; None where they tell nothing."""

    per_second: float | None = None
    at_once: int | None = None
    per_day: int | None = None  # said of a whole day, which is no pace


def pace(text: str) -> Pace:
    """Return the strictest limits that a text tells: of several plans the smallest is safe for all."""
    rates = list(_rates(text))
    paces = [count / seconds for count, seconds in rates if count and 0 < seconds < _DAY_S]
    days = [count for count, seconds in rates if seconds >= _DAY_S]
    at_once = [int(next(filter(None, found.groups()))) for found in _AT_ONCE.finditer(text)]
    return Pace(
        per_second=_rounded(min(paces)) if paces else None,
        at_once=min(max(min(at_once), 1), 512) if at_once else None,
        per_day=min(days) if days else None,
    )


def _rates(text: str) -> Iterator[tuple[int, int]]:
    """Yield every count with the seconds it is said of."""
    for pattern in _RATES:
        for found in pattern.finditer(text):
            unit = found[3].lower()
            seconds = _SECONDS.get(unit) or _SECONDS[unit.rstrip("s")]
            yield int(found[1].replace(",", "")), seconds * int(found[2] or 1)
    for found in _RATE_ZH.finditer(text):
        yield int(found[2]), _SECONDS[found[1]]
    for found in _RATE_ZH_AFTER.finditer(text):
        yield int(found[1]), _SECONDS[found[2]]
    for found in _PER_SECOND.finditer(text):
        yield int(found[1] or found[2]), 1
    for found in _POLICY.finditer(text):
        yield int(found[1]), int(found[2])


def _rounded(rate: float) -> float:
    """Return a rate with three digits, never above what was told."""
    return max(int(rate * 1000) / 1000, 0.001)


def is_limit_header(name: str) -> bool:
    """Tell whether a reply's header says how much may still be asked, or when to come again."""
    return _LIMITED.search("".join(words_of(name))) is not None


def keeps_from_repeating(text: str) -> bool:
    """Tell whether a description says that the same value twice is one effect."""
    return _REPEATS.search(text) is not None and _NOT.search(text) is None


def is_trace(name: str) -> bool:
    """Tell whether a header only names one call, for finding it in logs."""
    return "".join(word for word in words_of(name) if word != "x") in _TRACES
