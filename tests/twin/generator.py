"""Writes session programs. The same numbers give the same program: `program(Random(seed), ...)`.

Each program uses a few kinds of the grammar only (swarm testing), and so meets the ways in which those few act upon each other; a
program that does everything is pinned after three steps.
"""

from __future__ import annotations

import random
from typing import Final

from tests.twin import (
    charsets,
    conversation,
    forms,
    logins,
    prepared,
    read_only,
    settings,
    streams,
    tables,
    transactions,
)
from tests.twin.draft import RULES, Draft, Rule
from tests.twin.programs import CLIENTS, SCHEMA, Program

GRAMMAR: Final = (
    charsets,
    conversation,
    forms,
    logins,
    prepared,
    read_only,
    settings,
    streams,
    tables,
    transactions,
)
"""Modules whose kinds are known because they were imported."""

SHORTEST: Final = 2
LONGEST: Final = 40
NEEDS: Final = {
    "execute": "prepare",
    "fetch": "execute_with_cursor",
    "close": "prepare",
    "reset_statement": "prepare",
    "execute_text": "prepare_text",
    "deallocate": "prepare_text",
    "drop_temporary": "create_temporary",
    "rename_temporary": "create_temporary",
    "drop_several": "create_temporary_from",
    "end": "begin",
    "chain": "begin",
    "to_savepoint": "savepoint",
    "release_lock": "get_lock",
    "several": "set_option",
}
"""Kinds that make no sense without another."""
LAST: Final = ("release", "kill_self", "change_user_refused", "completion_releases")
"""Kinds that end the session."""
READING: Final = ("begin_read_only", "end_read_only", "read_only_session", "reads")
"""Kinds of every program for a Fanin with readers."""
UNREPLICATED: Final = {"mariadb": ("temporary_forms",)}
"""Kinds that stop a replica by themselves: RENAME TABLE of a temporary table is in the binary log, and the table is not."""
QUESTIONS: Final = (
    "insert_id",
    "row_count",
    "found_rows",
    "warnings",
    "read_variables",
    "select",
    "read_user_variable",
)


def kinds_for(server: str, has_readers: bool = False) -> list[Rule]:
    """The kinds that every server of this kind ("both": of either) has."""
    return [
        rule
        for rule in RULES.values()
        if rule.server in ("both", server) and (has_readers or not rule.is_for_readers)
    ]


def program(numbers: random.Random, name: str, server: str, readers: str = "") -> Program:
    """One program for "mysql", "mariadb" or "both", maybe for a Fanin with readers."""
    client = numbers.choice(list(CLIENTS))
    schema = None if numbers.random() < 0.1 else SCHEMA
    draft = Draft(numbers, server, client, schema)
    rules = _swarm_of_readers(numbers, server) if readers else _swarm(numbers, server)
    wanted = numbers.randint(SHORTEST, numbers.choice((8, 15, 25, LONGEST)))
    while len(draft.lines) < wanted and not draft.is_over:
        rule = numbers.choices(rules, [_weight(each) for each in rules])[0]
        draft.kind = rule.name
        rule.write(draft)
    return Program(name, server, client, schema, tuple(draft.lines[:LONGEST]), readers)


def _weight(rule: Rule) -> int:
    # what was chosen for a program shall come up in it, however rare it is among all
    return rule.weight if rule.name in LAST else max(rule.weight, 8)


def _swarm(numbers: random.Random, server: str) -> list[Rule]:
    """The kinds of one program: some at random, and some questions."""
    rules = kinds_for(server)
    return rules if numbers.random() < 0.15 else _chosen(numbers, rules, numbers.randint(3, 12))


def _swarm_of_readers(numbers: random.Random, server: str) -> list[Rule]:
    """The same, and read-only transactions around all of that."""
    rules = [
        rule for rule in kinds_for(server, has_readers=True) if rule.name not in UNREPLICATED.get(server, ())
    ]
    if numbers.random() < 0.1:
        return rules
    own = [rule for rule in rules if rule.is_for_readers]
    others = [rule for rule in rules if not rule.is_for_readers]
    always = [RULES[name] for name in READING]
    return [
        *always,
        *numbers.sample(own, numbers.randint(1, 4)),
        *_chosen(numbers, others, numbers.randint(1, 8)),
    ]


def _chosen(numbers: random.Random, rules: list[Rule], count: int) -> list[Rule]:
    chosen = numbers.sample(rules, count)
    questions = [RULES[name] for name in numbers.sample(QUESTIONS, numbers.randint(1, 4))]
    chosen += [RULES[NEEDS[rule.name]] for rule in chosen if rule.name in NEEDS]
    # some command that can always be written
    return [*chosen, *questions, RULES["select"]]


def seeded(seed: int, server: str, readers: str = "") -> Program:
    """The program of a number."""
    name = f"{readers or 'seed'} {seed}"
    numbers = random.Random(" ".join(filter(None, (server, readers, str(seed)))))
    return program(numbers, name, server, readers)
