from __future__ import annotations

import pytest

from proxy import vector as module
from proxy.vector import (
    CHARSET_VARIABLES,
    DENIED,
    NAMES_QUERY,
    NEUTRAL,
    RESULTS_COLLATION,
    Vector,
    differ_only_in,
    ignoring_space,
    is_restorable,
    restore_commands,
    set_by_setup,
    setup_statement,
)

UTF8 = dict(zip(CHARSET_VARIABLES, [b"utf8mb4", b"utf8mb4", b"utf8mb4", b"utf8mb4_bin"], strict=True))
FRESH = Vector.fresh(b"shop", UTF8)
PLAIN = Vector.fresh(b"shop", {})


def after(*reported: tuple[str, str], before: Vector = PLAIN) -> Vector:
    return before.with_variables([(name.encode(), value.encode()) for name, value in reported])


# Equal vectors are the same object


def test_equal_vectors_are_the_same_object() -> None:
    assert Vector.fresh(b"shop", dict(UTF8)) is FRESH
    assert after(("a", "1"), ("b", "2")) is after(("b", "2"), ("a", "1"))
    assert after(("a", "1"), before=after(("a", "2"))) is after(("a", "1"))


def test_every_part_counts() -> None:
    assert PLAIN.with_schema(b"test") is not PLAIN
    assert PLAIN.with_schema(None).with_schema(b"shop") is PLAIN
    assert PLAIN.with_multi_statements(True) is not PLAIN
    assert PLAIN.with_multi_statements(True).with_multi_statements(False) is PLAIN
    assert PLAIN.with_multi_statements(False) is PLAIN
    assert after(("a", "1")) is not PLAIN


def test_a_preparation_does_not_depend_on_what_concerns_transactions() -> None:
    session = after(("autocommit", "OFF"), ("tx_isolation", "SERIALIZABLE"), ("sql_mode", "ANSI"))
    prepared = session.of_preparation()
    backend = after(("autocommit", "ON"), ("lock_wait_timeout", "5"))

    assert prepared is session.of_preparation() is after(("sql_mode", "ANSI"))
    assert prepared.of_preparation() is prepared
    assert prepared.with_transactions_of(backend.variables) is after(
        ("sql_mode", "ANSI"), ("autocommit", "ON")
    )


def test_what_followed_is_remembered_up_to_a_limit() -> None:
    start = PLAIN.with_schema(b"successors")
    for i in range(module._MAX_SUCCESSORS + 5):
        after(("a", str(i)), before=start)

    assert len(start._successors) == module._MAX_SUCCESSORS


def test_the_table_of_vectors_is_bounded() -> None:
    for i in range(module._MAX_VECTORS + 5):
        Vector.fresh(b"%d" % i, {})

    assert len(module._VECTORS) < module._MAX_VECTORS
    assert restore_commands(Vector(b"shop", dict(UTF8), False), Vector(b"shop", dict(UTF8), False)) == []


def test_vectors_show_what_they_are() -> None:
    assert repr(after(("a", "1"))) == "Vector(b'shop', {b'a': b'1'}, multi_statements=False)"


# Collations, which come along with character sets


def test_a_fresh_connection_has_one_collation_for_all() -> None:
    assert FRESH.variables[RESULTS_COLLATION] == b"utf8mb4_bin"
    assert RESULTS_COLLATION not in Vector.fresh(b"shop", {b"character_set_results": b""}).variables


def test_a_new_character_set_forgets_the_old_collations() -> None:
    names = [
        ("character_set_client", "latin1"),
        ("character_set_results", "latin1"),
        ("character_set_connection", "latin1"),
    ]

    assert set(after(*names, before=FRESH).variables) == set(CHARSET_VARIABLES[:3])
    assert RESULTS_COLLATION in after(names[2], before=FRESH).variables
    assert b"collation_connection" in after(names[1], before=FRESH).variables


def test_a_collation_brings_its_character_set() -> None:
    assert (
        after(("collation_connection", "latin1_bin"), before=FRESH).variables[b"character_set_connection"]
        == b"latin1"
    )


# What may be restored


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("sql_mode", "ANSI_QUOTES,STRICT_ALL_TABLES", True),
        ("time_zone", "+01:00", True),
        ("sort_buffer_size", "262144", True),
        ("character_set_results", "", True),
        ("timestamp", "5.000000", False),
        ("session_track_schema", "ON", False),
        ("some_path", "a\\b", False),
        ("some_text", "\u00e4", False),
        ("some_text", "a\nb", False),
        ("some name", "x", False),
        ("Upper", "x", False),
        ("wait_timeout", "28800", False),
        ("interactive_timeout", "x", False),
        ("default_master_connection", "main", True),
        ("default_master_connection", "5", False),
    ],
)
def test_what_may_be_restored(name: str, value: str, expected: bool) -> None:
    assert is_restorable(name.encode(), value.encode()) is expected


def test_denied_variables_say_why() -> None:
    assert all(DENIED.values())
    assert set(NEUTRAL) <= set(DENIED)


# Commands


def test_nothing_is_restored_where_nothing_differs() -> None:
    assert restore_commands(FRESH, FRESH) == []


def test_schema_option_and_variables_are_restored_in_this_order() -> None:
    wanted = after(("autocommit", "OFF"), before=FRESH).with_schema(b"test").with_multi_statements(True)

    assert restore_commands(FRESH, wanted) == [
        b"\x02test",
        b"\x1b\x00\x00",
        b"\x03SET SESSION autocommit='OFF'",
    ]
    assert restore_commands(wanted, FRESH) == [
        b"\x02shop",
        b"\x1b\x01\x00",
        b"\x03SET SESSION autocommit=DEFAULT",
    ]


def test_a_schema_cannot_be_unset() -> None:
    assert restore_commands(PLAIN, PLAIN.with_schema(None)) is None
    assert restore_commands(PLAIN.with_schema(None), PLAIN) == [b"\x02shop"]


@pytest.mark.parametrize(
    ("name", "value", "written"),
    [
        ("sql_mode", "ANSI", "SESSION sql_mode='ANSI'"),
        ("sql_mode", "", "SESSION sql_mode=''"),
        ("a", "it's", "SESSION a='it''s'"),
        ("a", "5", "SESSION a=5"),
        ("a", "-1.50", "SESSION a=-1.50"),
        ("a", "1.2.3", "SESSION a='1.2.3'"),
        ("innodb_tmpdir", "", "SESSION innodb_tmpdir=NULL"),
    ],
)
def test_values_are_written_so_that_every_session_reads_them_alike(
    name: str, value: str, written: str
) -> None:
    assert restore_commands(PLAIN, after((name, value))) == [b"\x03SET " + written.encode()]


def test_a_variable_that_mysql_gives_no_default_gets_the_global_value() -> None:
    assert restore_commands(after(("foreign_key_checks", "OFF")), PLAIN) == [
        b"\x03SET SESSION foreign_key_checks=@@GLOBAL.foreign_key_checks"
    ]


def test_several_variables_are_restored_at_once() -> None:
    assert restore_commands(after(("b", "1"), ("c", "2")), after(("a", "3"), ("b", "4"))) == [
        b"\x03SET SESSION a=3,SESSION b=4,SESSION c=DEFAULT"
    ]


def test_what_is_restored_is_written_once_and_not_for_ever() -> None:
    module._SETTINGS.clear()
    wanted = after(("a", "3"))
    restore_commands(PLAIN, wanted).append(b"mine")  # type: ignore[union-attr]
    assert restore_commands(PLAIN, wanted) == [b"\x03SET SESSION a=3"]
    assert list(module._SETTINGS) == [(PLAIN, wanted)]
    for number in range(module._MAX_SETTINGS + 5):
        restore_commands(PLAIN, after(("a", str(number))).apart())
    assert len(module._SETTINGS) < module._MAX_SETTINGS


@pytest.mark.parametrize(
    ("variables", "written"),
    [
        # SET NAMES utf8mb4; the same with COLLATE
        (
            {"client": "utf8mb4", "results": "utf8mb4", "connection": "utf8mb4"},
            "NAMES 'utf8mb4'",
        ),
        (
            {
                "client": "utf8mb4",
                "results": "utf8mb4",
                "connection": "utf8mb4",
                "collation": "utf8mb4_bin",
                "collation_results": "utf8mb4_bin",
            },
            "NAMES 'utf8mb4' COLLATE 'utf8mb4_bin'",
        ),
        # each for itself
        (
            {"client": "utf8mb4", "results": "latin1", "connection": "utf8mb4"},
            "NAMES 'latin1',SESSION character_set_client='utf8mb4',SESSION character_set_connection='utf8mb4'",
        ),
        (
            {"client": "utf8mb4", "results": "utf8mb4", "connection": "latin1", "collation": "latin1_bin"},
            "NAMES 'utf8mb4',SESSION character_set_connection='latin1',SESSION collation_connection='latin1_bin'",
        ),
        (
            {"client": "utf8mb4", "results": "utf8mb4", "connection": "utf8mb4", "collation": "utf8mb4_bin"},
            "NAMES 'utf8mb4',SESSION character_set_connection='utf8mb4',SESSION collation_connection='utf8mb4_bin'",
        ),
        # results that no client can have
        (
            {"client": "utf8mb4", "results": "", "connection": "utf8mb4"},
            "SESSION character_set_results=NULL,SESSION character_set_client='utf8mb4',"
            "SESSION character_set_connection='utf8mb4'",
        ),
        (
            {"client": "utf8mb4", "results": "utf16", "connection": "utf8mb4"},
            "SESSION character_set_results='utf16',SESSION character_set_client='utf8mb4',"
            "SESSION character_set_connection='utf8mb4'",
        ),
        # not known
        (
            {},
            "SESSION character_set_results=DEFAULT,SESSION character_set_client=DEFAULT,"
            "SESSION character_set_connection=DEFAULT",
        ),
    ],
)  # fmt: skip
def test_character_sets_are_restored_with_their_collations(variables: dict[str, str], written: str) -> None:
    names = {
        "client": b"character_set_client",
        "results": b"character_set_results",
        "connection": b"character_set_connection",
        "collation": b"collation_connection",
        "collation_results": RESULTS_COLLATION,
    }
    wanted = Vector(b"shop", {names[name]: value.encode() for name, value in variables.items()}, False)
    cyrillic = dict.fromkeys([*CHARSET_VARIABLES, RESULTS_COLLATION], b"cp1251")

    assert restore_commands(Vector(b"shop", cyrillic, False), wanted) == [b"\x03SET " + written.encode()]


def test_what_decides_about_collations_comes_first() -> None:
    wanted = after(
        ("a", "1"), ("character_set_results", "utf8mb4"), ("default_collation_for_utf8mb4", "utf8mb4_bin")
    )
    commands = restore_commands(PLAIN, wanted)

    assert commands is not None
    assert commands[0].startswith(
        b"\x03SET SESSION default_collation_for_utf8mb4='utf8mb4_bin',NAMES 'utf8mb4',"
    )
    assert commands[0].endswith(b",SESSION a=1")


# Switching the trackers on


def test_mariadb_tracks_everything() -> None:
    assert setup_statement("mariadb", []) == (
        b"SET session_track_schema=1, session_track_state_change=1, session_track_transaction_info=_latin1'CHARACTERISTICS', "
        b"session_track_system_variables=_latin1'*'"
    )


def test_mysql_tracks_by_name_what_may_be_set_in_a_session() -> None:
    names = [b"autocommit", b"statement_id", b"innodb_buffer_pool_size", b"innodb_lock_wait_timeout", b"gtid_next", b"gtid_mode", b"Sql_Mode"]  # fmt: skip

    assert setup_statement("mysql", names).endswith(
        b"session_track_system_variables=_latin1'autocommit,innodb_lock_wait_timeout,gtid_next,sql_mode'"
    )
    assert NAMES_QUERY.startswith(b"SHOW ")


def test_gtids_are_tracked_where_somebody_wants_them_and_the_server_knows_how() -> None:
    names = [b"autocommit", b"session_track_gtids"]
    assert setup_statement("mysql", names, tracks_gtids=True).endswith(
        b"session_track_gtids', session_track_gtids=OWN_GTID"
    )
    assert not setup_statement("mysql", names).endswith(b"OWN_GTID")
    assert not setup_statement("mysql", names[:1], tracks_gtids=True).endswith(b"OWN_GTID")
    assert b"GTID" not in setup_statement("mariadb", [], tracks_gtids=True)


def test_aurora_is_told_that_read_committed_is_meant_on_readers_too() -> None:
    name = b"aurora_read_replica_read_committed"
    names = [b"autocommit", name]
    alone = b"session_track_system_variables=_latin1'autocommit," + name + b"'"
    assert setup_statement("mysql", names, is_watched=True).endswith(alone + b", SESSION " + name + b"=ON")
    assert setup_statement("mysql", names).endswith(alone)
    assert set_by_setup(names, True) == [(name, b"ON")]
    assert set_by_setup(names, False) == set_by_setup(names[:1], True) == []
    # where nobody is told, the server's own holds
    plain = Vector.fresh(None, {})
    off = plain.with_variables([(name, b"OFF")])
    assert restore_commands(plain, off) == [b"\x03SET SESSION " + name + b"='OFF'"]
    assert restore_commands(off, plain) == [b"\x03SET SESSION " + name + b"=DEFAULT"]
    told = plain.with_variables(set_by_setup(names, True))
    assert restore_commands(off, told) == [b"\x03SET SESSION " + name + b"='ON'"]


def test_a_schema_whose_collation_a_reset_has_forgotten_is_chosen_again() -> None:
    known = Vector.fresh(b"shop", {})
    forgotten = known.without_collation_of_schema()
    forgets = b"\x03SET SESSION collation_database=@@GLOBAL.collation_database"
    assert restore_commands(known, forgotten) == [forgets]
    assert restore_commands(forgotten, known) == [b"\x02shop"]
    assert restore_commands(forgotten, forgotten) == []
    other = forgotten.with_variables([(b"sql_mode", b"ANSI")])
    assert restore_commands(forgotten, other) == [b"\x03SET SESSION sql_mode='ANSI'"]
    assert restore_commands(Vector.fresh(b"other", {}), forgotten) == [b"\x02shop", forgets]
    elsewhere = Vector.fresh(b"other", {}).without_collation_of_schema()
    assert restore_commands(elsewhere, forgotten) == [b"\x02shop", forgets]
    assert forgotten.with_schema(b"shop") is known
    assert Vector.fresh(None, {}).without_collation_of_schema() is Vector.fresh(None, {})


@pytest.mark.parametrize(
    "of_server, wanted",
    [
        (b"", b"IGNORE_SPACE"),
        (
            b"STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION",
            b"IGNORE_SPACE,STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION",
        ),
        (b"PIPES_AS_CONCAT,ANSI_QUOTES,ANSI", b"PIPES_AS_CONCAT,ANSI_QUOTES,IGNORE_SPACE,ANSI"),
    ],
)
def test_what_ignore_space_adds_to_the_mode_is_restored_as_a_value(of_server: bytes, wanted: bytes) -> None:
    spaced = FRESH.with_ignore_space(of_server)
    assert spaced.variables[b"sql_mode"] == wanted
    stranger = after(("sql_mode", "ANSI"), before=spaced)
    assert restore_commands(stranger, spaced) == [b"\x03SET SESSION sql_mode='" + wanted + b"'"]


def test_a_server_that_ignores_space_by_itself_needs_no_value() -> None:
    assert FRESH.with_ignore_space(b"ANSI_QUOTES,IGNORE_SPACE,ANSI") is FRESH


@pytest.mark.parametrize(
    ("sql_mode", "expected"),
    [
        (b"", b"IGNORE_SPACE"),
        (b"ANSI_QUOTES,STRICT_ALL_TABLES", b"IGNORE_SPACE,ANSI_QUOTES,STRICT_ALL_TABLES"),
        (b"ANSI_QUOTES,IGNORE_SPACE", b"IGNORE_SPACE,ANSI_QUOTES"),
    ],
)
def test_a_client_may_ignore_space_from_its_login_on(sql_mode: bytes, expected: bytes) -> None:
    fresh = Vector.fresh(b"shop", {})
    assert ignoring_space(fresh, 0x100, sql_mode).variables[b"sql_mode"] == expected
    assert ignoring_space(fresh, 0x200, sql_mode) is fresh


def test_vectors_that_differ_in_one_variable_only() -> None:
    one = Vector.fresh(b"shop", {}).with_variables([(b"sql_mode", b""), (b"autocommit", b"ON")])
    assert differ_only_in(one, one.with_variables([(b"autocommit", b"OFF")]), b"autocommit")
    assert differ_only_in(one, Vector.fresh(b"shop", {}).with_variables([(b"sql_mode", b"")]), b"autocommit")
    assert not differ_only_in(one, one.with_variables([(b"sql_mode", b"ANSI")]), b"autocommit")
    assert not differ_only_in(one, one.with_variables([(b"time_zone", b"UTC")]), b"autocommit")
    assert not differ_only_in(one, one.with_schema(b"other"), b"autocommit")


def test_a_vector_apart_is_an_equal_one() -> None:
    known = Vector.fresh(b"shop", {})
    apart = known.apart()
    assert apart is not known
    assert restore_commands(known, apart) == restore_commands(apart, known) == []


def test_a_backend_whose_strings_are_in_utf16_is_told_the_character_set_of_ours() -> None:
    wide = after(("character_set_connection", "utf16"), ("collation_connection", "utf16_bin"))
    commands = restore_commands(
        wide, wide.with_variables([(b"time_zone", b"+01:00"), (b"sort_buffer_size", b"7")])
    )
    assert commands == [b"\x03SET SESSION sort_buffer_size=7,SESSION time_zone=_latin1'+01:00'"]
