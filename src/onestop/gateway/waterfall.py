"""The waterfall of a request as a picture: one bar a department, drawn by the server, readable without colour."""

from collections.abc import Sequence
from html import escape
from typing import Any, Final

from onestop.gateway.explain import Explanation
from onestop.texts import Language, has, text

_WIDTH: Final = 860
_LABEL: Final = 300
_SAYS: Final = 160  # room for what is said behind the longest bar
_ROW: Final = 26
# The parts of a call in their order; each has a colour and a pattern of its own height, so that grey tells as well.
_PARTS: Final = (
    ("queue_ms", "#b1b4b6", 6),
    ("connect_ms", "#f4a261", 10),
    ("wait_ms", "#1d70b8", 14),
    ("read_ms", "#00703c", 14),
)


def svg(explanations: Sequence[Explanation], lang: Language) -> str:
    """Draw all questions of a trace on one time axis, in milliseconds, the first request first."""
    bars = [one for explanation in explanations for bar in explanation.waterfall for one in _with_pieces(bar)]
    longest = max([bar["start_ms"] + bar["took_ms"] for bar in bars] + [1.0])
    height = 40 + _ROW * len(bars) + 24
    asked = sum(len(explanation.waterfall) for explanation in explanations)
    title = text("waterfall.title", lang, count=asked, took_ms=round(longest))
    rows = [_row(bar, 40 + i * _ROW, longest, lang) for i, bar in enumerate(bars)]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img" '
        f'font-family="sans-serif" font-size="13"><title>{escape(title)}</title>'
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>'
        f'<text x="8" y="20" font-size="15">{escape(title)}</text>{"".join(rows)}</svg>'
    )


def rows(explanations: Sequence[Explanation], lang: Language) -> list[list[str]]:
    """Return what the picture shows as a table, for whoever cannot see it; times in milliseconds."""
    bars = [one for explanation in explanations for bar in explanation.waterfall for one in _with_pieces(bar)]
    times = ("start_ms", "took_ms", "queue_ms", "connect_ms", "wait_ms", "read_ms")
    return [
        [
            str(bar["department"]),
            str(bar["operation"]),
            *(str(round(bar.get(name, 0.0))) for name in times),
            _word(bar["outcome"], lang),
        ]
        for bar in bars
    ]


def _with_pieces(bar: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a bar and, below it, its steps, pages and repeated attempts as bars of their own."""
    pieces = [
        {
            "department": f"↳ {piece['kind']} {piece['name']}",
            "operation": bar["operation"],
            "start_ms": bar["start_ms"] + piece["start_ms"],
            "took_ms": piece["took_ms"],
            "wait_ms": piece["took_ms"],
            "outcome": piece["outcome"],
        }
        for piece in bar.get("pieces") or ()
    ]
    return [bar, *pieces]


def _word(outcome: str, lang: Language) -> str:
    key = f"waterfall.outcome.{outcome}"
    return text(key, lang) if has(key) else outcome


def _row(bar: dict[str, Any], y: int, longest: float, lang: Language) -> str:
    scale = (_WIDTH - _LABEL - _SAYS) / longest
    x = _LABEL + bar["start_ms"] * scale
    outcome = bar["outcome"]
    failed = outcome not in ("ok", "not_found")
    pieces = []
    if failed:
        width = max(bar["took_ms"] * scale, 3)
        pieces.append(f'<rect x="{x:.1f}" y="{y + 2}" width="{width:.1f}" height="14" fill="#d4351c"/>')
        x += width
    else:
        for name, colour, thick in _PARTS:
            width = bar.get(name, 0.0) * scale
            if width > 0.2:
                top = y + 9 - thick / 2
                pieces.append(f'<rect x="{x:.1f}" y="{top:.1f}" width="{width:.1f}" height="{thick}" fill="{colour}"/>')
                x += width
    word = _word(outcome, lang)
    label = escape(f"{bar['department']}")
    said = escape(f"{round(bar['took_ms'])} ms · {word}")
    return (
        f'<g><text x="{_LABEL - 8}" y="{y + 14}" text-anchor="end">{label}</text>{"".join(pieces)}'
        f'<text x="{x + 6:.1f}" y="{y + 14}" fill="{"#d4351c" if failed else "#0b0c0c"}">{said}</text></g>'
    )
