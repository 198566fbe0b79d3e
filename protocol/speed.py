"""Which of its two speeds this installation runs at."""

from __future__ import annotations

from typing import Final

# This module is compiled with all the others or not at all, so its own file speaks for every hot module.
COMPILED: Final[bool] = __file__.endswith((".so", ".pyd"))
