"""The client that other tests are written with."""

from __future__ import annotations

import socket
import threading

import pytest

from bench.servers import HOST
from tests.integration.wire import WireClient


def test_a_connection_that_ends_during_the_login_is_an_error() -> None:
    with socket.create_server((HOST, 0)) as listener:
        closing = threading.Thread(target=lambda: listener.accept()[0].close())
        closing.start()
        with pytest.raises(ConnectionError, match="during the login"):
            WireClient(listener.getsockname()[1])
        closing.join()
