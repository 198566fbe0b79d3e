"""The settings: one immutable model, whichever of file, environment and flags a value came from.

`Settings(...)` itself reads nothing but its arguments; `config.loading.load` reads file, environment, flags.
The tables are in `config.sections`.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from config.budget import Budget
from config.cluster import ClusterKind, Failover, Routing, Topology
from config.cores import cores
from config.sections import (
    ClientTls,
    ClientTlsMode,
    Database,
    Http,
    Limits,
    Log,
    Pool,
    Role,
    Section,
    ServerTls,
    ServerTlsMode,
    Upstream,
    User,
    flag,
)
from config.values import AUTO, Address, ListenAddress, Seconds, Workers, parse_list

NO_UPSTREAM: Final = "no_upstream"  # type of the error that nothing says where the server is


class Settings(Section):
    """Everything that can be set."""

    upstream: Annotated[tuple[Upstream, ...], BeforeValidator(parse_list)] = Field(
        default=(),
        validate_default=True,
        description="The servers: a table `[[upstream]]` each in the file, else `HOST:PORT` of the writer.",
        json_schema_extra=flag("--upstream"),
    )
    listen: Annotated[tuple[ListenAddress, ...], BeforeValidator(parse_list)] = Field(
        default=(Address("127.0.0.1", 6033),),
        validate_default=True,
        description="Where clients of the writer connect to: `HOST:PORT` or `unix:/PATH`; may be several.",
        json_schema_extra=flag("--listen"),
    )
    reader_listen: Annotated[tuple[ListenAddress, ...], BeforeValidator(parse_list)] = Field(
        default=(),
        validate_default=True,
        description="Where clients of the readers connect to.",
        json_schema_extra=flag("--reader-listen"),
    )
    passthrough: bool = Field(
        default=True,
        description="Users that are not listed log in with the password that the server knows; with `false` "
        "only those in `[[users]]` do.",
        json_schema_extra=flag("--passthrough"),
    )
    application: str = Field(
        default="",
        max_length=64,
        description="Whom this Fanin serves: its connections say so to the servers (connect attribute `application`).",
        json_schema_extra={"default": "the host's name"},
    )
    drain_timeout: Seconds = Field(
        default=30.0,
        description="After SIGTERM, how long transactions may take to finish.",
        json_schema_extra=flag("--drain-timeout"),
    )
    pool: Pool = Pool()
    budget: Budget = Budget()
    topology: Topology = Topology()
    routing: Routing = Routing()
    failover: Failover = Failover()
    limits: Limits = Limits()
    workers: Workers = Field(
        default=1,
        description="Processes that share the work, each on a core of its own; `auto`: as many as there are cores.",
        json_schema_extra=flag("--workers"),
    )
    client_tls: ClientTls = ClientTls()
    server_tls: ServerTls = ServerTls()
    users: tuple[User, ...] = ()
    databases: tuple[Database, ...] = ()
    http: Http = Http()
    log: Log = Log()

    @property
    def writers(self) -> tuple[Upstream, ...]:
        """The upstreams with the role writer (at most one)."""
        return tuple(upstream for upstream in self.upstream if upstream.role is Role.WRITER)

    @property
    def readers(self) -> tuple[Upstream, ...]:
        """The upstreams with the role reader."""
        return tuple(upstream for upstream in self.upstream if upstream.role is Role.READER)

    @property
    def is_static(self) -> bool:
        """Whether roles are as configured, whatever the servers say."""
        kind = self.topology.kind
        has_one_role = len(self.upstream) == 1 or len(self.readers) == len(self.upstream)
        return kind is ClusterKind.STATIC or (kind is ClusterKind.AUTO and has_one_role)

    @property
    def worker_count(self) -> int:
        """Processes that serve clients: each has one connection of the pool, and may have one client, at least."""
        if self.workers != AUTO:
            return int(self.workers)
        return min(cores(), self.pool.size, self.limits.max_clients)

    def warnings(self) -> list[str]:
        """What is allowed and probably not wanted, a sentence each."""
        return _warnings(self)

    @field_validator("upstream")
    @classmethod
    def _upstreams_differ(cls, upstream: tuple[Upstream, ...]) -> tuple[Upstream, ...]:
        if not upstream:
            raise PydanticCustomError(NO_UPSTREAM, "expected at least one server")
        if repeated := _repeated([each.address for each in upstream]):
            raise ValueError(f"expected each server once; repeated: {repeated}")
        if repeated := _repeated([each.name for each in upstream]):
            raise ValueError(f"expected names that differ; repeated: {repeated}")
        writers = [each.name for each in upstream if each.role is Role.WRITER]
        if len(writers) > 1:
            names = ", ".join(writers)
            raise ValueError(f'expected one writer, found {names}; the others need role = "reader"')
        return upstream

    @field_validator("listen", "reader_listen")
    @classmethod
    def _listen_once(cls, listen: tuple[Address, ...], info: ValidationInfo) -> tuple[Address, ...]:
        upstream = info.data.get("upstream")
        if upstream is not None and listen:
            role = Role.READER if info.field_name == "reader_listen" else Role.WRITER
            if not any(each.role is role for each in upstream):
                raise ValueError(f'needs an upstream with role = "{role}"')
        if info.field_name == "reader_listen" and not listen and info.data.get("listen") == ():
            raise ValueError("expected an address here or in `listen`")
        taken = [each for each in (*info.data.get("listen", ()), *listen) if each.is_unix or each.port]
        if repeated := _repeated(taken):
            raise ValueError(f"expected each address once; repeated: {repeated}")
        return listen

    @field_validator("workers")
    @classmethod
    def _something_for_each(cls, workers: int | str, info: ValidationInfo) -> int | str:
        for name, table, key in (
            ("pool.size", "pool", "size"),
            ("limits.max_clients", "limits", "max_clients"),
        ):
            if table in info.data and workers != AUTO and int(workers) > getattr(info.data[table], key):
                most = getattr(info.data[table], key)
                raise ValueError(
                    f"expected at most `{name}`, which is {most}, for each worker has one at least"
                )
        return workers

    @field_validator("users")
    @classmethod
    def _users_once(cls, users: tuple[User, ...], info: ValidationInfo) -> tuple[User, ...]:
        if repeated := _repeated([user.name for user in users]):
            raise ValueError(f"expected each user once; repeated: {repeated}")
        unknown = [
            user.name for user in users if not (user.password or user.native_hash or user.password_env)
        ]
        if unknown and info.data.get("passthrough") is False:
            raise ValueError(
                f"needs a password for {', '.join(unknown)}: as `passthrough` is false, who has none cannot log in"
            )
        return users

    @field_validator("databases")
    @classmethod
    def _databases_once(cls, databases: tuple[Database, ...]) -> tuple[Database, ...]:
        if repeated := _repeated([database.name for database in databases]):
            raise ValueError(f"expected each database once; repeated: {repeated}")
        return databases


def _repeated(values: list[Any]) -> str:
    """The values that occur more than once, "" if none does."""
    return ", ".join(str(value) for value in dict.fromkeys(values) if values.count(value) > 1)


def _warnings(settings: Settings) -> list[str]:
    found: list[str] = []
    for address in (*settings.listen, *settings.reader_listen):
        if not address.is_loopback and settings.client_tls.mode is not ClientTlsMode.REQUIRED:
            found.append(f"clients can reach {address} from other machines without TLS; see client_tls.mode")
    if settings.http.listen is not None and not settings.http.listen.is_loopback:
        found.append(f"anybody who can reach {settings.http.listen} can read /state and /metrics")
    for upstream in settings.upstream:
        if not upstream.address.is_loopback and settings.server_tls.mode is ServerTlsMode.DISABLED:
            found.append(f"queries and results travel to {upstream.name} in the clear; see server_tls.mode")
    if settings.is_static and (settings.routing, settings.failover) != (Routing(), Failover()):
        found.append("routing and failover need several servers that are watched; see topology.kind")
    if not settings.budget.enabled and settings.budget != Budget(enabled=False):
        found.append("what [budget] says counts for nothing while budget.enabled is false")
    for what, limited in (("user", settings.users), ("database", settings.databases)):
        found += [
            f"max_backends of {what} {each.name} is {each.max_backends}, which is more than pool.size and limits nothing"
            for each in limited
            if each.max_backends > settings.pool.size
        ]
    return found
