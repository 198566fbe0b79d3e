"""An emulated cluster to try things on: python -m tests.fakes.aurora [mysql | mariadb]. Commands are the controls of `Aurora`."""

from __future__ import annotations

import sys
from typing import Final

from bench.servers import ServerError
from tests.fakes.aurora.cluster import FOREVER, Aurora
from tests.fakes.aurora.names import CLUSTER

COMMANDS: Final = (
    "crash revive restart freeze thaw failover set_lag report_lag remove_instance add_instance settle"
)


def main(kind: str) -> int:
    """Run a cluster until the end of the input, one command a line: `failover db-2`, `set_lag db-3 0.5`."""
    with Aurora(kind, interval=1.0) as aurora:
        show(aurora)
        for line in sys.stdin:
            obey(aurora, line.split())
            show(aurora)
    return 0


def obey(aurora: Aurora, words: list[str]) -> None:
    """One command; what is wrong with it is told."""
    if not words or words[0] not in COMMANDS.split():
        print(f"commands: {COMMANDS}", file=sys.stderr)
        return
    name, *rest = words
    arguments = [
        float(each) if each.replace(".", "", 1).isdigit() or each == str(FOREVER) else each for each in rest
    ]
    try:
        getattr(aurora, name)(*arguments)
    except (KeyError, TypeError, ValueError, ServerError) as error:
        print(f"{name}: {error!r}", file=sys.stderr)


def show(aurora: Aurora) -> None:
    """Where everything is."""
    print(
        f"{CLUSTER} is {aurora.names.resolve(CLUSTER)[0]}:{aurora.port}; user app, password app, schema app"
    )
    for name, instance in aurora.instances.items():
        role = "writer" if instance is aurora.writer else "reader"
        print(
            f"  {name}  {role}  {instance.host}:{instance.port}{'' if instance.is_up else '  down'}",
            flush=True,
        )


if __name__ == "__main__":
    sys.exit(main(*(sys.argv[1:] or ["mysql"])))
