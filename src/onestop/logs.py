"""Logs: one JSON object a line, or colours on a terminal; ids to search by, nothing of what people are or wrote."""

import logging
import sys
from typing import Any

import structlog

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


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
        [structlog.dev.ConsoleRenderer()]
        if terminal
        else [structlog.processors.dict_tracebacks, structlog.processors.JSONRenderer(ensure_ascii=False)]
    )
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=max(_LEVELS[level], logging.WARNING), stream=sys.stderr, format="%(name)s: %(message)s")
