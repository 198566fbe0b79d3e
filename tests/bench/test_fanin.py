import json
from argparse import ArgumentParser, Namespace
from pathlib import Path

import pytest

from bench import fanin
from bench.servers import Server
from tests.bench.files import files_in

pytestmark = pytest.mark.usefixtures("quick")


def parsed(tmp_path: Path, *arguments: str) -> Namespace:
    parser = ArgumentParser()
    fanin.add_arguments(parser)
    return parser.parse_args([*files_in(tmp_path, "json", "png"), *arguments])


def test_more_clients_than_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="more files than one process may open"):
        fanin.run(parsed(tmp_path, "--clients", str(1 << 30)))


@pytest.mark.parametrize("workload", ["shop", "idle"])
def test_any_target_can_be_loaded_and_is_left_clean(
    server: Server, workload: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dsn = f"mysql://app:app@{server.host}:{server.port}/app"
    arguments = f"--dsn {dsn} --pid {server.pid} --clients 20 --active 5 --seconds 0.3 --workload {workload}"
    assert fanin.run(parsed(tmp_path, *arguments.split())) == 0
    assert "clients connected" in capsys.readouterr().out
    (outcome,) = json.loads((tmp_path / "json").read_text())["outcomes"]
    assert (outcome["connected"], outcome["errors"]) == (20, {})
    assert outcome["peak"][0] >= 20
    assert outcome["proxy_memory"] > 0
    assert (tmp_path / "png").exists()
    assert server.sql(f"SHOW TABLES FROM app LIKE '{fanin.PREFIX}%%'", []) == []


def test_fanin_shares_few_connections(tmp_path: Path, server: Server) -> None:
    arguments = f"--kind {server.kind} --clients 60 --active 20 --pool-size 5 --seconds 0.5"
    assert fanin.run(parsed(tmp_path, *arguments.split())) == 0
    (outcome,) = json.loads((tmp_path / "json").read_text())["outcomes"]
    assert outcome["connected"] == 60
    assert outcome["peak"][0] <= 5 + 1  # the monitor's
    assert outcome["user_us"] is not None
    assert outcome["sharing"]["leases"] > outcome["sharing"]["pinned_commands"] == 0


def test_sessions_of_frameworks_find_nothing_wrong(tmp_path: Path, server: Server) -> None:
    arguments = f"--kind {server.kind} --clients 30 --active 30 --pool-size 5 --seconds 0.5 --think 0.1 --workload orm"
    assert fanin.run(parsed(tmp_path, *arguments.split())) == 0
    (outcome,) = json.loads((tmp_path / "json").read_text())["outcomes"]
    assert outcome["errors"] == {} and outcome["sharing"]["commands"] > 0
