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
    settings,
    streams,
    tables,
    transactions,
)
from tests.twin.draft import RULES, Draft, Rule
from tests.twin.programs import CLIENTS, SCHEMA, Program

GRAMMAR: Final = (charsets, conversation, forms, logins, prepared, settings, streams, tables, transactions)
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
QUESTIONS: Final = (
    "insert_id",
    "row_count",
    "found_rows",
    "warnings",
    "read_variables",
    "select",
    "read_user_variable",
)


def kinds_for(server: str) -> list[Rule]:
    """The kinds that every server of this kind ("both": of either) has."""
    return [rule for rule in RULES.values() if rule.server in ("both", server)]


def program(numbers: random.Random, name: str, server: str) -> Program:
    """One program for "mysql", "mariadb" or "both"."""
    client = numbers.choice(list(CLIENTS))
    schema = None if numbers.random() < 0.1 else SCHEMA
    draft = Draft(numbers, server, client, schema)
    rules = _swarm(numbers, server)
    wanted = numbers.randint(SHORTEST, numbers.choice((8, 15, 25, LONGEST)))
    while len(draft.lines) < wanted and not draft.is_over:
        rule = numbers.choices(rules, [_weight(each) for each in rules])[0]
        draft.kind = rule.name
        rule.write(draft)
    return Program(name, server, client, schema, tuple(draft.lines[:LONGEST]))


def _weight(rule: Rule) -> int:
    # what was chosen for a program shall come up in it, however rare it is among all
    return rule.weight if rule.name in LAST else max(rule.weight, 8)


def _swarm(numbers: random.Random, server: str) -> list[Rule]:
    """The kinds of one program: some at random, and some questions."""
    rules = kinds_for(server)
    if numbers.random() < 0.15:
        return rules
    chosen = numbers.sample(rules, numbers.randint(3, 12))
    questions = [RULES[name] for name in numbers.sample(QUESTIONS, numbers.randint(1, 4))]
    chosen += [RULES[NEEDS[rule.name]] for rule in chosen if rule.name in NEEDS]
    # some command that can always be written
    return [*chosen, *questions, RULES["select"]]


def seeded(seed: int, server: str) -> Program:
    """The program of a number."""
    return program(random.Random(f"{server} {seed}"), f"seed {seed}", server)
