"""What may differ in addition when readers stand behind Fanin, each with its reason (README, "Reads on readers")."""

from __future__ import annotations

import re
from typing import Final

from protocol.constants import Capability
from protocol.packets import parse_err
from tests.integration.steps import Step
from tests.twin.exceptions import Answers, KnownDifference, run_text, untold
from tests.twin.exchanges import LoadLocal, Pipelined
from tests.twin.programs import CLOSED, Program

_STRANDED: Final = "the session is pinned to a reader"
_READ_ONLY_OPTION: Final = 1290


def _codes(answer: list[bytes]) -> set[int]:
    return {parse_err(payload).code for payload in answer if payload[:1] == b"\xff"}


def _texts(program: Program, position: int) -> list[str]:
    steps: list[Step] = [line.step for line in program.lines[: position + 1]]
    return [run_text(steps, at) for at in range(len(steps))]


def _is_stranded(program: Program, position: int, got: Answers) -> bool:
    messages = [parse_err(payload).message for payload in got[position] if payload[:1] == b"\xff"]
    is_cut_off = isinstance(program.lines[position].step, Pipelined) and got[position] == [CLOSED]
    is_said = is_cut_off or any(_STRANDED in message.decode() for message in messages)
    return bool(program.readers) and is_said and any(_PINS.search(text) for text in _texts(program, position))


_PINS: Final = re.compile(
    r"\bCALL\b|\b(counter|note_of|last_id|GET_LOCK)\(|\bTEMPORARY\b|\bHANDLER\b|\bPREPARE\b|\bEXECUTE\b|\bXA\b|\bFOR (UPDATE|SHARE)\b|\bSHARE MODE\b|\bSHOW CREATE VIEW\b|\brand_seed|\bPOINT\(|\bRESOURCE GROUP\b|\bCHARACTER SET\b|\bNAMES\b|\bSET STATEMENT\b|\bsql_auto_is_null\b",
    re.IGNORECASE,
)


def _shows_error_of_reader(program: Program, position: int, got: Answers) -> bool:
    texts = _texts(program, position)
    is_prepared = re.search(r"\bEXECUTE\b", texts[-1], re.IGNORECASE) is not None
    is_asked = any(_ASKING.search(text) for text in (texts if is_prepared else texts[-1:]))
    return bool(program.readers) and is_asked and any(b"read-only option" in each for each in got[position])


_ASKING: Final = re.compile(r"\bSHOW\s+(WARNINGS|ERRORS)\b|\bSELECT\b.*@", re.IGNORECASE)


def _loads_unasked(program: Program, position: int, got: Answers) -> bool:
    may_load = bool(program.capabilities & Capability.LOCAL_FILES)
    is_load = isinstance(program.lines[position].step, LoadLocal)
    return bool(program.readers) and is_load and not may_load and _codes(got[position]) == {1792}


def _begins_late(program: Program, position: int, got: Answers) -> bool:
    del got
    tracks = bool(program.capabilities & Capability.SESSION_TRACK)
    texts = _texts(program, position)
    return program.readers == "late" and tracks and any(_BEGINNING.search(text) for text in texts)


_BEGINNING: Final = re.compile(r"\bBEGIN\b|\bSTART\s+TRANSACTION\b", re.IGNORECASE)


def _differ_in_what_is_told(wanted: list[bytes], got: list[bytes]) -> bool:
    headers = (b"\0", b"\xfe")
    return [untold(each, headers) for each in wanted] == [untold(each, headers) for each in got]


def _writes_after_commit(program: Program, position: int, got: Answers) -> bool:
    text = _texts(program, position)[-1]
    is_call = re.search(r"\bCALL\b", text, re.IGNORECASE) is not None
    return bool(program.readers) and is_call and bool(_codes(got[position]) & {1290, 1836, 1792})


KNOWN_WITH_READERS: Final = (
    KnownDifference(
        "LOAD DATA LOCAL of a client that has not asked for it gets 1792 in a read-only transaction on a reader (README, Reads on readers)",
        _loads_unasked,
        is_by_itself=True,
    ),
    KnownDifference(
        "with late_begin a client that tracks its session is not told that BEGIN has begun one (README, Reads on readers)",
        _begins_late,
        is_by_itself=True,
        is_all=_differ_in_what_is_told,
    ),
    KnownDifference(
        "SHOW ERRORS, and SHOW WARNINGS by EXECUTE, may have the reader's own error in place of 1792 (README, Reads on readers)",
        _shows_error_of_reader,
        is_by_itself=True,
    ),
    KnownDifference(
        "a session that became pinned on a reader, by a routine or by what it took there, and then may write loses its connection",
        _is_stranded,
    ),
    KnownDifference(
        "a procedure that commits in a read-only transaction and then writes is refused on the reader (README, Reads on readers)",
        _writes_after_commit,
    ),
)
