"""The limits of one endpoint's pool."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.pool_states import NEVER

if TYPE_CHECKING:
    from config.settings import Settings


class EndpointRules:
    """The limits of one endpoint's pool, seconds and counts."""

    __slots__ = (
        "acquire_timeout",
        "age_jitter",
        "connects_per_second",
        "database_limits",
        "idle_timeout",
        "is_paranoid",
        "max_age",
        "max_opening",
        "max_prepared",
        "max_size",
        "min_idle",
        "reserve",
        "shed_interval",
        "shed_target",
        "user_limits",
    )

    def __init__(self, settings: Settings) -> None:
        pool = settings.pool
        self.max_size: int = pool.size
        self.min_idle: int = pool.min_idle
        self.reserve: int = pool.reserve
        self.shed_target: float = pool.shed_target or NEVER
        self.shed_interval: float = pool.shed_interval
        self.acquire_timeout: float = pool.acquire_timeout
        self.idle_timeout: float = pool.idle_timeout
        self.max_age: float = pool.max_age
        self.age_jitter: float = pool.age_jitter
        self.max_opening: int = pool.max_opening
        self.connects_per_second: float = pool.connects_per_second
        self.max_prepared: int = pool.max_prepared
        # most backends, by user; most leases, by database
        self.user_limits: dict[bytes, int] = {
            user.name.encode(): user.max_backends for user in settings.users if user.max_backends
        }
        self.database_limits: dict[bytes, int] = {
            database.name.encode(): database.max_backends for database in settings.databases
        }
        self.is_paranoid: bool = pool.paranoid
