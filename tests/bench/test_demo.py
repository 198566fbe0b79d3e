import io
import json
from argparse import ArgumentParser, Namespace
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from bench import demo
from bench.client import Target
from bench.workload import Catalogue, Shop
from tests.bench.files import files_in

pytestmark = pytest.mark.usefixtures("quick")


def parsed(tmp_path: Path, *arguments: str) -> Namespace:
    parser = ArgumentParser()
    demo.add_arguments(parser)
    return parser.parse_args([*files_in(tmp_path, "json", "png"), *arguments])


def test_defaults_are_those_of_the_promise(tmp_path: Path) -> None:
    options = parsed(tmp_path)
    assert (options.clients, options.pool_size, options.seconds) == (2000, 40, 15)


def test_pools_of_all_servers_stay_within_the_whole(tmp_path: Path) -> None:
    for size, each in ((40, 13), (3, 1), (1, 1)):
        assert demo.pool_per_server(parsed(tmp_path, "--pool-size", str(size))) == each


def test_clients_are_split_over_the_servers(tmp_path: Path) -> None:
    shop, catalogue, writer = Shop(), Catalogue(), Target("127.0.0.1", 1)
    readers = [Target("127.0.0.1", 2), Target("127.0.0.1", 3)]
    options = parsed(tmp_path, "--clients", "2001", "--active", "201")
    made = demo.groups(shop, catalogue, writer, readers, options)
    assert [(group.target.port, group.clients, group.active) for group in made] == [
        (1, 667, 67),
        (2, 667, 67),
        (3, 667, 67),
    ]
    assert [group.workload for group in made] == [shop, catalogue, catalogue]
    assert demo.split(7, 3) == [3, 2, 2]


def test_steps_tell_how_long_they_took(monkeypatch: pytest.MonkeyPatch) -> None:
    for terminal in (False, True):
        clock = iter([7.0, 19.34])
        monkeypatch.setattr(demo, "time", SimpleNamespace(perf_counter=clock.__next__))
        out = Console(file=io.StringIO(), width=100, force_terminal=terminal)
        with demo.step(out, "start MariaDB"):
            pass
        assert isinstance(out.file, io.StringIO)
        assert "start MariaDB" in out.file.getvalue()
        assert out.file.getvalue().rstrip().endswith(" 12.3 s")


@pytest.mark.parametrize("kind", [pytest.param("mariadb", marks=pytest.mark.mariadb)])
def test_small_demo_runs_without_errors(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = f"--kind {kind} --clients 60 --active 12 --pool-size 6 --seconds 1".split()
    assert demo.run(parsed(tmp_path, *arguments)) == 0
    printed = capsys.readouterr().out
    assert "through Fanin" in printed
    assert "make demo KEEP=1" in printed
    assert all(len(line) <= 100 for line in printed.splitlines())
    through, direct = json.loads((tmp_path / "json").read_text())["outcomes"]
    assert (through["connected"], direct["connected"]) == (60, 60)
    # with the monitor's and one side connection to each server
    assert sum(through["peak"]) - sum(through["before"]) <= 6 + 3 + 3
    assert sum(direct["peak"]) - sum(direct["before"]) >= 60
