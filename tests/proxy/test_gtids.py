"""GTID sets of MySQL and positions of MariaDB."""

from __future__ import annotations

import pytest

from proxy.gtids import Gtids, parse_gtids

A = "97734610-e62a-11f1-8c87-02fc00000001"
B = "9778bbd4-e62a-11f1-ac61-02fc00000001"


def mysql(text: str) -> Gtids:
    return parse_gtids(text, False)


def mariadb(text: str) -> Gtids:
    return parse_gtids(text, True)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("", ""),
        (f"{A}:1-5", f"{A}:1-5"),
        (f"{A}:7", f"{A}:7"),
        (f"{A}:7-9:1-3:4:11", f"{A}:1-4:7-9:11"),
        (f"{A}:1-5:3-8", f"{A}:1-8"),
        (f"{A}:3-8:4-5", f"{A}:3-8"),
        (f"{B}:1,\n{A}:2", f"{A}:2,{B}:1"),
        (f"{A.upper()}:1", f"{A}:1"),
        (f"{A}:1-2,{A}:3", f"{A}:1-3"),
        (f"{A}:5-4", ""),
        # MySQL 8.3: a tag stands for the intervals after it
        (f"{A}:1-3:blue:1-2:green:5", f"{A}:1-3,{A}:blue:1-2,{A}:green:5"),
    ],
)
def test_mysqls_sets(text: str, canonical: str) -> None:
    assert str(mysql(text)) == canonical
    assert mysql(canonical) == mysql(text)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("", ""),
        ("0-1-2", "0-1-2"),
        ("1-2-50, 0-1-100", "0-1-100,1-2-50"),
        ("0-1-100,0-2-101", "0-2-101"),
        ("0-2-101,0-1-100", "0-2-101"),
    ],
)
def test_mariadbs_positions(text: str, canonical: str) -> None:
    assert str(mariadb(text)) == canonical
    assert mariadb(canonical) == mariadb(text)


@pytest.mark.parametrize(
    "text", ["0-1-2", f"{A}", f"{A}:", f"{A}:1-", f"{A}:-1", f"{A}:a b!", "x:1", f"{A}:1-2-3"]
)
def test_what_is_no_set_of_mysql(text: str) -> None:
    with pytest.raises(ValueError, match="no GTID of MySQL"):
        mysql(text)


@pytest.mark.parametrize("text", ["0-1", "0-1-2-3", "a-b-c", f"{A}:1"])
def test_what_is_no_position_of_mariadb(text: str) -> None:
    with pytest.raises(ValueError, match="no GTID of MariaDB"):
        mariadb(text)


@pytest.mark.parametrize(
    ("whole", "part", "is_contained"),
    [
        (f"{A}:1-5", f"{A}:2-3", True),
        (f"{A}:1-5", f"{A}:5-6", False),
        (f"{A}:1-5", f"{A}:0-1", False),
        (f"{A}:1-5:7-9", f"{A}:8", True),
        (f"{A}:1-5:7-9", f"{A}:5-7", False),
        (f"{A}:1-5", f"{B}:1", False),
        (f"{A}:1-5", f"{A}:blue:1", False),
        (f"{A}:1-5,{B}:1", f"{A}:1,{B}:1", True),
        (f"{A}:1-5", "", True),
        ("", f"{A}:1", False),
    ],
)
def test_whether_a_set_has_all_of_another(whole: str, part: str, is_contained: bool) -> None:
    assert mysql(whole).contains(mysql(part)) is is_contained


@pytest.mark.parametrize(
    ("whole", "part", "is_contained"),
    [
        ("0-1-100", "0-1-99", True),
        ("0-2-100", "0-1-99", True),
        ("0-1-100", "0-1-101", False),
        ("0-1-100", "0-1-100,1-1-1", False),
        ("0-1-100,1-1-1", "0-1-100", True),
    ],
)
def test_within_a_domain_the_last_one_stands_for_all_before(
    whole: str, part: str, is_contained: bool
) -> None:
    assert mariadb(whole).contains(mariadb(part)) is is_contained


def test_unions() -> None:
    assert str(mysql(f"{A}:1-3").union(mysql(f"{A}:4,{B}:1"))) == f"{A}:1-4,{B}:1"
    assert str(mariadb("0-1-5,1-1-1").union(mariadb("0-2-9,2-1-1"))) == "0-2-9,1-1-1,2-1-1"
    assert str(mariadb("0-2-9").union(mariadb("0-1-5"))) == "0-2-9"


def test_sets_compare_by_what_they_hold() -> None:
    assert mysql(f"{A}:1-2") == mysql(f"{A}:1:2") and hash(mysql(f"{A}:1-2")) == hash(mysql(f"{A}:1:2"))
    assert mysql("") != mariadb("") and mysql("") != ""
    assert not mysql("") and mysql(f"{A}:1")
    assert len(mysql(f"{A}:1-3:5,{B}:1")) == 3


def test_a_replica_is_asked_to_wait_in_its_own_words() -> None:
    assert (
        parse_gtids("0-1-7", True).wait_command(0.25)
        == b"\x03SELECT MASTER_GTID_WAIT(_latin1'0-1-7',0.250) LIMIT 1"
    )
    assert parse_gtids(f"{A}:1-3", False).wait_command(0.1) == (
        b"\x03SELECT IF(@@GLOBAL.replica_preserve_commit_order OR @@GLOBAL.replica_parallel_workers<2,"
        b"WAIT_FOR_EXECUTED_GTID_SET(_latin1'" + A.encode() + b":1-3',0.100),2) LIMIT 1"
    )
