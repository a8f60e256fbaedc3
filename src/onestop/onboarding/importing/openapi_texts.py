"""Small pieces of OpenAPI documents: tables, sentences, and what extensions and examples say."""

import re
from typing import Any


def table(value: Any) -> dict[str, Any]:
    """Return a value where it is a table, else an empty one."""
    return value if isinstance(value, dict) else {}


def first_example(told: dict[str, Any]) -> Any:
    """Return the first example of a parameter, a header or a schema; None where there is none."""
    for word in ("example", "x-example"):
        if told.get(word) is not None:
            return told[word]
    given = told.get("examples")
    if isinstance(given, dict) and given:
        first = next(iter(given.values()))
        return first.get("value") if isinstance(first, dict) else first
    return given[0] if isinstance(given, list) and given else None


def limits_told(owner: dict[str, Any]) -> str:
    """Return what extensions say of limits as one text: `x-rate-limit: {limit: 10, period: second}` and the like."""
    parts = []
    for name, told in owner.items():
        if str(name).startswith("x-") and re.search(r"(?i)rate|throttl|limit|quota", str(name)):
            inner = told.values() if isinstance(told, dict) else [told]
            parts.append("limit " + " per ".join(one_line(one) for one in inner if one_line(one)))
    return " . ".join(parts)[:400]


def one_line(value: Any) -> str:
    """Return a text or a number on one line; empty for anything else."""
    return " ".join(str(value).split()) if isinstance(value, str | int | float) else ""


def sentence(text: str) -> str:
    """Return the first sentence without markup, at most 80 characters."""
    plain = re.sub(r"<[^<>]{1,200}>|\[([^\]]{1,200})\]\([^)]{1,300}\)|[`*]", lambda m: m[1] or "", text)
    first = re.split(r"(?<=[.。!！?？])\s|[。；]", plain.strip(), maxsplit=1)[0].strip().rstrip(".。")
    return first if len(first) <= 80 else first[:79].rstrip() + "…"
