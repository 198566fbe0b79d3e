"""What this package raises.

::

    ProtocolError                 any violation of the protocol
    |- LocalProtocolError         we broke the rules: a bug of ours, the connection itself is sound
    `- RemoteProtocolError        they broke the rules: the connection cannot be used any further

Nothing else is raised, whatever the bytes. ``RemoteProtocolError.code`` is the error that MySQL itself would send
to such a peer, so that whoever talks to a client can answer before closing. Towards a server it is only a hint.
"""

from __future__ import annotations

from protocol.constants import ErrorCode

HANDSHAKE_ERROR = int(ErrorCode.HANDSHAKE_ERROR)
PACKET_TOO_LARGE = int(ErrorCode.NET_PACKET_TOO_LARGE)
OUT_OF_ORDER = int(ErrorCode.NET_PACKETS_OUT_OF_ORDER)
MALFORMED_PACKET = int(ErrorCode.MALFORMED_PACKET)


class ProtocolError(Exception):
    """The rules of the protocol were broken; the subclass says by whom."""


class LocalProtocolError(ProtocolError):
    """Our side asked for something that the protocol does not allow in this state."""


class RemoteProtocolError(ProtocolError):
    """The peer sent what the protocol does not allow. Discard the connection.

    ``code`` is the MySQL error to answer a client with: 1043 bad handshake, 1153 packet too large, 1156 packets
    out of order, 1835 malformed packet.
    """

    def __init__(self, message: str, code: int = MALFORMED_PACKET) -> None:
        super().__init__(message)
        self.code = code
