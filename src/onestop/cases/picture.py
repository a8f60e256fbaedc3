"""The timeline of a case as an SVG picture: one lane a step, readable at the width of a phone, said again in text.

Colour never speaks alone: every bar carries its state in words, and the picture its content as a description.
"""

from collections.abc import Callable
from datetime import datetime
from html import escape
from typing import Final

from onestop import clock
from onestop.cases.views import Bar, Timeline
from onestop.texts import Language, text

_WIDTH: Final = 360
_LEFT: Final = 12
_TOP: Final = 58
_LANE: Final = 54
_TAGS: Final = {"zh": "zh-CN", "en": "en"}
_LOOK: Final = (
    'width="100%" role="img" aria-labelledby="t d" '
    "font-family=\"system-ui, 'Noto Sans CJK SC', 'Microsoft YaHei', sans-serif\""
)
_FILL: Final = {
    "completed": "#1a7f4b",
    "in_progress": "#1f5fa8",
    "at_desk": "#6b4fa0",
    "correcting": "#a85a00",
    "waiting": "#7a828c",
    "declined": "#b3261e",
    "not_started": "#7a828c",
    "withdrawn": "#7a828c",
}


def draw(timeline: Timeline, lang: Language) -> str:
    """Return the picture; its `desc` says in words everything it shows."""
    height = _TOP + _LANE * len(timeline.bars) + 26
    start, end = timeline.opened_at, _end(timeline)
    span = max((end - start).total_seconds(), 1.0)
    width = _WIDTH - 2 * _LEFT

    def x(at: datetime) -> float:
        return _LEFT + width * min(max((at - start).total_seconds() / span, 0.0), 1.0)

    title = f"{text('cases.picture.title', lang)} · {timeline.title}"
    described = "; ".join(said(bar, lang) for bar in timeline.bars)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" {_LOOK} lang="{_TAGS[lang]}">',
        f'<title id="t">{escape(title)}</title>',
        f'<desc id="d">{escape(text("cases.picture.description", lang))} {escape(described)}</desc>',
        f'<rect width="{_WIDTH}" height="{height}" fill="#fff"/>',
        f'<text x="{_LEFT}" y="24" font-size="16" font-weight="600" fill="#1b1f24">{escape(_short(title, 40))}</text>',
    ]
    if timeline.due_on:
        due = text("cases.picture.due", lang, day=timeline.due_on.isoformat())
        parts.append(f'<text x="{_LEFT}" y="44" font-size="13" fill="#40464d">{escape(due)}</text>')
    bottom = _TOP + _LANE * len(timeline.bars)
    parts += [_lane(bar, _TOP + _LANE * nth, x, timeline.now, lang) for nth, bar in enumerate(timeline.bars)]
    now = x(timeline.now)
    anchor = "end" if now > _WIDTH / 2 else "start"
    today = f"{escape(text('cases.picture.today', lang))} {_when(timeline.now)}"
    parts += [
        f'<line x1="{now:.1f}" x2="{now:.1f}" y1="{_TOP - 6}" y2="{bottom}" stroke="#1b1f24" stroke-dasharray="3 3"/>',
        f'<text x="{now:.1f}" y="{bottom + 16}" font-size="12" text-anchor="{anchor}" fill="#1b1f24">{today}</text>',
        "</svg>",
    ]
    return "".join(parts)


def _end(timeline: Timeline) -> datetime:
    latest = [bar.end for bar in timeline.bars if bar.end] + [timeline.now]
    return max(latest)


def _lane(bar: Bar, top: float, x: Callable[[datetime], float], now: datetime, lang: Language) -> str:
    fill = _FILL[bar.state]
    head = escape(_short(f"{bar.name} · {bar.department}", 46))
    parts = [f'<text x="{_LEFT}" y="{top + 12}" font-size="13" fill="#1b1f24">{head}</text>']
    if bar.start is not None:
        left = x(bar.start)
        width = max(x(bar.end or now) - left, 4.0)
        dashed = "" if bar.end else ' stroke="#1b1f24" stroke-dasharray="2 2"'
        left = min(left, _WIDTH - _LEFT - width)
        parts.append(
            f'<rect x="{left:.1f}" y="{top + 18}" width="{width:.1f}" height="11" rx="2" fill="{fill}"{dashed}/>'
        )
    else:
        parts.append(
            f'<line x1="{_LEFT}" x2="{_WIDTH - _LEFT}" y1="{top + 24}" y2="{top + 24}" stroke="{fill}" '
            'stroke-dasharray="1 4"/>'
        )
    parts.append(f'<text x="{_LEFT}" y="{top + 43}" font-size="12" fill="{fill}">{escape(_times(bar, lang))}</text>')
    return "".join(parts)


def _times(bar: Bar, lang: Language) -> str:
    due = text("cases.picture.due_on", lang, day=bar.due_on.isoformat())
    if bar.start and bar.end:
        when = text("cases.picture.took", lang, start=_when(bar.start), end=_when(bar.end))
        return f"{bar.state_name} · {when}"
    if bar.start:
        return f"{bar.state_name} · {text('cases.picture.since', lang, start=_when(bar.start))} · {due}"
    if bar.end:
        return f"{bar.state_name} · {_when(bar.end)}"
    return f"{bar.state_name} · {due}"


def said(bar: Bar, lang: Language) -> str:
    """Return one bar in words: what the list beside the picture and screen readers say."""
    return f"{bar.name} ({bar.department}): {_times(bar, lang)}"


def _when(at: datetime) -> str:
    return at.astimezone(clock.CHINA).strftime("%m-%d %H:%M")


def _short(line: str, width: int) -> str:
    """Cut a line to about `width` narrow characters; a Chinese character counts two."""
    used = 0
    kept: list[str] = []
    for character in line:
        used += 2 if ord(character) > 0x2E7F else 1
        if used > width + 4:
            return "".join(kept) + "…"
        kept.append(character)
    return line
