"""Looks for differences until the time is over: `python -m tests.twin.hunt MINUTES [mysql|mariadb [SEED [FOLDER]]] [--readers]`.

Each one is shrunk by leaving steps out, and kept as a regression program. With readers behind Fanin (`--readers`, or READERS=1) each program has the
next of `readers.VARIANTS`.
"""

from __future__ import annotations

import contextlib
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from bench.servers import KINDS
from tests.integration.running import Fanin
from tests.servers import steady, steady_cluster
from tests.twin import comparison, generator
from tests.twin.comparison import Difference
from tests.twin.programs import REGRESSIONS, Line, Program, write
from tests.twin.readers import VARIANTS, ReaderError, Replicas, with_readers
from tests.twin.stage import POOL, NeighbourError, Stage

READERS: Final = "--readers"


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


@contextlib.contextmanager
def alone(kind: str) -> Iterator[Stage]:
    """A server by itself behind Fanin."""
    with steady(kind) as server, Fanin(server, pool=POOL) as fanin, Stage(server, {"": fanin}) as stage:
        yield stage


@contextlib.contextmanager
def among_readers(kind: str) -> Iterator[Stage]:
    """A cluster behind a Fanin for each variant."""
    with contextlib.ExitStack() as exits:
        cluster = exits.enter_context(steady_cluster(kind))
        replicas = exits.enter_context(contextlib.closing(Replicas(cluster)))
        fanins = {
            variant: exits.enter_context(with_readers(cluster, variant, pool=POOL)) for variant in VARIANTS
        }
        yield exits.enter_context(Stage(cluster.writer, fanins, replicas))


class Hunt:
    """Programs one after the other against one kind of server, until a time."""

    def __init__(self, kind: str, first: int, until: float, folder: Path) -> None:
        self.kind = kind
        self.seed = first
        self.until = until
        self.folder = folder
        self.played: Counter[str] = Counter()
        self.differed: Counter[str] = Counter()

    def run(self, staging: Callable[[str], contextlib.AbstractContextManager[Stage]]) -> int:
        """How many programs differed."""
        began = time.monotonic()
        while time.monotonic() < self.until:
            with contextlib.suppress(ReaderError), staging(self.kind) as stage:
                while time.monotonic() < self.until:
                    self._next(stage)
                for variant, fanin in stage.fanins.items():
                    if variant:
                        print(f"{self.kind} {variant}: placed {fanin.state()['routes']}", flush=True)
        seconds = time.monotonic() - began
        for variant, count in sorted(self.played.items()):
            name = f"{self.kind} {variant}".strip()
            print(
                f"{name}: {count} programs in {seconds:.0f} s, {self.differed[variant]} differed", flush=True
            )
        return self.differed.total()

    def _next(self, stage: Stage) -> None:
        seed, self.seed = self.seed, self.seed + 1
        variant = sorted(stage.fanins)[seed % len(stage.fanins)]
        program = generator.seeded(seed, self.kind, variant)
        self.played[variant] += 1
        try:
            difference = found_difference(stage, program)
        except OSError:
            print(f"{self.kind} {program.name}: no answer", flush=True)
            raise
        except ReaderError as error:
            # nothing can be played any more, not even less of this
            self.differed[variant] += 1
            print(f"--- {self.kind}\n{Difference(len(program.lines), [], [str(error)]).report(program)}")
            self._keep(seed, program)
            raise
        if difference is not None:
            self.differed[variant] += 1
            self._shrink(stage, seed, program, difference)

    def _shrink(self, stage: Stage, seed: int, program: Program, difference: Difference) -> None:
        small, difference = shrunk(stage, program, difference)
        again = found_difference(stage, small)
        print(
            f"--- {self.kind}{'' if again else ' (not the second time)'}\n{difference.report(small)}",
            flush=True,
        )
        self._keep(seed, small)

    def _keep(self, seed: int, program: Program) -> None:
        write(self.folder / f"{self.kind}-{seed}.json", [program])


def main(arguments: Sequence[str]) -> int:
    """MINUTES [SERVER [SEED [FOLDER]]] [--readers]; the exit status is 1 if anything differed."""
    has_readers = READERS in arguments or os.environ.get("READERS", "") not in ("", "0")
    arguments = [each for each in arguments if each != READERS]
    minutes = float(arguments[0]) if arguments else 1.0
    kinds = [arguments[1]] if len(arguments) > 1 and arguments[1] else sorted(KINDS)
    first = int(arguments[2]) if len(arguments) > 2 else random.randrange(1_000_000, 1_000_000_000)
    folder = Path(arguments[3]) if len(arguments) > 3 else REGRESSIONS
    folder.mkdir(exist_ok=True)
    count = 0
    for kind in kinds:
        print(f"{kind}: from seed {first}", flush=True)
        until = time.monotonic() + minutes * 60 / len(kinds)
        count += Hunt(kind, first, until, folder).run(among_readers if has_readers else alone)
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
