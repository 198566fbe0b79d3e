"""Looks for differences until the time is over: `python -m tests.twin.hunt MINUTES [mysql|mariadb]`.

Each one is shrunk by leaving steps out, and kept as a regression program.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from bench.servers import KINDS
from tests.integration.running import Fanin
from tests.servers import steady
from tests.twin import comparison, generator
from tests.twin.comparison import Difference
from tests.twin.programs import REGRESSIONS, Line, Program, write
from tests.twin.stage import POOL, NeighbourError, Stage


def found_difference(stage: Stage, program: Program) -> Difference | None:
    """Play a program; a neighbour that suffered is a difference, too."""
    try:
        direct, proxied = stage.play(program)
    except NeighbourError as error:
        return Difference(len(program.lines) - 1, [], [f"{error}: {error.__cause__!r}"])
    return comparison.difference(program, direct, proxied)


def is_steady(stage: Stage, program: Program) -> bool:
    """Whether two direct connections are answered the same: what has lost its `SET rand_seed1` differs by itself."""
    first, second = stage.play_directly(program), stage.play_directly(program)
    return comparison.difference(program, first, second) is None


def shrunk(stage: Stage, program: Program, difference: Difference) -> tuple[Program, Difference]:
    """The program with steps left out as long as something still differs."""
    lines: Sequence[Line] = program.lines[: difference.position + 1]
    size = max(1, len(lines) // 2)
    while True:
        begin = 0
        is_smaller = False
        while begin < len(lines):
            candidate = [*lines[:begin], *lines[begin + size :]]
            smaller = program.with_lines(candidate)
            found = found_difference(stage, smaller) if candidate else None
            if found is not None and is_steady(stage, smaller):
                lines, difference = candidate[: found.position + 1], found
                is_smaller = True
            else:
                begin += size
        if size == 1 and not is_smaller:
            return program.with_lines(lines), difference
        size = max(1, size // 2)


def hunt(kind: str, seeds: Iterable[int], until: float, folder: Path) -> int:
    """Play programs against one kind of server; how many differed."""
    count = played = 0
    began = time.monotonic()
    with steady(kind) as server, Fanin(server, pool=POOL) as fanin:
        stage = Stage(server, fanin)
        for seed in seeds:
            if time.monotonic() > until:
                break
            program = generator.seeded(seed, kind)
            played += 1
            try:
                difference = found_difference(stage, program)
            except OSError:
                print(f"{kind} {program.name}: no answer", flush=True)
                raise
            if difference is None:
                continue
            count += 1
            small, difference = shrunk(stage, program, difference)
            again = found_difference(stage, small)
            print(
                f"--- {kind}{'' if again else ' (not the second time)'}\n{difference.report(small)}",
                flush=True,
            )
            write(folder / f"{kind}-{seed}.json", [small])
        stage.__exit__()
    seconds = time.monotonic() - began
    print(f"{kind}: {played} programs in {seconds:.0f} s, {count} differed", flush=True)
    return count


def main(arguments: Sequence[str]) -> int:
    """MINUTES [SERVER [SEED [FOLDER]]]; the exit status is 1 if anything differed."""
    minutes = float(arguments[0]) if arguments else 1.0
    kinds = [arguments[1]] if len(arguments) > 1 and arguments[1] else sorted(KINDS)
    first = int(arguments[2]) if len(arguments) > 2 else random.randrange(1_000_000, 1_000_000_000)
    folder = Path(arguments[3]) if len(arguments) > 3 else REGRESSIONS
    folder.mkdir(exist_ok=True)
    count = 0
    for kind in kinds:
        print(f"{kind}: from seed {first}", flush=True)
        until = time.monotonic() + minutes * 60 / len(kinds)
        count += hunt(kind, range(first, sys.maxsize), until, folder)
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
