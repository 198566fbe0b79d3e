"""What all sessions of one process share. Plain state; whoever owns a part changes it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakValueDictionary

from proxy.counters import Counters
from proxy.credentials import PROOF_LIFETIME, Credentials, LoginDelays
from proxy.identity import KeyTable
from proxy.idle import IdleWatch
from proxy.lingering import GRACE, Lingering
from proxy.pin_records import PinBook
from proxy.residue import MAX_CAPTURED
from proxy.rsa import KeyPair
from proxy.sources import Sources
from proxy.turns import Turns

if TYPE_CHECKING:
    from proxy.budgets import Budgets
    from proxy.classify import StatementCache
    from proxy.cluster import Cluster
    from proxy.colleagues import Colleagues
    from proxy.connector import Facts
    from proxy.endpoint import Endpoint
    from proxy.frontend import Frontend
    from proxy.login import Login
    from proxy.placing import Placing
    from proxy.unseen import Survey

FIRST_CONNECTION_ID: Final = 0x80000000
"""Own ids never meet a server's own (field.md, trap 45)."""
ID_COUNT: Final = 0x7FFFFFFF

SESSION_POOLING: Final = 0
TRANSACTION_POOLING: Final = 1
STATEMENT_POOLING: Final = 2


class Shared:
    """The parts of a process that its sessions use."""

    __slots__ = (
        "acquire_timeout",
        "announced",
        "batch_users",
        "budgets",
        "clients_lingering",
        "cluster",
        "colleagues",
        "counters",
        "credentials",
        "delays",
        "facts",
        "facts_known",
        "frontends",
        "has_trackers",
        "idle",
        "is_draining",
        "key_pair",
        "keys",
        "log",
        "login_timeout",
        "logins",
        "logins_lingering",
        "loop",
        "max_captured",
        "max_clients",
        "max_packet",
        "next_id",
        "now",
        "others",
        "pins",
        "placing",
        "pool_mode",
        "proof_locks",
        "proven_schemas",
        "readers",
        "sources",
        "statements",
        "surveys",
        "surveys_definitions",
        "turns",
        "worker",
        "workers",
        "writers",
    )

    def __init__(
        self,
        *,
        loop: asyncio.AbstractEventLoop,
        counters: Counters,
        credentials: Credentials,
        facts: Facts,
        statements: StatementCache,
        pool_mode: int,
        max_packet: int,
        max_clients: int,
        login_timeout: float,
        max_login_delay: float,
        acquire_timeout: float,
        batch_users: frozenset[bytes] = frozenset(),
        max_captured: int = MAX_CAPTURED,
        announced: dict[str, str] | None = None,
        log: Any,
    ) -> None:
        self.loop: asyncio.AbstractEventLoop = loop
        self.counters: Counters = counters
        # what pinned sessions, by statement
        self.pins: PinBook = PinBook(loop.time())
        self.credentials: Credentials = credentials
        self.delays: LoginDelays = LoginDelays(max_login_delay)
        # for clients that send their password over a readable connection
        self.key_pair: KeyPair = KeyPair()
        self.facts: Facts = facts
        self.statements: StatementCache = statements
        self.pool_mode: int = pool_mode
        # limit of one command after login
        self.max_packet: int = max_packet
        self.max_clients: int = max_clients
        # connect attributes of backends (`attributes`), by which servers tell this process from others
        self.announced: dict[str, str] = announced or {}
        # bytes of residue that are captured of one session
        self.max_captured: int = max_captured
        # seconds
        self.login_timeout: float = login_timeout
        self.acquire_timeout: float = acquire_timeout
        # users whose clients give way to others, unless they say otherwise
        self.batch_users: frozenset[bytes] = batch_users
        # a server has been reached at least once, so that clients can be greeted as it would
        self.facts_known: asyncio.Event = asyncio.Event()
        self.log: Any = log
        # clients in the connection phase, oldest first
        self.logins: dict[Login, None] = {}
        self.turns: Turns = Turns(loop)
        # pairs of user and schema that a server has accepted, and when
        self.proven_schemas: dict[tuple[bytes, bytes], float] = {}
        # user -> lock: one unknown password of a user is tried at a time
        self.proof_locks: WeakValueDictionary[bytes, asyncio.Lock] = WeakValueDictionary()
        self.keys: KeyTable = KeyTable()
        self.sources: Sources = Sources()
        self.writers: list[Endpoint] = []
        self.readers: list[Endpoint] = []
        # those that are neither now: not known yet, not reachable, or leaving
        self.others: list[Endpoint] = []
        # how many connections there may be to each server; None: as many as `pool.size` says
        self.budgets: Budgets | None = None
        # who is what, when the servers say so and not the configuration
        self.cluster: Cluster | None = None
        # set where commands have to be placed on one of several servers
        self.placing: Placing | None = None
        # sessions by their connection id
        self.frontends: dict[int, Frontend] = {}
        # some session on MariaDB is told of changes, and must not be told what others have left
        self.has_trackers: bool = False
        # the clock, as of the last tick
        self.now: float = loop.time()
        # clients by the time at which their wait_timeout may be up
        self.idle: IdleWatch[Frontend] = IdleWatch(self.now)
        # closed, and perhaps not gone: those that were in, and those that never were
        self.clients_lingering: Lingering = Lingering(GRACE)
        self.logins_lingering: Lingering = Lingering(0.0)
        # names of endpoints and users -> the definitions that read the insert id; set by the process: whether they are asked for
        self.surveys: dict[tuple[str, bytes], Survey] = {}
        self.surveys_definitions: bool = False
        self.is_draining: bool = False
        self.next_id: int = 0
        # of so many processes that have their listeners in common this is the one with that number; and who knows the others (`colleagues`); None: there are none
        self.workers: int = 1
        self.worker: int = 0
        self.colleagues: Colleagues | None = None

    def new_connection_id(self) -> int:
        """An id that no client of this process has, nor of its colleagues: which worker's it is shows in the id."""
        while True:
            number = self.next_id % (ID_COUNT // self.workers)
            connection_id = FIRST_CONNECTION_ID + number * self.workers + self.worker
            self.next_id += 1
            if connection_id not in self.frontends:
                return connection_id

    def is_colleagues(self, connection_id: int) -> bool:
        """Whether one of our ids is of another worker's client, if of anybody's."""
        return (connection_id - FIRST_CONNECTION_ID) % self.workers != self.worker

    async def wait_for_facts(self) -> None:
        """Wait until a server has been reached, for `acquire_timeout` at most."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self.acquire_timeout):
                await self.facts_known.wait()

    def proof_lock(self, user: bytes) -> asyncio.Lock:
        """Held while a password of this user is proven with a server, so that many clients with the same one cost one login."""
        lock = self.proof_locks.get(user)
        if lock is None:
            lock = self.proof_locks[user] = asyncio.Lock()
        return lock

    def is_proven_schema(self, user: bytes, schema: bytes) -> bool:
        """Whether a server has accepted this user in this schema within the last PROOF_LIFETIME."""
        proven_at = self.proven_schemas.get((user, schema))
        return proven_at is not None and self.loop.time() - proven_at < PROOF_LIFETIME

    def forget_baseline(self) -> None:
        """Global variables have changed: what a fresh connection is like must be measured anew, and backends of before go."""
        self.facts.forget_logins()
        for endpoint in self.endpoints():
            endpoint.retire_all()
            endpoint.forget_init_connect()

    def charsets_at_login(self, user: bytes, collation: int) -> tuple[bytes, ...] | None:
        """CHARSET_VARIABLES of a new connection of this user; None if they have to be measured."""
        is_initialised = any([endpoint.first_statement(user) for endpoint in self.endpoints()])
        return self.facts.charsets_at_login(collation, is_initialised)

    def endpoints(self) -> list[Endpoint]:
        """Every endpoint, writers first."""
        return self.writers + self.readers + self.others

    def choose(self, is_reader: bool) -> Endpoint:
        """The endpoint for a session's next lease: the writer, or the reader with the least demand, in turns among equals. Where the servers
        themselves say who is what, a reader that is near enough."""
        if is_reader and self.cluster is not None and self.cluster.is_known:
            return self.cluster.for_reader_listener()
        # without a writer in the configuration there is none until one is found
        candidates = (self.readers if is_reader else self.writers) or self.endpoints()
        if len(candidates) == 1:
            return candidates[0]
        best = candidates[0]
        for endpoint in candidates:
            if endpoint.demand() < best.demand():
                best = endpoint
        # the next choice among equals starts with another one
        candidates.remove(best)
        candidates.append(best)
        return best
