"""The tables that are about several servers: which is the writer, what runs on readers, what a failover looks like. As `config.sections`."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from config.sections import Section, flag
from config.values import Count, Names, Seconds, Weight


class ClusterKind(StrEnum):
    """How the servers are related."""

    AUTO = "auto"
    AURORA = "aurora"
    REPLICATION = "replication"
    STATIC = "static"


class Side(StrEnum):
    """Where statements go."""

    WRITER = "writer"
    READER = "reader"


class Consistency(StrEnum):
    """What reads on readers are promised to show."""

    EVENTUAL = "eventual"
    SESSION = "session"
    BOUNDED = "bounded"


class Fallback(StrEnum):
    """What becomes of a read for which no reader is near enough."""

    WRITER = "writer"
    WAIT = "wait"
    ERROR = "error"


class InTransaction(StrEnum):
    """How a transaction is told that its server failed."""

    DEADLOCK = "deadlock"
    LOST = "lost"


class Topology(Section):
    """How Fanin learns which server is the writer, and how far readers are behind."""

    kind: ClusterKind = Field(
        default=ClusterKind.AUTO,
        description="`aurora`; `replication`: a MySQL or MariaDB writer with replicas; `static`: roles are as configured; `auto`: asks "
        "the servers which of the first two it is, and is static when there is one server, or no writer.",
        json_schema_extra=flag("--topology"),
    )
    interval: Seconds = Field(
        default=1.0, ge=0.05, description="Between two looks at each server, on one connection that is kept."
    )
    panic_interval: Seconds = Field(
        default=0.1,
        ge=0.01,
        validate_default=True,
        description="The same while there is doubt about the writer; all servers are then looked at together.",
    )
    lag_interval: Seconds = Field(
        default=0.25,
        ge=0.01,
        description="Between two looks at the lag of readers while a session waits for them to show what it has written.",
    )
    timeout: Seconds = Field(default=1.0, gt=0, description="A look that takes longer has failed.")
    monitor_user: str | None = Field(
        default=None,
        min_length=1,
        max_length=128,
        description="Account for the looks. It needs no privileges on Aurora; else REPLICATION CLIENT on MySQL and SLAVE MONITOR on MariaDB.",
    )
    monitor_password: SecretStr | None = Field(
        default=None,
        validate_default=True,
        description="Its password; rather than in a file, in the environment.",
    )
    borrow_credentials: bool = Field(
        default=True,
        description="Without `monitor_user`: look with the name and password of the first client that logged in.",
    )
    host_template: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9.-]*\?[A-Za-z0-9.-]*$",
        description="Aurora: host names of instances, with `?` for the instance's name. Without it, as the cluster endpoint's name has it.",
    )
    heartbeat: str | None = Field(
        default=None,
        min_length=1,
        description="Replication: a query that gives the lag of the server that runs it, in seconds, for instance from the table of "
        "pt-heartbeat. Without it lag is known in whole seconds.",
    )

    @field_validator("panic_interval")
    @classmethod
    def _no_longer_than_interval(cls, panic_interval: float, info: ValidationInfo) -> float:
        if panic_interval > info.data.get("interval", panic_interval):
            raise ValueError(f"expected at most `topology.interval`, which is {info.data['interval']:g}")
        return panic_interval

    @field_validator("monitor_password")
    @classmethod
    def _password_of_user(cls, password: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if password is not None and info.data.get("monitor_user", "") is None:
            raise ValueError("is used with `topology.monitor_user` only")
        return password


class Routing(Section):
    """Which statements of clients of the writer run on readers."""

    read_only_transactions: Side = Field(
        default=Side.READER,
        description="Where transactions go that are READ ONLY by their START TRANSACTION, by SET TRANSACTION, or by the driver's "
        "setReadOnly: `reader` or `writer`.",
    )
    autocommit_reads: Side = Field(
        default=Side.WRITER,
        description="Where single statements outside transactions go that are proved to be reads: `reader` or `writer`.",
        json_schema_extra=flag("--autocommit-reads"),
    )
    late_begin: bool = Field(
        default=False,
        description="BEGIN is answered at once and begins a transaction together with its first statement, whose hint may send it to a reader. Until "
        "then the session holds no backend.",
    )
    max_lag: Seconds = Field(
        default=1.0,
        gt=0,
        description="A reader that is further behind gets no reads until it is within 80 % of this. Counted is the lag when it was last "
        "measured, and more when the next measurement is overdue.",
        json_schema_extra=flag("--max-lag"),
    )
    consistency: Consistency = Field(
        default=Consistency.SESSION,
        description="`session`: a session sees its own writes, and never less than it saw before; `bounded`: what is not older than "
        "`max_lag`; `eventual`: as it comes.",
    )
    fallback: Fallback = Field(
        default=Fallback.WRITER,
        description="When no reader is near enough: `writer`; `wait` up to `fallback_wait` for one, then `writer`; `error`.",
    )
    fallback_wait: Seconds = Field(
        default=0.5, description="How long a read waits for a reader, with `wait`."
    )
    gtid_wait: Seconds = Field(
        default=0.1,
        description="How long a read waits on a reader of a replication with GTIDs until that shows what the session has written, before it falls back. "
        "0: not at all.",
    )
    fallback_rate: Count = Field(
        default=1000,
        ge=0,
        description="Most reads a second that fall back on the writer, so that they do not drown writes; the others wait. 0 for no limit.",
    )
    writer_weight: Weight = Field(
        default=0.0,
        description="The writer's share of the reads that readers could have, like a reader's `weight`.",
    )
    warm_up: Seconds = Field(
        default=30.0,
        description="A new reader's share grows from a tenth of its weight to all of it in this time.",
    )
    causal_keys: Count = Field(
        default=10_000,
        ge=0,
        le=10_000_000,
        description="Most keys of `/* fanin: causal=KEY */` for which it is remembered what readers must show.",
    )
    reader_users: Names = Field(
        default=(), description="Users whose reads go to readers whatever `autocommit_reads` says."
    )
    writer_users: Names = Field(
        default=(), validate_default=True, description="Users whose statements all go to the writer."
    )
    reader_schemas: Names = Field(default=(), description="The same for sessions with these current schemas.")
    writer_schemas: Names = Field(default=(), validate_default=True, description="And for these.")

    @field_validator("writer_users", "writer_schemas")
    @classmethod
    def _on_one_side(cls, names: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        other = str(info.field_name).replace("writer", "reader")
        both = [name for name in names if name in info.data.get(other, ())]
        if both:
            raise ValueError(f"expected each here or in `{other}`; in both: {', '.join(both)}")
        return names


class Failover(Section):
    """What clients notice when another server becomes the writer."""

    hold: Seconds = Field(
        default=30.0,
        description="How long clients wait for a writer before they get an error.",
        json_schema_extra=flag("--failover-hold"),
    )
    in_transaction: InTransaction = Field(
        default=InTransaction.DEADLOCK,
        description="What a transaction that its server cannot finish gets: `deadlock`: error 1213, after which applications run it again; "
        "`lost`: the connection is closed. It always is when COMMIT had been sent.",
    )
