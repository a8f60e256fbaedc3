"""Logs: one JSON object a line, or colours on a terminal; ids to search by, nothing of what people are or wrote."""

import logging
import re
import sys
from typing import Any, Final

import structlog

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
_NUMBER: Final = re.compile(r"(?<![0-9])([0-9]{4})[0-9]{7,10}([0-9]{3}[0-9Xx])(?![0-9])")
_LONGEST: Final = 300


def only_errors() -> None:
    """Keep the logs of a command to what went wrong, on the error stream: its output is its answer."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS["error"]),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
    )


def configure(level: str) -> None:
    """Set up the logs of this process, those of libraries included (theirs from `warning` on)."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
    ]
    terminal = sys.stderr.isatty()
    last: list[Any] = (
        [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
        if terminal
        else [_failures, _discreet, structlog.processors.JSONRenderer(ensure_ascii=False)]
    )
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=max(_LEVELS[level], logging.WARNING), stream=sys.stderr, format="%(name)s: %(message)s")


# structlog's own `dict_tracebacks` writes the local variables of every frame: whom a request was about, and secrets.
_failures: Final = structlog.processors.ExceptionRenderer(
    structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
)


def _discreet(_: Any, __: str, entry: Any) -> Any:
    """Take out of what exceptions say all but the first line (PostgreSQL's others show the row), and long numbers."""
    for told in entry.get("exception", ()) if isinstance(entry.get("exception"), list) else ():
        first = str(told.get("exc_value", "")).partition("\n")[0]
        told["exc_value"] = _NUMBER.sub(r"\1********\2", first)[:_LONGEST]
        told.pop("exc_notes", None)
    return entry
