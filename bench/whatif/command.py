"""`python -m bench whatif`: which pool size would have been enough for what a Fanin recorded."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from bench.options import add_files
from bench.pages import write
from bench.report import console
from bench.whatif.recorded import Pool, Recorded, load
from bench.whatif.replay import Result, traffic_of
from bench.whatif.report import page, picture, print_answer, write_json
from bench.whatif.search import MOST, answer


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "recording",
        help="a file with the answer of Fanin's page /recording, or that page: 'http://HOST:PORT/recording?seconds=60'",
    )
    parser.add_argument(
        "--wait",
        type=float,
        default=5.0,
        metavar="MS",
        help="longest wait of 99 %% of the leases (default 5)",
    )
    parser.add_argument("--sizes", metavar="N,N", help="values of pool.size to show")
    parser.add_argument(
        "--idle-timeouts", metavar="S,S", help="values of pool.idle_timeout to show, in seconds"
    )
    parser.add_argument("--endpoint", metavar="NAME", help="of these servers only that one")
    parser.add_argument("--seed", type=int, default=1)
    add_files(parser, "whatif", "json", "png", "html")


def run(options: Namespace) -> int:
    """The subcommand. Raises ValueError when there is nothing to replay."""
    sizes = _numbers(options.sizes, "--sizes", MOST)
    idle_timeouts = _numbers(options.idle_timeouts, "--idle-timeouts", 1e9)
    if not options.wait > 0:
        raise ValueError("expected --wait above 0")
    recorded = load(options.recording)
    out = console()
    answers = []
    for pool in _pools(recorded, options.endpoint):
        with out.status("") as status:

            def tried(result: Result, name: str = pool.name) -> None:
                status.update(f"{name}: {result.size} connections")

            found = answer(
                traffic_of(recorded, pool, options.seed),
                wait=options.wait / 1000,
                sizes=None if sizes is None else tuple([int(size) for size in sizes]),
                idle_timeouts=idle_timeouts,
                seed=options.seed,
                tried=tried,
            )
        answers.append(found)
        print_answer(out, recorded, found)
    png = picture(answers)
    write(options.png, png)
    write(options.html, page(recorded, answers, png).encode())
    write_json(options.json, recorded, answers, options.seed)
    out.print(f"Written: {options.json} {options.png} {options.html}", style="dim")
    return 0


def _pools(recorded: Recorded, name: str | None) -> list[Pool]:
    """Those of which anything was recorded."""
    used = [pool for pool in recorded.pools if recorded.sessions_of(pool)]
    chosen = [pool for pool in used if name in (None, pool.name)]
    if not chosen:
        names = ", ".join(pool.name for pool in used)
        raise ValueError(
            f"nothing was recorded of {name}; there are {names}" if used else "no session asked for anything"
        )
    return chosen


def _numbers(text: str | None, option: str, most: float) -> tuple[float, ...] | None:
    if text is None:
        return None
    try:
        found = tuple([float(word) for word in text.split(",")])
    except ValueError:
        found = ()
    if not found or any(not 1 <= value <= most for value in found):
        raise ValueError(f"expected numbers from 1 on behind {option}, got {text!r}")
    return found
