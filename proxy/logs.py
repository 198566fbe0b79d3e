"""The log: structured lines on standard error, JSON for machines and coloured text for people.

structlog is used here and nowhere else; the other rooms take a logger from `get_logger`. Whatever a line carries passes
the same three steps before it is rendered: secrets are masked, the text of statements is left out unless
`log.queries` says otherwise, and bytes and control characters become printable, so that a client's user name cannot
write into somebody's terminal or forge a line.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from contextlib import suppress
from typing import Any, Final, Protocol, TextIO, cast

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

MASK: Final = "****"
SECRET_WORDS: Final = frozenset(
    {"auth", "hash", "nonce", "passwd", "password", "pem", "scramble", "secret", "stage1", "token"}
)
QUERY_KEYS: Final = frozenset({"query", "sql", "statement"})
LONGEST_TEXT: Final = 2000  # characters of one value; a longer one is cut

_LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


class Logger(Protocol):
    """What a room may call: an event (a few words, always the same) and its facts as keywords."""

    def debug(self, event: str, **facts: Any) -> Any:
        """For developers."""

    def info(self, event: str, **facts: Any) -> Any:
        """Normal, and worth a line."""

    def warning(self, event: str, **facts: Any) -> Any:
        """Somebody should look at it some time."""

    def error(self, event: str, **facts: Any) -> Any:
        """Somebody should look at it now; `exc_info=` takes an exception."""


def get_logger(room: str) -> Logger:
    """The logger of a room; may be asked for before `configure`, whose settings it follows at each line."""
    logger: Logger = structlog.get_logger(room=room)
    return logger


def configure(
    level: str = "info",
    format: str = "auto",
    *,
    queries: bool = False,
    stream: TextIO | None = None,
    worker: int = 0,
) -> None:
    """Set the log up, again if need be.

    `level` and `format` are the texts of the settings; `stream` is standard error unless given; `worker` is in each line if it is not 0. The standard
    library's log (asyncio, aiohttp) goes the same way.
    """
    is_terminal = (sys.stderr if stream is None else stream).isatty()
    is_console = format == "console" or (format == "auto" and is_terminal)
    structlog.configure(
        processors=[*_of_worker(worker), *_processors(queries), *_renderers(is_console, is_terminal)],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(file=cast(TextIO, _Output(stream))),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers = [_Forwarder()]
    root.setLevel(max(_LEVELS[level], logging.INFO))


def _of_worker(worker: int) -> list[Processor]:
    return [lambda _logger, _method, event: {**event, "worker": worker}] if worker else []


def _processors(queries: bool) -> list[Processor]:
    return [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        mask_secrets,
        *(() if queries else (drop_queries,)),
        make_printable,
    ]


def _renderers(is_console: bool, has_colours: bool) -> list[Processor]:
    if is_console:
        # The plain formatter: the fancy ones show the local variables of every frame, and passwords among them.
        plain = structlog.dev.plain_traceback
        return [structlog.dev.ConsoleRenderer(colors=has_colours, exception_formatter=plain)]
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]


def mask_secrets(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Mask every value, however deep, whose key has a secret's word in it."""
    return {key: value if key == "exc_info" else _masked({key: value})[key] for key, value in event.items()}


def _masked(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: MASK if _is_secret(key) else _masked(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_masked(each) for each in value]
    return value


def _is_secret(key: object) -> bool:
    return not SECRET_WORDS.isdisjoint(str(key).lower().replace("-", "_").split("_"))


def drop_queries(_logger: WrappedLogger, _method: str, event: MutableMapping[str, Any]) -> EventDict:
    """Leave out the text of statements."""
    return {key: value for key, value in event.items() if key not in QUERY_KEYS}


def make_printable(_logger: WrappedLogger, _method: str, event: MutableMapping[str, Any]) -> EventDict:
    """Make texts of bytes, escape control characters, cut what is very long."""
    return {key: value if key == "exc_info" else _printable(value) for key, value in event.items()}


def _printable(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _printable(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_printable(each) for each in value]
    if isinstance(value, bytes | bytearray | memoryview):
        value = bytes(value).decode("utf-8", "backslashreplace")
    if value is None or isinstance(value, bool | int | float):
        return value
    text = str(value)
    if len(text) > LONGEST_TEXT:
        text = f"{text[:LONGEST_TEXT]}... ({len(text)} characters)"
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)


class _Output:
    """Where lines go: standard error, as it is at that moment, unless a stream was given.

    A reader that has gone away (a closed pipe, a full disk) costs the line and must not cost a client its query.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        with suppress(OSError, ValueError):
            (self._stream or sys.stderr).write(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            (self._stream or sys.stderr).flush()


class _Forwarder(logging.Handler):
    """Takes the standard library's lines to structlog; the logger's name is their room."""

    def emit(self, record: logging.LogRecord) -> None:
        log = structlog.get_logger(room=record.name)
        level = (
            "error"
            if record.levelno >= logging.ERROR
            else "warning"
            if record.levelno >= logging.WARNING
            else "info"
        )
        getattr(log, level)(record.getMessage(), exc_info=record.exc_info)


def restore_defaults() -> None:
    """Undo `configure` (tests)."""
    structlog.reset_defaults()
    root = logging.getLogger()
    root.handlers = [handler for handler in root.handlers if not isinstance(handler, _Forwarder)]
    root.setLevel(logging.WARNING)
