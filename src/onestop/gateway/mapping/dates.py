"""Functions of the mapping language that work on days and instants; docs/mapping.md shows each."""

import re
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from onestop.clock import CHINA
from onestop.gateway.mapping.arguments import Spot
from onestop.gateway.mapping.values import Getter, MappingFailed, Value

_EPOCH: Final = {"s": 1, "ms": 1000}  # `instant(ms)`: milliseconds since 1970
_START: Final = datetime(1970, 1, 1, tzinfo=UTC)
_OFFSET: Final = re.compile(r"([+-])([01][0-9]):([0-5][0-9])", re.ASCII)
_REGION: Final = re.compile(r"[A-Z][A-Za-z]{1,20}/[A-Za-z_]{1,30}", re.ASCII)
_PARTIAL: Final = re.compile(r"([0-9]{4})(?:[-./年]?([0-9]{1,2})(?:[-./月]?([0-9]{1,2})日?|月)?|年)?", re.ASCII)
_UNKNOWN: Final = re.compile(r"[Xx*?]")


def _read_argument(argument: str, spot: Spot) -> tuple[str, tzinfo | None]:
    """Take `pattern`, `pattern,zone` or `zone` apart, and try the pattern.

    Raises:
        BadManifest: the pattern cannot be read back, or there is no such zone.
    """
    head, comma, tail = argument.rpartition(",")
    zone = _zone(tail.strip(), spot)
    pattern = (head.strip() if comma else "") if zone is not None else argument
    if pattern and pattern not in _EPOCH:
        try:
            datetime.strptime(datetime(2001, 2, 3, 4, 5, 6).strftime(pattern), pattern)
        except (ValueError, KeyError, IndexError, re.error):
            raise spot.wrong(f"{pattern!r} is no form of a date, as %Y%m%d is") from None
    return pattern, zone


def _zone(text: str, spot: Spot) -> tzinfo | None:
    if text in ("UTC", "Z"):
        return UTC
    if found := _OFFSET.fullmatch(text):
        ahead = timedelta(hours=int(found[2]), minutes=int(found[3]))
        return timezone(-ahead if found[1] == "-" else ahead)
    if not _REGION.fullmatch(text):
        return None
    try:
        return ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise spot.wrong(f"there is no time zone {text}") from None


def _parse(value: Value, pattern: str, source: str) -> datetime:
    try:
        if pattern in _EPOCH:
            return (_START + timedelta(milliseconds=int(value) * 1000 // _EPOCH[pattern])).astimezone(CHINA)
        if pattern:
            return datetime.strptime(str(value), pattern)  # the zone is told below
        return datetime.fromisoformat(str(value))
    except (ValueError, TypeError, OverflowError) as fault:
        raise MappingFailed(source, value, f"needs a date as {pattern or 'RFC 3339'}") from fault


def _moved(at: datetime, zone: tzinfo | None, value: Value, source: str) -> datetime:
    try:
        return at.astimezone(zone) if zone is not None and at.tzinfo is not None else at
    except (ValueError, OverflowError) as fault:
        raise MappingFailed(source, value, "needs a date that every zone has") from fault


def day_of(argument: str, spot: Spot) -> Getter:
    pattern, zone = _read_argument(argument, spot)

    def convert(value: Value) -> Value:
        if value in (None, ""):
            return None
        return _moved(_parse(value, pattern, spot.source), zone, value, spot.source).date().isoformat()

    return convert


def instant(argument: str, spot: Spot) -> Getter:
    pattern, zone = _read_argument(argument, spot)
    here = zone or CHINA
    read = datetime.fromisoformat

    def convert(value: Value) -> Value:
        if value is None or value == "":
            return None
        try:  # most departments write RFC 3339
            at = read(value) if not pattern else _parse(value, pattern, spot.source)
        except (ValueError, TypeError):
            at = _parse(value, pattern, spot.source)
        return (at.replace(tzinfo=here) if at.tzinfo is None else at).isoformat()

    return convert


def written(argument: str, spot: Spot) -> Getter:
    """Write our day or instant as the department does."""
    pattern, zone = _read_argument(argument, spot)
    pattern = pattern or "%Y%m%d"
    if pattern in _EPOCH:
        return _since_1970(_EPOCH[pattern], spot)

    def convert(value: Value) -> Value:
        if value in (None, ""):
            return None
        at = _moved(_parse(value, "", spot.source), zone, value, spot.source)
        # The platform writes a year before 1000 without its zeros.
        return at.strftime(pattern.replace("%Y", f"{at.year:04}"))

    return convert


def epoch(argument: str, spot: Spot) -> Getter:
    return instant(argument or "s", spot)


def epoch_ms(argument: str, spot: Spot) -> Getter:
    return instant(argument or "ms", spot)


def to_epoch(_: str, spot: Spot) -> Getter:
    return _since_1970(1, spot)


def to_epoch_ms(_: str, spot: Spot) -> Getter:
    return _since_1970(1000, spot)


def _since_1970(factor: int, spot: Spot) -> Getter:
    def convert(value: Value) -> Value:
        if value in (None, ""):
            return None
        at = _parse(value, "", spot.source)
        try:
            since = (at.replace(tzinfo=CHINA) if at.tzinfo is None else at) - _START
        except OverflowError as fault:
            raise MappingFailed(spot.source, value, "needs a date that every zone has") from fault
        return since // timedelta(milliseconds=1000 // factor)

    return convert


def partial(_: str, spot: Spot) -> Getter:
    """Read a day of which month or day may be unknown: left out, noughts, or stars."""

    def convert(value: Value) -> Value:
        if value in (None, ""):
            return None
        told = _UNKNOWN.sub("0", value.strip()) if isinstance(value, str) else str(value)
        whole = not told.isdigit() or len(told) in (4, 6, 8)
        found = _PARTIAL.fullmatch(told) if whole and len(told) <= 12 else None
        if found is None:
            raise MappingFailed(spot.source, value, "needs a year, a month or a day")
        year, month, day = int(found[1]), int(found[2] or 0), int(found[3] or 0)
        if year == 0:
            return None
        try:
            date(year, month or 1, day or 1)
        except ValueError as fault:
            raise MappingFailed(spot.source, value, "needs a day that there is") from fault
        if not month:
            return f"{year:04}"
        return f"{year:04}-{month:02}-{day:02}" if day else f"{year:04}-{month:02}"

    return convert
