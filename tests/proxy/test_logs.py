from __future__ import annotations

import io
import json
import logging
import sys
from typing import Any

import pytest

from proxy import logs

pytestmark = pytest.mark.usefixtures("plain_logs")


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


class BrokenPipe(io.StringIO):
    """A stream whose reader has gone away."""

    def write(self, text: str) -> int:
        raise BrokenPipeError

    def flush(self) -> None:
        raise BrokenPipeError


def logged(facts: dict[str, Any], *, queries: bool = False) -> dict[str, Any]:
    """What a line with these facts looks like in JSON, without time and level."""
    stream = io.StringIO()
    logs.configure("debug", "json", queries=queries, stream=stream)
    logs.get_logger("test").info("something happened", **facts)
    line: dict[str, Any] = json.loads(stream.getvalue())
    assert line.pop("timestamp").endswith("Z")
    assert (line.pop("level"), line.pop("room"), line.pop("event")) == ("info", "test", "something happened")
    return line


def test_facts_are_kept_as_they_are() -> None:
    facts = {
        "peer": "127.0.0.1:5",
        "code": 1045,
        "share": 0.5,
        "is_tls": True,
        "user": None,
        "list": [1, "a"],
    }
    assert logged(facts) == facts


@pytest.mark.parametrize(
    "key",
    ["password", "Password", "native_hash", "auth_response", "token", "client-secret", "stage1", "nonce"],
)
def test_secrets_are_masked_wherever_they_are(key: str) -> None:
    assert logged({key: "hunter2"}) == {key: "****"}
    assert logged({"outer": [{"inner": {key: b"hunter2"}}]}) == {"outer": [{"inner": {key: "****"}}]}


def test_words_that_only_contain_a_secret_one_are_kept() -> None:
    assert logged({"author": "me", "hashes": 3}) == {"author": "me", "hashes": 3}


def test_queries_are_left_out_unless_they_are_wanted() -> None:
    assert logged({"query": "SELECT 1", "sql": b"SELECT 2", "statement": "SELECT 3", "id": 4}) == {"id": 4}
    assert logged({"query": "SELECT 1"}, queries=True) == {"query": "SELECT 1"}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b"app", "app"),
        (b"\xff\x1b[2J", "\\xff\\x1b[2J"),
        (bytearray(b"x"), "x"),
        ("two\nlines", "two\\nlines"),
        ("\x1b]0;owned\x07", "\\x1b]0;owned\\x07"),
        ("'quotes' \"stay\"", "'quotes' \"stay\""),
        ("grüße", "grüße"),
        ({b"k": b"v"}, {"b'k'": "v"}),
        ((b"a", b"b"), ["a", "b"]),
        (ValueError("odd"), "odd"),
    ],
)
def test_bytes_and_control_characters_become_printable(value: object, text: object) -> None:
    assert logged({"value": value}) == {"value": text}


def test_very_long_texts_are_cut() -> None:
    assert logged({"user": "x" * 100_000}) == {"user": "x" * logs.LONGEST_TEXT + "... (100000 characters)"}


def test_levels_below_the_one_set_are_silent() -> None:
    stream = io.StringIO()
    logs.configure("warning", "json", stream=stream)
    log = logs.get_logger("test")
    log.debug("no")
    log.info("no")
    log.warning("yes")
    log.error("yes")
    assert [json.loads(line)["level"] for line in stream.getvalue().splitlines()] == ["warning", "error"]


def test_a_logger_follows_a_setup_that_comes_later() -> None:
    log = logs.get_logger("early")
    stream = io.StringIO()
    logs.configure(stream=stream)
    log.info("hello")
    assert json.loads(stream.getvalue())["room"] == "early"


@pytest.mark.parametrize(
    ("format", "stream", "is_json"),
    [
        ("auto", Terminal(), False),
        ("auto", io.StringIO(), True),
        ("json", Terminal(), True),
        ("console", io.StringIO(), False),
    ],
)
def test_a_terminal_gets_text_for_people_and_all_else_json(
    format: str, stream: io.StringIO, is_json: bool
) -> None:
    logs.configure("info", format, stream=stream)
    logs.get_logger("test").info("hello", user="app")
    assert stream.getvalue().startswith("{") is is_json
    assert ("\x1b[" in stream.getvalue()) is (not is_json and stream.isatty())


@pytest.mark.parametrize("format", ["json", "console"])
def test_a_traceback_is_written_without_the_variables_of_its_frames(format: str) -> None:
    stream = io.StringIO()
    logs.configure("info", format, stream=stream)
    secret_of_this_frame = "hunter" + str(2)
    try:
        int(secret_of_this_frame[:0] + "x")
    except ValueError as error:
        logs.get_logger("test").error("failed", exc_info=error)
    assert "ValueError: invalid literal" in stream.getvalue()
    assert "hunter2" not in stream.getvalue()


def test_the_standard_library_logs_the_same_way() -> None:
    stream = io.StringIO()
    logs.configure("info", "json", stream=stream)
    logging.getLogger("asyncio").debug("no")
    logging.getLogger("asyncio").info("hello %s", "world")
    logging.getLogger("asyncio").warning("careful")
    try:
        raise ValueError("odd")
    except ValueError:
        logging.getLogger("aiohttp").exception("failed")
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [(line["room"], line["level"], line["event"]) for line in lines] == [
        ("asyncio", "info", "hello world"),
        ("asyncio", "warning", "careful"),
        ("aiohttp", "error", "failed"),
    ]
    assert "ValueError: odd" in lines[2]["exception"]


def test_lines_go_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure()
    logs.get_logger("test").info("hello")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert json.loads(captured.err)["event"] == "hello"


def test_a_reader_that_has_gone_away_costs_nothing_but_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    logs.configure(stream=BrokenPipe())
    logs.get_logger("test").info("lost")
    closed = io.StringIO()
    logs.configure()
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed)
    logs.get_logger("test").info("lost")


def test_a_workers_lines_say_so(plain_logs: None) -> None:
    stream = io.StringIO()
    logs.configure(format="json", stream=stream, worker=2)
    logs.get_logger("app").info("serving")
    assert json.loads(stream.getvalue())["worker"] == 2
