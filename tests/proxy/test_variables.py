"""User variables: names, what to ask, what the answers mean, how values are written."""

from __future__ import annotations

import pytest

from protocol.packets import Column
from proxy.variables import (
    CAPTURED,
    CAPTURING,
    KEEPS_VARIABLES,
    UserVariables,
    VariablesKeeper,
    assigned,
    capture_command,
    name_of,
    overwrites,
    restore_command,
    with_others,
)
from tests.fakes.responses import rows, wire

LONGLONG, DOUBLE, NEWDECIMAL, LONG_BLOB, VAR_STRING, GEOMETRY = 8, 5, 246, 251, 253, 255
UNSIGNED = 0x20
NUMBER = b"binary"


def answer(*found: tuple[Column, bytes | None, bytes | None, bytes | None]) -> bytes:
    """The answer to `capture_command`: for each name the column's definition, value, collation and HEX()."""
    columns: list[Column] = []
    row: list[bytes | None] = []
    for column, value, collation, hexed in found:
        columns += [column, Column(b"collation"), Column(b"hex")]
        row += [value, collation, hexed]
    return wire(rows(row, columns=columns))


def number(
    kind: int, value: bytes | None, flags: int = 0
) -> tuple[Column, bytes | None, bytes | None, bytes | None]:
    return Column(b"@a", kind, collation=63, flags=flags), value, NUMBER, b"not used"


def string(collation: bytes, value: bytes | None) -> tuple[Column, bytes | None, bytes | None, bytes | None]:
    hexed = None if value is None else value.hex().upper().encode()
    return Column(b"@a", LONG_BLOB, length=1 << 26), value, collation, hexed


def never(kind: int, length: int) -> tuple[Column, bytes | None, bytes | None, bytes | None]:
    return Column(b"@a", kind, collation=63, length=length), None, b"binary", None


def keeper(*names: bytes) -> VariablesKeeper:
    """A session that may have assigned these."""
    made = VariablesKeeper()
    made.variables = UserVariables(names, None)
    return made


def written(found: tuple[Column, bytes | None, bytes | None, bytes | None]) -> str | None:
    """How the value of @a is written; None when it cannot be moved."""
    session = keeper(b"a")
    if session.variables_captured(answer(found), 1 << 20, False) == KEEPS_VARIABLES:
        return None
    assert session.variables is not None
    return restore_command(session.variables).decode().removeprefix("\x03SET @`a`=")


# Names


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (b"@a", b"a"),
        (b"@A.b$C_1", b"a.b$c_1"),
        (b"@`A b`", b"a b"),
        (b"@'a''b'", b"a'b"),
        (b'@"x"', b"x"),
        (b"@a'b'", b"a"),
        (b"@", b""),
        (b"@''", b""),
        (b"@``", b""),
        (b"@" + b"x" * 64, b"x" * 64),
        (b"@" + b"x" * 65, None),
        ("@ä".encode(), None),
        (b"@`a `", None),
        (b"@` a`", None),
        (b"@`a``b`", None),
        (b"@'a\\\\b'", None),
    ],
)
def test_names_are_compared_in_lower_case_without_quotes(text: bytes, name: bytes | None) -> None:
    assert name_of(text, True) == name


def test_a_backslash_in_a_name_is_read_as_in_strings() -> None:
    assert name_of(b"@'a\\b'", True) is None
    assert name_of(b"@'a\\x'", True) == b"ax"
    assert name_of(b"@'a\\x'", False) is None


# What is asked


def test_all_is_asked_for_at_once_and_nothing_is_answered_when_it_is_too_much() -> None:
    assert capture_command(UserVariables((b"a", b"b c"), None), 100) == (
        b"\x03SELECT @`a`,COLLATION(@`a`),HEX(CONCAT(_binary'',@`a`)),"
        b"@`b c`,COLLATION(@`b c`),HEX(CONCAT(_binary'',@`b c`))"
        b" HAVING COALESCE(LENGTH(@`a`),0)+COALESCE(LENGTH(@`b c`),0)<=100 LIMIT 1"
    )


def test_assigning_makes_the_values_unknown() -> None:
    first = assigned(None, (b"a",))
    second = assigned(UserVariables((b"a",), {b"a": b"@`a`=1"}), (b"b", b"a"))

    assert (first.names, first.values) == ((b"a",), None)
    assert (second.names, second.values) == ((b"a", b"b"), None)


# Values


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (number(LONGLONG, b"5"), "5"),
        (number(LONGLONG, b"-9223372036854775808"), "-9223372036854775808"),
        (number(LONGLONG, b"5", UNSIGNED), "CAST(5 AS UNSIGNED)"),
        (number(LONGLONG, b"\0-\x007"), "-7"),
        (number(LONGLONG, None), "0,@`a`=NULL"),
        (number(LONGLONG, None, UNSIGNED), "CAST(0 AS UNSIGNED),@`a`=NULL"),
        (number(NEWDECIMAL, b"1.50"), "1.50"),
        (number(NEWDECIMAL, b"-3"), "-3."),
        (number(NEWDECIMAL, b"9" * 66), None),
        (number(NEWDECIMAL, None), "0.,@`a`=NULL"),
        (number(DOUBLE, b"1"), "1e0"),
        (number(DOUBLE, b"-0"), "-0e0"),
        (number(DOUBLE, b"-1.5e-7"), "-1.5e-7"),
        (number(DOUBLE, None), "0e0,@`a`=NULL"),
        (number(GEOMETRY, b"\0\0"), None),
        (string(b"latin1_bin", b"\xff"), "_latin1 x'FF' COLLATE latin1_bin"),
        (string(b"utf8mb4_0900_ai_ci", "é".encode()), "_utf8mb4 x'C3A9' COLLATE utf8mb4_0900_ai_ci"),
        (string(b"utf8mb4_bin", b"\xff"), None),
        (string(b"ucs2_bin", b"\0A"), "_ucs2 x'0041' COLLATE ucs2_bin"),
        (string(b"sjis_bin", b"ab"), "_sjis x'6162' COLLATE sjis_bin"),
        (string(b"sjis_bin", b"\x81\x40"), None),
        (string(b"binary", b"\0\xff"), "_binary x'00FF'"),
        (string(b"binary", b""), "_binary x''"),
        (string(b"latin1_bin", None), "_latin1 x'' COLLATE latin1_bin,@`a`=NULL"),
        (string(b"strange name", b"x"), None),
        ((Column(b"@a", LONG_BLOB), b"x", b"binary", None), None),
    ],
)
def test_values_are_written_so_that_type_and_bytes_come_back(
    found: tuple[Column, bytes | None, bytes | None, bytes | None], text: str | None
) -> None:
    assert written(found) == text


@pytest.mark.parametrize(("kind", "length"), [(VAR_STRING, 65532), (LONG_BLOB, 1 << 24)])
def test_a_variable_that_never_was_is_forgotten(kind: int, length: int) -> None:
    session = keeper(b"a", b"b")

    assert (
        session.variables_captured(answer(never(kind, length), number(LONGLONG, b"1")), 100, False)
        == CAPTURED
    )
    assert session.variables is not None
    assert session.variables.names == (b"b",)
    assert session.variables_captured(answer(never(kind, length)), 100, False) == CAPTURED
    assert session.variables is None


def test_a_null_that_was_assigned_is_kept() -> None:
    assert written(never(LONG_BLOB, (1 << 24) - 1)) == "_binary x'',@`a`=NULL"


def test_no_row_means_too_much() -> None:
    empty = wire(rows(columns=[Column(b"@a"), Column(b"collation"), Column(b"hex")]))

    assert keeper(b"a").variables_captured(empty, 100, False) == KEEPS_VARIABLES


def test_what_is_kept_is_bounded() -> None:
    value = string(b"latin1_bin", b"x" * 40)

    assert keeper(b"a").variables_captured(answer(value), 100, False) == KEEPS_VARIABLES
    assert keeper(b"a").variables_captured(answer(value), 200, False) == CAPTURED


# MariaDB and the sign of zero


def test_mariadb_is_asked_for_the_signs_of_zeros() -> None:
    session = keeper(b"a", b"b", b"c")
    found = answer(number(DOUBLE, b"0"), number(DOUBLE, b"0"), number(LONGLONG, b"0"))

    assert session.variables_captured(found, 100, True) == CAPTURING
    assert session.zeros_commands() == [b"\x03SELECT ATAN2(@`a`,-1)<0,ATAN2(@`b`,-1)<0 LIMIT 1"]
    session.signs_known(wire(rows([b"1", b"0"])))
    assert session.zeros_commands() == []
    assert session.variables is not None
    assert restore_command(session.variables) == b"\x03SET @`a`=-0e0,@`b`=0e0,@`c`=0"


def test_mysql_shows_the_signs_of_zeros() -> None:
    assert keeper(b"a").variables_captured(answer(number(DOUBLE, b"0")), 100, False) == CAPTURED


# What is on a backend


def known(*names: bytes) -> UserVariables:
    return UserVariables(names, {name: b"@`" + name + b"`=1" for name in names})


def test_a_backend_without_variables_takes_any() -> None:
    assert overwrites(None, None)
    assert overwrites(known(b"a"), None)


def test_variables_of_another_session_go_only_if_all_are_overwritten() -> None:
    assert overwrites(known(b"a", b"b"), UserVariables((b"a",), None))
    assert not overwrites(known(b"b"), known(b"a"))
    assert not overwrites(None, known(b"a"))
    assert not overwrites(UserVariables((b"a",), None), known(b"a"))


# Names that only the backend knows


def names(*found: bytes) -> bytes:
    return wire(rows(*[[name.hex().upper().encode()] for name in found]))


def test_others_are_there_until_they_are_asked_for() -> None:
    known = UserVariables((b"a",), {b"a": b"@`a`=1"})
    made = with_others(known)

    assert (made.names, made.values, made.has_others) == ((b"a",), None, True)
    assert with_others(None).names == ()
    assert assigned(made, (b"b",)).has_others
    assert not overwrites(known, made)


def test_there_may_be_no_others() -> None:
    session = keeper()
    assert session.names_captured(names()) == CAPTURED
    assert session.variables is None


def test_the_values_of_others_are_asked_for() -> None:
    session = keeper()
    assert session.names_captured(names(b"Leak", b"a b")) == CAPTURING
    assert session.variables is not None
    assert (session.variables.names, session.variables.has_others) == ((b"leak", b"a b"), False)


@pytest.mark.parametrize(
    "answer", [None, names("ä".encode()), names(b""), names(b"a`b"), names(*[b"v%d" % i for i in range(65)])]
)
def test_others_that_cannot_be_named_stay(answer: bytes | None) -> None:
    assert keeper().names_captured(answer) == KEEPS_VARIABLES
