"""The oracle on MariaDB: session programs are answered by a paranoid Fanin as by a direct connection, byte for byte.

A file for each server, so that processes of the same run can share the work.
"""

from __future__ import annotations

import pytest

from tests.twin.hunt import found_difference
from tests.twin.programs import Program, playable
from tests.twin.stage import Stage


@pytest.mark.parametrize("server", ["mariadb"], indirect=True)
@pytest.mark.parametrize("program", playable("mariadb"), ids=lambda program: program.name)
def test_nobody_can_tell(program: Program, stage: Stage) -> None:
    difference = found_difference(stage, program)
    assert difference is None, difference.report(program)
