"""Functions of the mapping language that work on numbers and amounts of money; docs/mapping.md shows each."""

import re
from decimal import Decimal, InvalidOperation
from typing import Final

from onestop.gateway.mapping.arguments import Spot
from onestop.gateway.mapping.values import Getter, MappingFailed, Value

_MOST: Final = Decimal(10) ** 15
_NONE: Final = Decimal("NaN")
_LONGEST: Final = 60  # characters of a number
_THOUSANDS: Final = re.compile(r"[-+]?[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?", re.ASCII)
_EUROPEAN: Final = re.compile(r"[-+]?[0-9]{1,3}(?:\.?[0-9]{3})*(?:,[0-9]+)?", re.ASCII)


def integer(_: str, spot: Spot) -> Getter:
    def convert(value: Value) -> Value:
        if value is None or value == "":
            return None
        try:
            number = int(value)
        except (TypeError, ValueError, OverflowError) as fault:
            raise MappingFailed(spot.source, value, "needs a whole number") from fault
        if not -(2**63) <= number < 2**63:
            raise MappingFailed(spot.source, value, "needs a whole number of at most 64 bits")
        return number

    return convert


def decimal(value: Value, source: str, need: str) -> Decimal:
    """Return a number exactly, thousands with commas or without.

    Raises:
        MappingFailed: it is none, or too large.
    """
    told = value if type(value) is str else _digits(value)
    try:
        number = Decimal(told) if len(told) <= _LONGEST else _NONE
    except InvalidOperation:
        number = Decimal(told.replace(",", "")) if _THOUSANDS.fullmatch(told.strip()) else _NONE
    if not number.is_finite() or not -_MOST <= number <= _MOST:
        raise MappingFailed(source, value, need)
    return number


def _digits(value: Value) -> str:
    return str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else ""


def number(argument: str, spot: Spot) -> Getter:
    if argument not in ("", "eu"):
        raise spot.wrong("number is `number`, or `number(eu)` for 1.234,5")

    def convert(value: Value) -> Value:
        if value is None or value == "":
            return None
        told = value
        if argument and isinstance(value, str):
            if not _EUROPEAN.fullmatch(value.strip()):
                raise MappingFailed(spot.source, value, "needs a number as 1.234,5")
            told = value.replace(".", "").replace(",", ".")
        return float(decimal(told, spot.source, "needs a number"))

    return convert


def fen(_: str, spot: Spot) -> Getter:
    def convert(value: Value) -> Value:
        if value is None or value == "":
            return None
        return int(decimal(value, spot.source, "needs an amount in yuan") * 100)

    return convert


def yuan(_: str, spot: Spot) -> Getter:
    def convert(value: Value) -> Value:
        if value in (None, ""):
            return None
        amount = decimal(value, spot.source, "needs an amount in fen")
        if amount != amount.to_integral_value():
            raise MappingFailed(spot.source, value, "needs a whole amount in fen")
        return f"{amount / 100:.2f}"

    return convert


def total(argument: str, spot: Spot) -> Getter:
    """Add the numbers of a list, or those that a path reads from its records."""
    read = spot.path(argument or ".")

    def convert(value: Value) -> Value:
        if value in (None, ""):
            return None
        told = [read(item) for item in (value if isinstance(value, list) else [value])]
        numbers = [decimal(one, spot.source, "needs numbers to add") for one in told if one not in (None, "")]
        added = sum(numbers, Decimal(0))
        return int(added) if added == added.to_integral_value() else float(added)

    return convert
