"""The oracle on MySQL with readers behind Fanin: nobody can tell that some of a program ran on a replica.

A file for each server, so that processes of the same run can share the work.
"""

from __future__ import annotations

import pytest

from tests.twin.generator import seeded
from tests.twin.hunt import found_difference
from tests.twin.programs import Program, playable
from tests.twin.readers import VARIANTS
from tests.twin.stage import Stage

pytestmark = pytest.mark.mysql
PROGRAMS = [seeded(seed, "mysql", variant) for variant in VARIANTS for seed in range(10)]


@pytest.mark.parametrize("reader_stage", ["mysql"], indirect=True)
@pytest.mark.parametrize(
    "program", [*playable("mysql", has_readers=True), *PROGRAMS], ids=lambda program: program.name
)
def test_nobody_can_tell(program: Program, reader_stage: Stage) -> None:
    difference = found_difference(reader_stage, program)
    assert difference is None, difference.report(program)
