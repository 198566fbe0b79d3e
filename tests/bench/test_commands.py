import pytest

from bench.commands import Execute, Parameter, Prepare, ShowWarnings, close_and_ping, ping, reset_connection
from bench.response import BINARY, PREPARED, TEXT, Response, Row


def answer(*rows: Row, error: int = 0) -> Response:
    response = Response()
    response.rows, response.error_code = list(rows), error
    return response


def test_commands_are_what_the_protocol_says() -> None:
    assert ping().wire == b"\x01\0\0\0\x0e" and reset_connection().wire == b"\x01\0\0\0\x1f"
    assert close_and_ping(7).wire == b"\x05\0\0\0\x19\x07\0\0\0" + ping().wire
    assert Prepare("SELECT ?").wire[4:] == b"\x16SELECT ?" and Prepare("x").form == PREPARED
    execution = Execute(7, (1, "ab"), title="x")
    values = b"\x01" + bytes(7) + b"\x02ab"
    assert execution.wire[4:] == b"\x17\x07\0\0\0\0\x01\0\0\0" + b"\0\x01\x08\0\xfd\0" + values
    assert Execute(7, (1, "ab"), title="x", binds=False).wire[14:] == b"\0\0" + values
    assert Execute(7, (), title="x").wire[14:] == b"" and execution.form == BINARY
    assert execution.sql == "x (1, 'ab')"


def test_a_command_is_called_by_its_title() -> None:
    steps = (ping(), reset_connection(), close_and_ping(7), Prepare("SELECT ?"))
    titles = ["COM_PING", "COM_RESET_CONNECTION", "COM_STMT_CLOSE, COM_PING", "prepare SELECT ?"]
    assert [step.sql for step in steps] == titles
    assert ping().form == TEXT
    assert ping().wrong(answer(error=1047)) == "1047 "


def test_an_answer_with_other_rows_than_those_of_the_execution_is_wrong() -> None:
    step = Execute(7, (1,), title="x", rows=[(b"1",)])
    assert step.wrong(answer((b"1",))) is None
    assert str(step.wrong(answer((b"2",)))).startswith("x (1,): ")


@pytest.mark.parametrize(
    ("parameters", "values"),
    [
        ((-1,), b"\xff" * 8),
        ((256,), b"\0\x01" + bytes(6)),
        (("",), b"\0"),
        (("\u00e4",), b"\x02\xc3\xa4"),
    ],
)
def test_parameters_are_signed_numbers_and_strings_in_utf8(
    parameters: tuple[Parameter, ...], values: bytes
) -> None:
    assert Execute(7, parameters, title="x", binds=False).wire[16:] == values


def test_every_eight_parameters_have_a_byte_of_nulls() -> None:
    for count, nulls in ((8, 1), (9, 2)):
        execution = Execute(7, [0] * count, title="x", binds=False)
        assert execution.wire[14:] == bytes(nulls) + b"\0" + bytes(8 * count)


def test_a_warning_must_be_about_the_sessions_own_insert() -> None:
    step = ShowWarnings("rails 3 note 1")
    mine: Row = (b"Warning", b"1062", b"Duplicate entry 'rails 3 note 1' for key 'title'")
    assert step.wrong(answer(mine)) is None
    for rows in ((), (mine, mine), ((b"Warning", b"1062", b"Duplicate entry 'rails 3 note 12' for key"),)):
        assert "instead of a duplicate" in str(step.wrong(answer(*rows)))
    assert "[]" in str(ShowWarnings("x").wrong(Response()))
