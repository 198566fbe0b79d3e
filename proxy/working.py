"""Where the process of a worker begins (`python -m proxy.working`): it ignores the signals that end a proxy, and then takes its time for imports."""

from __future__ import annotations

import signal
import sys

if __name__ == "__main__":
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    # of the module and not of `__main__`, for `Start` is told by its module's name
    from proxy.worker import main

    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
