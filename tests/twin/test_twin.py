"""The oracle itself: it notices what differs, and shrinks it; its grammar and its corpus are what they should be."""

from __future__ import annotations

import pytest

from bench.servers import Server
from protocol.packets import build_err, build_ok
from protocol.session_track import SessionChanges
from tests.integration.steps import Prepare, Query
from tests.twin import comparison
from tests.twin.generator import kinds_for, seeded
from tests.twin.hunt import found_difference, shrunk
from tests.twin.programs import CLIENTS, Line, Program, corpus, read, regressions, written
from tests.twin.readers import VARIANTS
from tests.twin.stage import Played, Stage

CORPUS = corpus()
REGRESSIONS = regressions()


def selecting(*texts: str) -> Program:
    return Program("by hand", "both", "plain", "twin", tuple(Line("query", Query(text)) for text in texts))


@pytest.mark.parametrize(
    "leak",
    [
        "SET SESSION time_zone = '+04:00'",
        "SET last_insert_id = 5",
        "SET NAMES latin1",
        "SET @a = 3",
        "UPDATE twin.t SET s = 'changed'",
    ],
)
def test_the_comparison_notices_a_state_that_is_not_the_sessions(
    leak: str, server: Server, stage: Stage
) -> None:
    questions = ("SELECT s FROM t", "SELECT @@time_zone, LAST_INSERT_ID(), @a")
    as_it_should_be, _ = stage.play(selecting("DO 1", *questions))
    leaking, _ = stage.play(selecting(leak, *questions))
    # the first answer is that to the leak itself
    leaking.answers[0] = as_it_should_be.answers[0]
    found = comparison.difference(selecting("DO 1", *questions), as_it_should_be, leaking)
    assert found is not None and found.wanted != found.got


def test_the_comparison_notices_what_only_the_content_shows(server: Server, stage: Stage) -> None:
    direct, proxied = stage.play(selecting("DO 1"))
    proxied.dump["SELECT * FROM twin.`t`"] = []
    found = comparison.difference(selecting("DO 1"), direct, proxied)
    assert found is not None and found.position == 1


AUTHORS = (
    "INSERT INTO t (v) VALUES (3)",
    "CREATE TABLE made (id INT)",
    "CREATE VIEW made AS SELECT 1",
    "DROP VIEW both_rows",
    "DROP TABLE child",
    "ALTER TABLE w ADD INDEX (v)",
    "CREATE DATABASE twin3",
    "DELETE FROM t; ALTER TABLE t AUTO_INCREMENT = 1000",
    "UPDATE u SET s = 'x'; TRUNCATE TABLE old; DROP FUNCTION counter",
)


@pytest.mark.parametrize("text", AUTHORS)
def test_every_program_finds_the_content_as_new(text: str, server: Server, stage: Stage) -> None:
    new = stage.play(selecting("DO 1"))[0].dump
    changed, again = stage.play(selecting(*text.split("; ")))
    assert changed.dump == again.dump != new
    assert stage.play(selecting("DO 1"))[0].dump == new


@pytest.mark.parametrize(
    ("text", "flags", "is_known"),
    [
        ("SELECT id FROM t WHERE v > 4", 0x22, True),
        ("SELECT id FROM t WHERE v > 4", 0x03, False),
        ("SELECT id FROM t", 0x22, False),
    ],
)
def test_only_the_use_of_an_index_may_differ_where_a_condition_chooses_rows(
    text: str, flags: int, is_known: bool
) -> None:
    rows = [b"\1", b"\0011"]
    direct, proxied = (Played([[*rows, b"\xfe\0\0" + bytes([each]) + b"\0"]], {}) for each in (0x02, flags))
    assert (comparison.difference(selecting(text), direct, proxied) is None) is is_known


class Leaky(Stage):
    """Answers the second of two statements wrongly when the first was there. RAND() without a seed is answered by numbers."""

    plays = 0

    def play_directly(self, program: Program) -> Played:
        self.plays += 1
        texts = [str(line.step) for line in program.lines]
        is_seeded = any("rand_seed1" in text for text in texts)
        numbers = "" if is_seeded else str(self.plays)
        return Played([[(text + (numbers if "RAND()" in text else "")).encode()] for text in texts], {})

    def play(self, program: Program) -> tuple[Played, Played]:
        texts = [str(line.step) for line in program.lines]
        direct = self.play_directly(program)
        first, second = "SET @a = 9", "SELECT @a"
        set_at = next((number for number, text in enumerate(texts) if first in text), len(texts))
        proxied = [
            [b"wrong"] if second in text and at > set_at else [text.encode()] for at, text in enumerate(texts)
        ]
        return direct, Played(proxied, {})


def test_what_differs_is_shrunk_to_the_steps_that_matter() -> None:
    leaky = object.__new__(Leaky)
    program = selecting("SELECT 1", "SET @a = 9", "SELECT 2", "SELECT 3", "SELECT @a", "SELECT 4")
    difference = found_difference(leaky, program)
    assert difference is not None and difference.position == 4
    small, difference = shrunk(leaky, program, difference)
    assert small == selecting("SET @a = 9", "SELECT @a")
    assert (difference.position, difference.got) == (1, ["b'wrong'"])


def test_what_two_direct_connections_would_not_answer_the_same_is_no_smaller_program() -> None:
    leaky = object.__new__(Leaky)
    program = selecting("SET rand_seed1 = 5", "SET @a = 9", "SELECT RAND()", "SELECT @a + RAND()")
    difference = found_difference(leaky, program)
    assert difference is not None
    small, _ = shrunk(leaky, program, difference)
    assert small == selecting("SET rand_seed1 = 5", "SET @a = 9", "SELECT @a + RAND()")


def preparing(text: str) -> Program:
    lines = (Line("prepare", Prepare("a", text)), Line("drop", Query("DROP TABLE IF EXISTS x")))
    return Program("prepared", "mysql", "tracking", None, lines)


@pytest.mark.parametrize(
    ("text", "changes", "warnings", "is_found"),
    [
        ("CALL twin.begins()", SessionChanges(schema=b""), 0, False),
        ("CALL twin.begins()", SessionChanges(schema=b""), 1, True),
        ("CALL twin.begins()", SessionChanges([(b"time_zone", b"SYSTEM")]), 0, True),
        ("SELECT 1", SessionChanges(schema=b""), 0, True),
    ],
)
def test_a_routine_that_was_loaded_excuses_no_other_difference(
    text: str, changes: SessionChanges, warnings: int, is_found: bool
) -> None:
    direct = Played([[b"\0"], [build_ok(status=2, changes=changes)]], {})
    proxied = Played([[b"\0"], [build_ok(status=2, warnings=warnings)]], {})
    assert (comparison.difference(preparing(text), direct, proxied) is not None) is is_found


@pytest.mark.parametrize("code", [1105, 1054])
def test_only_a_refusal_excuses_what_follows_a_condition_by_a_variable(code: int) -> None:
    program = selecting("GET DIAGNOSTICS CONDITION @n @x = MYSQL_ERRNO", "SELECT @x")
    answers = [[build_err(code, b"HY000", b"no")], [b"1"]]
    found = comparison.difference(program, Played([[b"\0"], [b"2"]], {}), Played(answers, {}))
    assert (found is None) is (code == 1105)


# The grammar


def test_the_corpus_has_every_kind_of_the_grammar() -> None:
    for server in ("mysql", "mariadb"):
        seen = {line.kind for program in CORPUS if program.is_for(server) for line in program.lines}
        assert {rule.name for rule in kinds_for(server)} - seen == set()


def test_the_corpus_has_300_programs_of_all_clients() -> None:
    assert len(CORPUS) == 300
    assert len({program.name for program in [*CORPUS, *REGRESSIONS]}) == len(CORPUS) + len(REGRESSIONS)
    assert {program.client for program in CORPUS} == set(CLIENTS)
    assert all(2 <= len(program.lines) <= 40 for program in CORPUS)


@pytest.mark.parametrize("server", ["mysql", "mariadb", "both"])
def test_a_number_always_gives_the_same_program(server: str) -> None:
    assert [written(seeded(seed, server)) for seed in range(20)] == [
        written(seeded(seed, server)) for seed in range(20)
    ]


def test_programs_can_be_written_down() -> None:
    programs = [seeded(seed, "both") for seed in range(100)]
    assert read("[" + ",".join(written(program) for program in programs) + "]") == programs


def test_most_commands_succeed(server: Server, stage: Stage) -> None:
    answers = [
        answer
        for program in CORPUS[:25]
        if program.is_for(server.kind)
        for answer in stage.play(program)[0].answers
        if answer
    ]
    failed = [answer for answer in answers if answer[-1][:1] == b"\xff"]
    assert len(failed) < len(answers) * 0.2


@pytest.mark.parametrize("server", ["mysql", "mariadb"])
def test_programs_for_readers_are_full_of_read_only_transactions(server: str) -> None:
    programs = [seeded(seed, server, variant) for variant in VARIANTS for seed in range(50)]
    beginning = [
        program
        for program in programs
        if any("READ ONLY" in str(line.step).upper() for line in program.lines)
    ]
    assert len(beginning) > len(programs) * 0.7
    seen = {line.kind for program in programs for line in program.lines}
    assert {rule.name for rule in kinds_for(server, has_readers=True) if rule.is_for_readers} - seen == set()


def test_what_readers_do_is_written_down_too() -> None:
    programs = [seeded(seed, "both", variant) for variant in VARIANTS for seed in range(10)]
    assert read("[" + ",".join(written(program) for program in programs) + "]") == programs
