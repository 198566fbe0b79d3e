"""With what servers are looked at: account, place and way, as the settings have them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from config.cluster import Topology
from config.sections import Upstream
from config.settings import Settings
from proxy import tls
from proxy.credentials import Credentials
from proxy.monitor import Account, Place, Way

NO_ACCOUNT: Final = (
    "nobody has logged in whose name and password could be used for the looks: see topology.monitor_user"
)
"""What people are told where nobody looks because `account_of` knows nobody."""


def way_of(settings: Settings, announced: Mapping[str, str]) -> Way:
    """How servers are reached and asked. ``announced``: connect attributes of backends."""
    mode = tls.demand_on_servers(settings.server_tls)
    return Way(
        timeout=settings.topology.timeout,
        tls=tls.server_side(settings.server_tls) if mode != "disabled" else None,
        requires_tls=mode == "required",
        heartbeat=settings.topology.heartbeat,
        announced=announced,
        counts_fleet=settings.budget.enabled and not settings.budget.fleet,
    )


def account_of(topology: Topology, credentials: Credentials) -> Account | None:
    """Who looks; None as long as nobody is known."""
    if topology.monitor_user is not None:
        password = topology.monitor_password
        return Account(topology.monitor_user, "" if password is None else password.get_secret_value())
    return borrowed(credentials) if topology.borrow_credentials else None


def borrowed(credentials: Credentials) -> Account | None:
    """The name and password of the first who logged in."""
    credential = credentials.first()
    if credential is None or credential.password is None:
        return None
    return Account(credential.user.decode("utf-8", "replace"), credential.password.decode("utf-8", "replace"))


def place_of(upstream: Upstream) -> Place:
    """Where it is found."""
    return Place(upstream.host or "localhost", upstream.port, upstream.socket)
