"""What a running proxy tells about itself: the source of /metrics and the other pages. Reads, never changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from proxy.backend import Backend
from proxy.counters import Counters
from proxy.endpoint import Endpoint
from proxy.fleet import Fleet
from proxy.frontend import Frontend
from proxy.listeners import Entrance, Listener
from proxy.pin_report import live_pins, report
from proxy.pool_states import Tenant
from proxy.recorder import record
from proxy.shared import Shared
from proxy.states import STATE_NAMES
from proxy.tenants import IN_TRANSACTION, Holder
from proxy.version import version_line

LONGEST_LIST: Final = 100
"""Sessions that /state lists: those that hold a lease or wait, the oldest first."""


class Snapshot:
    """One process at the moment of each call."""

    def __init__(self, shared: Shared, listeners: Sequence[Listener | Entrance]) -> None:
        self._shared = shared
        self._listeners = listeners
        self._fleet = Fleet(shared)

    async def refresh(self) -> None:
        """Whatever is asked for is of this moment in any case."""

    @property
    def counters(self) -> Counters:
        """What has been counted since the start."""
        return self._shared.counters

    def endpoint_snapshots(self) -> Sequence[Mapping[str, object]]:
        """Each endpoint's pool and whether it answers."""
        return [self._endpoint(endpoint) for endpoint in self._shared.endpoints()]

    def pinned_sessions(self) -> Mapping[str, int]:
        """Sessions pinned now, by reason."""
        counts: dict[str, int] = {}
        for frontend in self._shared.frontends.values():
            if frontend.backend is not None:
                for reason in frontend.session.pin_reasons():
                    counts[reason.value] = counts.get(reason.value, 0) + 1
        return counts

    def pinned_seconds(self) -> Mapping[str, float]:
        """Seconds that sessions were pinned, by reason."""
        return self._shared.pins.seconds_by_reason(self._shared.loop.time())

    def topology(self) -> Mapping[str, object]:
        """Who is what."""
        cluster = self._shared.cluster
        return {"kind": "static"} if cluster is None else cluster.state()

    def routes(self) -> Mapping[str, Mapping[str, int]]:
        """Where commands went, and why."""
        placing = self._shared.placing
        return {} if placing is None else placing.routes()

    def workers(self) -> tuple[int, int]:
        """This process alone."""
        return 1, 0

    def processes(self) -> Sequence[tuple[str, int]]:
        """None but this one."""
        return ()

    def pin_report(self) -> Mapping[str, object]:
        """What pinned sessions, by statement, and what it cost."""
        shared = self._shared
        sizes = {endpoint.name: endpoint.size for endpoint in shared.endpoints()}
        return report(shared.pins, sizes, shared.loop.time())

    async def fleet(self) -> Mapping[str, object]:
        """Who holds connections to the servers."""
        return await self._fleet.report()

    async def record(self, seconds: float, sample: float) -> bytes:
        """What sessions ask the pools for, from now on."""
        return await record(self._shared, seconds, sample)

    def obstacles(self) -> Sequence[str]:
        """Why no traffic should be sent here; empty when ready."""
        shared = self._shared
        found = []
        if shared.is_draining:
            found.append("draining")
        found += [f"listener {listener.name} is closed" for listener in self._listeners if listener.is_closed]
        for role, endpoints in (("writer", shared.writers), ("reader", self._needed_readers())):
            if endpoints and not any(endpoint.is_answering for endpoint in endpoints):
                causes = "; ".join(f"{endpoint.name}: {endpoint.last_failure}" for endpoint in endpoints)
                found.append(f"no {role} answers ({causes})")
        if shared.cluster is not None and shared.cluster.is_paused:
            found.append("no server is the writer now; see /state")
        return found

    def _needed_readers(self) -> Sequence[Endpoint]:
        """Without a listener for reads the writer takes them."""
        is_needed = any(listener.doorway.is_reader for listener in self._listeners)
        return self._shared.readers if is_needed else ()

    def state(self) -> Mapping[str, object]:
        """Everything, for people."""
        shared = self._shared
        attached = [each for each in shared.frontends.values() if each.state]
        attached.sort(key=lambda frontend: frontend.connection_id)
        return {
            "version": version_line(),
            "is_draining": shared.is_draining,
            "server_version": shared.facts.server_version.decode("ascii", "replace"),
            "listeners": [listener.name for listener in self._listeners],
            "frontends": {
                "open": shared.counters.frontends_open,
                "in_login": len(shared.logins),
                "limit": shared.max_clients,
                "with_lease_or_waiting": len(attached),
            },
            "pinned": self.pinned_sessions(),
            "topology": self.topology(),
            "routes": self.routes(),
            "stranded_accounts": [] if shared.placing is None else shared.placing.stranded.names(),
            "endpoints": self.endpoint_snapshots(),
            "sessions": [self._session(frontend) for frontend in attached[:LONGEST_LIST]],
        }

    def _endpoint(self, endpoint: Endpoint) -> dict[str, object]:
        core = endpoint.core
        now = self._shared.loop.time()
        first = core.oldest_waiter()
        return {
            "name": endpoint.name,
            "role": endpoint.role,
            "size": endpoint.size,
            "bound": core.max_size,
            "reserve": core.max_size - core.bound,
            "expected": core.wanted,
            "opens_in": max(0.0, core.opens_at() - now),
            "shed": core.shed_count,
            "spared": core.spared_count,
            "users": [_user(tenant) for tenant in core.users()],
            "databases": [
                {"name": _text(quota.name), "leased": quota.leased, "limit": quota.most}
                for quota in endpoint.quotas.values()
            ],
            "opening": core.opening_count,
            "idle": core.idle_count,
            "parked": core.parked_count,
            "leased": core.leased_count,
            "resetting": core.resetting_count,
            "waiting": core.waiting_count,
            "oldest_wait": now - first.enqueued_at if first is not None else 0.0,
            "in_transaction": _in_transaction(endpoint),
            "is_up": endpoint.is_answering,
            "last_failure": endpoint.last_failure,
            "budget": self._budget(endpoint),
        }

    def _budget(self, endpoint: Endpoint) -> Mapping[str, object]:
        """How many of the server's connections it may have, and why; empty where `budget.enabled` is off."""
        budgets = self._shared.budgets
        return {} if budgets is None else budgets.report(endpoint)

    def _session(self, frontend: Frontend) -> dict[str, object]:
        backend = frontend.backend
        now = self._shared.loop.time()
        return {
            "id": frontend.connection_id,
            "user": frontend.user_name(),
            "peer": frontend.peer,
            "program": frontend.program,
            "state": STATE_NAMES[frontend.state],
            "condition": frontend.condition() if backend is not None else "",
            "pins": live_pins(frontend.pins, now),
            "endpoint": frontend.endpoint.name if frontend.endpoint is not None else "",
            "server_connection": backend.server_id if backend is not None else None,
            "lease_age": round(now - backend.leased_since, 3) if backend is not None else None,
        }


def _user(tenant: Tenant) -> dict[str, object]:
    """What one user has of a pool."""
    return {
        "name": _text(tenant.name),
        "backends": tenant.size(),
        "used": tenant.used(),
        "waiting": tenant.waiting(),
        "limit": max(0, tenant.most) if tenant.most else None,
    }


def _text(name: object) -> str:
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)


def _in_transaction(endpoint: Endpoint) -> int:
    owners = [member.owner for member in endpoint.core.leased_members() if isinstance(member, Backend)]
    return sum(isinstance(owner, Holder) and owner.condition() == IN_TRANSACTION for owner in owners)
