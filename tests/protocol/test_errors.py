import pytest

from protocol.errors import (
    HANDSHAKE_ERROR,
    MALFORMED_PACKET,
    OUT_OF_ORDER,
    PACKET_TOO_LARGE,
    LocalProtocolError,
    ProtocolError,
    RemoteProtocolError,
)


def test_a_fault_of_the_peer_names_the_error_to_answer_with() -> None:
    assert RemoteProtocolError("x").code == 1835
    error = RemoteProtocolError("too much", PACKET_TOO_LARGE)
    assert (str(error), error.code) == ("too much", 1153)


@pytest.mark.parametrize("kind", [LocalProtocolError, RemoteProtocolError])
def test_one_except_clause_takes_both(kind: type[ProtocolError]) -> None:
    with pytest.raises(ProtocolError):
        raise kind("x")


def test_the_codes_are_those_of_mysql() -> None:
    assert (HANDSHAKE_ERROR, PACKET_TOO_LARGE, OUT_OF_ORDER, MALFORMED_PACKET) == (1043, 1153, 1156, 1835)
