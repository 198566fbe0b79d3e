"""How many cores this process may use: what `workers = "auto"` means."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Final

CPU_MAX: Final = Path("/sys/fs/cgroup/cpu.max")
"""What a container may use at most (Linux documentation, "Control Group v2", cpu.max): microseconds in so many, or "max"."""


def cores(cpu_max: Path = CPU_MAX) -> int:
    """Cores, at least one: those that the process may run on, and no more than its container's part of them, rounded up."""
    count = len(os.sched_getaffinity(0))
    try:
        quota, period = cpu_max.read_text().split()
        return max(1, min(count, math.ceil(int(quota) / int(period))))
    except (OSError, ValueError, ZeroDivisionError):
        return count
