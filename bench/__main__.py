"""`python -m bench demo | fanin | compare | fleet | real-fleet | users | whatif`: see README.md in this folder."""

from __future__ import annotations

import signal
import sys
from argparse import ArgumentParser
from types import FrameType

from bench import compare, demo, fanin, users
from bench.client import ClientError
from bench.fanin_process import ProxyError
from bench.fleet import command as fleet
from bench.realfleet import command as realfleet
from bench.servers import ServerError
from bench.whatif import command as whatif

SUBCOMMANDS = {
    "demo": (demo, "2,000 clients on 40 connections of a three-node cluster, then the same directly"),
    "fanin": (fanin, "one load against any target, with a table, JSON and a picture"),
    "compare": (compare, "Fanin, HAProxy and the bare server in turns: CPU per query"),
    "fleet": (fleet, "simulated: 300 sidecars before one server, and what else could be done"),
    "real-fleet": (realfleet, "20 real Fanins before one MySQL with max_connections = 151: bursts, kills"),
    "users": (users, "a user with 5 busy clients beside one with 500, on a pool of 20: what do the 5 wait?"),
    "whatif": (whatif, "replayed: a recording of real leases, with pools of other sizes"),
}


def main(arguments: list[str] | None = None) -> int:
    """Run a subcommand; the exit status is 0, 1 when a client saw an error, 2 when it could not be run at all."""
    parser = ArgumentParser(prog="python -m bench", description="The load that shows what Fanin does.")
    subparsers = parser.add_subparsers(
        dest="subcommand", required=True, metavar="demo|fanin|compare|fleet|real-fleet|users|whatif"
    )
    for name, (module, purpose) in SUBCOMMANDS.items():
        module.add_arguments(
            subparsers.add_parser(name, help=purpose, description=f"{purpose[0].upper()}{purpose[1:]}.")
        )
    options = parser.parse_args(arguments)
    # A shell that starts us in the background has SIGINT ignored, and an event loop does not listen to what is ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, terminate)
    try:
        status: int = SUBCOMMANDS[options.subcommand][0].run(options)
        return status
    except (ServerError, ProxyError, ClientError, ValueError) as error:
        print(f"bench {options.subcommand}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"bench {options.subcommand}: interrupted", file=sys.stderr)
        return 130


def terminate(number: int, frame: FrameType | None) -> None:
    """SIGTERM cleans up as Ctrl-C does: not an exception, which a callback of the event loop would swallow."""
    signal.raise_signal(signal.SIGINT)


if __name__ == "__main__":
    sys.exit(main())
