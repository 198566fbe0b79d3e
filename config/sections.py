"""The tables of the configuration file, one immutable model each.

Every field carries its description: the README's table of settings and the help of the flags are made of them
(`config.rendering`). A rule that ties two settings together is checked at the later one of the two, so that
a file with several mistakes has them all reported at once.
"""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from config.values import (
    DEFAULT_PORT,
    Address,
    Count,
    ExistingFile,
    Fraction,
    OptionalListenAddress,
    Seconds,
    Size,
    Weight,
    parse_address,
    parse_socket_path,
)

# Type of an error that concerns a whole table and not the key it was found at.
TABLE_RULE: Final = "table_rule"

_ONE_PASSWORD: Final = "expected exactly one of `password`, `native_hash` and `password_env`"
_NATIVE_HASH: Final = re.compile(r"\*[0-9A-Fa-f]{40}")


class Role(StrEnum):
    """What an upstream is for."""

    WRITER = "writer"
    READER = "reader"


class PoolMode(StrEnum):
    """When a lease ends."""

    SESSION = "session"
    TRANSACTION = "transaction"
    STATEMENT = "statement"


class ClientTlsMode(StrEnum):
    """Whether clients may, or must, use TLS."""

    DISABLED = "disabled"
    OPTIONAL = "optional"
    REQUIRED = "required"


class ServerTlsMode(StrEnum):
    """How much TLS servers are held to; the words of the MySQL client's --ssl-mode."""

    DISABLED = "disabled"
    PREFERRED = "preferred"
    REQUIRED = "required"
    VERIFY_CA = "verify-ca"
    VERIFY_IDENTITY = "verify-identity"


class Priority(StrEnum):
    """Who goes first when clients wait for backends."""

    INTERACTIVE = "interactive"
    BATCH = "batch"


class LogFormat(StrEnum):
    """How a line of the log looks."""

    AUTO = "auto"
    JSON = "json"
    CONSOLE = "console"


class LogLevel(StrEnum):
    """The least severe line that is written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Section(BaseModel):
    """A table of the file: immutable, without unknown keys; its errors do not repeat the input."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


def flag(name: str) -> dict[str, Any]:
    """The extra of a field that has a flag of the command line."""
    return {"flag": name}


class Upstream(Section):
    """One server. A text "HOST:PORT" or "unix:/PATH" stands for a writer."""

    host: str | None = Field(default=None, min_length=1, description="Host name or IP address of the server.")
    port: Count = Field(default=DEFAULT_PORT, ge=1, le=65535, description="Its port.")
    socket: str | None = Field(
        default=None,
        validate_default=True,
        description="Path of its Unix socket, instead of `host` and `port`.",
    )
    role: Role = Field(default=Role.WRITER, description="`writer` or `reader`.")
    name: str = Field(
        default="",
        validate_default=True,
        max_length=64,
        pattern=r"^[^\s\"\\]*$",
        description="Its name in logs and metrics.",
        json_schema_extra={"default": "HOST:PORT"},
    )

    weight: Weight = Field(
        default=1.0,
        description="As a reader: its share of the reads, in relation to the others'; 0 for none.",
    )

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        address = parse_address(value, default_port=DEFAULT_PORT)
        if address.is_unix:
            return {"socket": address.path}
        return {"host": address.host, "port": address.port}

    @field_validator("host")
    @classmethod
    def _host_alone(cls, host: str | None) -> str | None:
        if host is not None and (host.count(":") == 1 or re.search(r"[\s/@\[\]]", host)):
            raise ValueError("expected a host name or an IP address alone; the port has a key of its own")
        return host

    @field_validator("socket")
    @classmethod
    def _host_or_socket(cls, socket: str | None, info: ValidationInfo) -> str | None:
        if "host" in info.data and (info.data["host"] is None) == (socket is None):
            raise PydanticCustomError(TABLE_RULE, "expected either `host` or `socket`")
        return None if socket is None else parse_socket_path(socket)

    @field_validator("name")
    @classmethod
    def _name_or_address(cls, name: str, info: ValidationInfo) -> str:
        if name or not info.data.keys() >= {"host", "port", "socket"}:
            return name
        return str(_address(info.data["host"], info.data["port"], info.data["socket"]))

    @property
    def address(self) -> Address:
        """Where to connect to."""
        return _address(self.host, self.port, self.socket)


def _address(host: str | None, port: int, socket: str | None) -> Address:
    return Address(path=socket) if socket is not None else Address(host or "", port)


class Pool(Section):
    """Backend connections; each number holds for one endpoint."""

    size: Count = Field(
        default=40,
        ge=1,
        le=16000,
        description="Most backend connections to one server, whatever their users and states, and whatever room it has (`budget`).",
        json_schema_extra=flag("--pool-size"),
    )
    mode: PoolMode = Field(
        default=PoolMode.TRANSACTION,
        description="When a session gives its backend back: after each `transaction` (or statement outside "
        "of one); `session`: when the client leaves; `statement`: as transaction, and BEGIN is refused.",
        json_schema_extra=flag("--pool-mode"),
    )
    acquire_timeout: Seconds = Field(
        default=5.0,
        gt=0,
        description="How long a client waits for a backend before it gets an error that says who holds them.",
        json_schema_extra=flag("--acquire-timeout"),
    )
    min_idle: Count = Field(
        default=0,
        ge=0,
        validate_default=True,
        description="Idle backends that are kept however little there is to do.",
    )
    shed_target: Seconds = Field(
        default=0.0,
        description="When for `shed_interval` nobody waits less than this for a backend, clients that have waited so long get error 1040 at once: `batch` ones, "
        "and if that is not enough for as long again, all. Less than `acquire_timeout`; 0: everybody waits for that.",
    )
    shed_interval: Seconds = Field(default=1.0, gt=0, description="See `shed_target`.")
    reserve: Count = Field(
        default=1,
        ge=0,
        description="Of `size`, how many backends are kept for clients that hold a backend and wait for another while nothing goes on, which would be a "
        "deadlock until `acquire_timeout`. Never more than one in 16.",
    )
    idle_timeout: Seconds = Field(
        default=60.0, gt=0, description="An idle backend that nobody needed for so long is closed."
    )
    idle_transaction_timeout: Seconds = Field(
        default=0.0,
        description="A client that has a transaction open and does nothing for so long is disconnected (error 4031), and the transaction "
        "rolled back; the log says who it was. 0: never.",
    )
    max_age: Seconds = Field(
        default=3600.0, gt=0, description="A backend of this age is replaced when it is free."
    )
    age_jitter: Fraction = Field(
        default=0.2, description="Each backend's `max_age` is shortened at random by up to this share of it."
    )
    max_opening: Count = Field(
        default=8, ge=1, le=1000, description="Connections to one server that are opened at a time."
    )
    connects_per_second: Weight = Field(
        default=50.0,
        description="Most connections to one server that are opened in a second; after a pause so many may be at once. 0: no limit.",
    )
    max_prepared: Count = Field(
        default=256,
        ge=1,
        description="Most prepared statements kept on one backend, the least recently used is closed; fewer when all backends together "
        "would have more than half of the server's `max_prepared_stmt_count`.",
    )
    connect_timeout: Seconds = Field(
        default=5.0,
        gt=0,
        description="A server that has not completed a login within this time counts as failed.",
    )
    max_captured: Size = Field(
        default=64 << 10,
        ge=1024,
        le=1 << 24,
        description="Most warnings and user variables that are read off a session's backend when another session needs it, in bytes or "
        "as `64K`; a session that has more keeps its backend.",
        json_schema_extra={"default": "64K"},
    )
    paranoid: bool = Field(
        default=False,
        description="For debugging, and slow: between any two commands a session's backend is taken away and made dirty, so that all "
        "of its state has to be captured and restored.",
    )

    @field_validator("min_idle")
    @classmethod
    def _no_more_than_size(cls, min_idle: int, info: ValidationInfo) -> int:
        if min_idle > info.data.get("size", min_idle):
            raise ValueError(f"expected at most `pool.size`, which is {info.data['size']}")
        return min_idle

    @field_validator("shed_target")
    @classmethod
    def _before_timeout(cls, shed_target: float, info: ValidationInfo) -> float:
        timeout = info.data.get("acquire_timeout", shed_target + 1.0)
        if shed_target >= timeout:
            raise ValueError(
                f"expected less than `pool.acquire_timeout`, which is {timeout:g}, as nobody waits for longer"
            )
        return shed_target


class Limits(Section):
    """What clients may use of this process."""

    max_clients: Count = Field(
        default=10000,
        ge=1,
        le=1_000_000,
        description="Client connections at a time; the next one gets error 1040.",
        json_schema_extra=flag("--max-clients"),
    )
    login_timeout: Seconds = Field(
        default=10.0, gt=0, description="A client that has not logged in within this time is closed."
    )
    max_login_delay: Seconds = Field(
        default=4.0, description="Wrong passwords of one user are answered later and later, at most so late."
    )
    max_allowed_packet: Size = Field(
        default=64 << 20,
        ge=1024,
        le=1 << 30,
        description="Longest command of a client, in bytes or as `64M`; a longer one gets error 1153.",
        json_schema_extra={"default": "64M"},
    )
    statement_cache: Size = Field(
        default=8 << 20,
        ge=0,
        le=1 << 34,
        description="Memory for what is known of statement texts, in bytes or as `8M`.",
        json_schema_extra={"default": "8M"},
    )


class ClientTls(Section):
    """TLS between clients and Fanin (never below TLS 1.2)."""

    mode: ClientTlsMode = Field(
        default=ClientTlsMode.OPTIONAL,
        description="`disabled`, `optional` or `required`. Many clients use TLS whenever it is offered; on loopback "
        "`disabled` saves the work.",
    )
    certificate: ExistingFile | None = Field(
        default=None,
        description="PEM file with the certificate shown to clients, and its chain; without it Fanin makes one for "
        "itself at each start, as MySQL does.",
    )
    key: ExistingFile | None = Field(
        default=None, validate_default=True, description="PEM file with the certificate's private key."
    )
    client_ca: ExistingFile | None = Field(
        default=None,
        description="PEM file with CAs; with it every client that uses TLS must show a certificate "
        "of theirs.",
    )

    @field_validator("key")
    @classmethod
    def _key_with_certificate(cls, key: Path | None, info: ValidationInfo) -> Path | None:
        return _both_or_none(key, info)


class ServerTls(Section):
    """TLS between Fanin and servers (never below TLS 1.2)."""

    mode: ServerTlsMode = Field(
        default=ServerTlsMode.PREFERRED,
        description="`disabled`; `preferred`: if the server can; `required`; `verify-ca`: and its "
        "certificate is signed by a trusted CA; `verify-identity`: and made out to its host name.",
        json_schema_extra=flag("--server-tls"),
    )
    ca: ExistingFile | None = Field(
        default=None,
        description="PEM file with trusted CAs; without it those of the system are.",
        json_schema_extra=flag("--server-ca"),
    )
    certificate: ExistingFile | None = Field(
        default=None, description="PEM file with a certificate to show to servers, and its chain."
    )
    key: ExistingFile | None = Field(
        default=None, validate_default=True, description="PEM file with that certificate's private key."
    )

    @field_validator("ca")
    @classmethod
    def _ca_is_used(cls, ca: Path | None, info: ValidationInfo) -> Path | None:
        if ca is not None and info.data.get("mode") not in (
            None,
            ServerTlsMode.VERIFY_CA,
            ServerTlsMode.VERIFY_IDENTITY,
        ):
            raise ValueError("is used with `server_tls.mode` verify-ca or verify-identity only")
        return ca

    @field_validator("key")
    @classmethod
    def _key_with_certificate(cls, key: Path | None, info: ValidationInfo) -> Path | None:
        return _both_or_none(key, info)


def _both_or_none(key: Path | None, info: ValidationInfo) -> Path | None:
    if "certificate" in info.data and (key is None) != (info.data["certificate"] is None):
        raise ValueError("expected `certificate` and `key` together")
    return key


class User(Section):
    """A user whose password Fanin knows beforehand; all others are learnt at their login (`passthrough`). Or one with rules of their own.

    After `load`, `password` is set for those with `password_env` too.
    """

    name: str = Field(min_length=1, max_length=128, description="The user's name, as clients give it.")
    max_backends: Count = Field(
        default=0,
        ge=0,
        description="Most backend connections of this user to one server, as MySQL's `MAX_USER_CONNECTIONS`; 0: as many as others. With this or `priority` "
        "a user needs no password here.",
    )
    priority: Priority = Field(
        default=Priority.INTERACTIVE,
        description="When clients wait: `interactive` ones go first, `batch` has a tenth of the turns and of the backends. A client may choose its own by the "
        "connect attribute `fanin_priority`.",
    )
    password: SecretStr | None = Field(default=None, description="The password.")
    native_hash: SecretStr | None = Field(
        default=None,
        description="`*` and 40 hexadecimal digits: what mysql_native_password keeps of the password. Enough "
        "for clients and servers that use that plugin.",
    )
    password_env: str | None = Field(
        default=None,
        min_length=1,
        validate_default=True,
        description="Name of an environment variable that holds the password.",
    )

    @field_validator("native_hash")
    @classmethod
    def _spelling_of_hash(cls, native_hash: SecretStr | None) -> SecretStr | None:
        if native_hash is not None and not _NATIVE_HASH.fullmatch(native_hash.get_secret_value()):
            raise ValueError('expected "*" and 40 hexadecimal digits')
        return native_hash

    @field_validator("password_env")
    @classmethod
    def _exactly_one(cls, password_env: str | None, info: ValidationInfo) -> str | None:
        if info.data.keys() >= {"password", "native_hash"}:
            secrets = (info.data["password"], info.data["native_hash"], password_env)
            count = sum(secret is not None for secret in secrets)
            has_rules = info.data.get("max_backends") or info.data.get("priority") is Priority.BATCH
            if count > 1:
                raise PydanticCustomError(TABLE_RULE, _ONE_PASSWORD)
            if not count and not has_rules:
                raise PydanticCustomError(
                    TABLE_RULE, f"{_ONE_PASSWORD}, or a rule: `max_backends`, or `priority` batch"
                )
        return password_env


class Database(Section):
    """A database with rules of its own."""

    name: str = Field(min_length=1, max_length=64, description="The database's name.")
    max_backends: Count = Field(
        ge=1,
        description="Most backends of one server that sessions in this database use at a time; more sessions wait, and those of other databases pass them.",
    )


class Http(Section):
    """The HTTP pages for people and monitoring."""

    listen: OptionalListenAddress = Field(
        default=Address("127.0.0.1", 6070),
        description="Where /metrics, /healthz, /readyz, /state, /pins, /fleet and /recording are served, or `off`.",
        json_schema_extra=flag("--http"),
    )

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: object) -> object:
        return {"listen": value} if isinstance(value, str) else value


class Log(Section):
    """The log, on standard error."""

    level: LogLevel = Field(
        default=LogLevel.INFO,
        description="`debug`, `info`, `warning` or `error`.",
        json_schema_extra=flag("--log-level"),
    )
    format: LogFormat = Field(
        default=LogFormat.AUTO,
        description="`json`, `console`, or `auto`: console on a terminal and JSON elsewhere.",
        json_schema_extra=flag("--log-format"),
    )
    queries: bool = Field(default=False, description="Whether the text of statements may appear in the log.")
