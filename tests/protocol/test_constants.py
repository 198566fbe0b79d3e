from protocol.constants import SQLSTATE, Capability, Command, ErrorCode, ServerStatus, TrackerType


def test_commands_have_their_numbers() -> None:
    some = [Command.COM_QUERY, Command.COM_CHANGE_USER, Command.COM_STMT_FETCH, Command.COM_RESET_CONNECTION]
    assert [command.value for command in some] == [0x03, 0x11, 0x1C, 0x1F]


def test_capabilities_have_their_bits() -> None:
    some = [Capability.PROTOCOL_41, Capability.SESSION_TRACK, Capability.DEPRECATE_EOF]
    assert [flag.value for flag in some] == [0x200, 0x800000, 0x1000000]
    assert Capability.MARIADB_CACHE_METADATA.value == 1 << 36


def test_status_flags_have_their_bits() -> None:
    some = [ServerStatus.IN_TRANS, ServerStatus.AUTOCOMMIT, ServerStatus.SESSION_STATE_CHANGED]
    assert [flag.value for flag in some] == [1, 2, 0x4000]


def test_trackers_have_their_types() -> None:
    assert [kind.value for kind in TrackerType] == [0, 1, 2, 3, 4, 5]


def test_each_sqlstate_has_five_characters_and_a_name_for_its_code() -> None:
    assert {len(state) for state in SQLSTATE.values()} == {5}
    assert all(ErrorCode(code) for code in SQLSTATE)
