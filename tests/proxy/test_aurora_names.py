"""Host names of Aurora."""

from __future__ import annotations

import pytest

from proxy.aurora_names import AuroraName, aurora_name, instance_host, is_of_readers

REST = "c7tj4example.us-east-1.rds.amazonaws.com"


@pytest.mark.parametrize(
    ("host", "is_seed"),
    [
        (f"prod.cluster-{REST}", True),
        (f"prod.cluster-ro-{REST}", True),
        (f"batch.cluster-custom-{REST}", True),
        (f"db-1.{REST}", False),
        (f"PROD.Cluster-{REST.upper()}", True),
        (f"db-1.{REST}.", False),
    ],
)
def test_each_name_knows_where_the_instances_are(host: str, is_seed: bool) -> None:
    assert aurora_name(host) == AuroraName(is_seed, f"?.{REST}")


@pytest.mark.parametrize(
    ("host", "is_of_readers_or_groups"),
    [
        (f"prod.cluster-{REST}", False),
        (f"prod.cluster-ro-{REST}", True),
        (f"batch.CLUSTER-custom-{REST}", True),
        (f"db-1.{REST}", False),
        ("db.example.com", False),
    ],
)
def test_some_names_lead_elsewhere_each_time(host: str, is_of_readers_or_groups: bool) -> None:
    assert is_of_readers(host) is is_of_readers_or_groups


def test_so_it_is_in_china() -> None:
    assert aurora_name(f"prod.cluster-{REST}.cn") == AuroraName(True, f"?.{REST}.cn")


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "db", "db.example.com", REST, f"a.b.cluster-{REST}", f"prod.cluster-{REST}.evil.example"],
)
def test_other_names_say_nothing(host: str) -> None:
    assert aurora_name(host) is None


def test_an_instance_is_found_by_its_name() -> None:
    assert instance_host(f"?.{REST}", "db-2") == f"db-2.{REST}"


@pytest.mark.parametrize("server_id", ["", "a.b", "db 2", "x" * 64, "?"])
def test_what_is_no_name_of_an_instance_is_nowhere(server_id: str) -> None:
    assert instance_host(f"?.{REST}", server_id) is None
