"""Compares what two connections answered: whole payloads, but for what differs for the servers' own reasons (`comparable`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tests.integration.answers import comparable, told
from tests.twin.exceptions import KNOWN, is_only_planned_otherwise, neutral
from tests.twin.programs import Program
from tests.twin.reader_exceptions import KNOWN_WITH_READERS
from tests.twin.stage import Played

ALL_KNOWN: Final = (*KNOWN, *KNOWN_WITH_READERS)


@dataclass(frozen=True)
class Difference:
    """The first step whose answers differ; the number of steps when only the content afterwards does."""

    position: int
    wanted: list[str]
    got: list[str]

    def report(self, program: Program) -> str:
        """For people: the program up to the difference, and the two answers."""
        lines = [f"{program.name} ({program.server}, {program.client}, schema {program.schema})"]
        for number, line in enumerate(program.lines[: self.position + 1]):
            lines.append(f"  {number}. {line.kind}: {line.step}")
        if self.position == len(program.lines):
            lines.append("  the content afterwards:")
        lines.append("  direct connection:")
        lines += [f"    {each}" for each in self.wanted]
        lines.append("  through Fanin:")
        lines += [f"    {each}" for each in self.got]
        return "\n".join(lines)


def difference(program: Program, direct: Played, proxied: Played) -> Difference | None:
    """The first one, None if there is none but known ones."""
    capabilities = program.capabilities
    for position, (wanted, got) in enumerate(zip(direct.answers, proxied.answers, strict=False)):
        plain = [
            [neutral(comparable(payload, capabilities)) for payload in answer] for answer in (wanted, got)
        ]
        if plain[0] == plain[1] or is_only_planned_otherwise(program, position, *plain):
            continue
        known = [
            each
            for each in ALL_KNOWN
            if each.is_all(*plain) and each.holds(program, position, proxied.answers)
        ]
        if not known:
            return Difference(position, *[[told(each, capabilities) for each in answer] for answer in plain])
        if not all(each.is_by_itself for each in known):
            return None
    if direct.dump != proxied.dump and not _has_known_content(program, proxied):
        return Difference(len(program.lines), *_contents(direct, proxied))
    return None


def _has_known_content(program: Program, proxied: Played) -> bool:
    known = [each for each in ALL_KNOWN if each.is_in_content]
    return any(each.holds(program, at, proxied.answers) for at in range(len(program.lines)) for each in known)


def _contents(direct: Played, proxied: Played) -> tuple[list[str], list[str]]:
    names = sorted({*direct.dump, *proxied.dump})
    changed = [name for name in names if direct.dump.get(name) != proxied.dump.get(name)]
    return tuple([f"{name}: {side.dump.get(name)!r}" for name in changed] for side in (direct, proxied))  # type: ignore[return-value]
