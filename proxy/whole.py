"""The pages of several workers: asks each, and shows them as one (`merging`). A shell."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from proxy import merging, recordings
from proxy.control import Channel, ChannelClosed
from proxy.counters import Counters
from proxy.handing import Way
from proxy.orphans import Known
from proxy.recorder import RecordingError
from proxy.shares import DATABASE, USER, name_of
from proxy.snapshot import LONGEST_LIST
from proxy.version import version_line

if TYPE_CHECKING:
    from proxy.parent import Parent

PATIENCE: Final = 2.0
"""Seconds that a worker has for its answer, besides what the matter takes; then the last one counts."""
SENDING: Final = 10.0
"""Seconds that a long answer may take on its way."""


class Post:
    """One worker's: the process that has it now, and the way to that."""

    def __init__(self, worker: int) -> None:
        self.worker: Final = worker
        # processes that have had it
        self.employed = 0
        self.process: asyncio.subprocess.Process | None = None
        self.way: Way | None = None
        # what the one that has it now, or had it last, has told of its connections
        self.known = Known()
        self.is_ready = False
        # when it has said something last, and whether that is too long ago
        self.heard_at = 0.0
        self.is_silent = False
        # what it has told last, and what those before it have counted
        self.told: Mapping[str, Any] | None = None
        self.fallen: Final = Counters()
        self.fallen_seconds: dict[str, float] = {}
        self.fallen_routes: dict[str, dict[str, int]] = {}
        self.fallen_endpoints: merging.Fallen = {}
        self._channel: Channel | None = None

    @property
    def number(self) -> int:
        """As people see it."""
        return self.worker + 1

    @property
    def pid(self) -> int | None:
        """Of the process."""
        return None if self.process is None else self.process.pid

    @property
    def is_serving(self) -> bool:
        """Whether clients are served, and questions answered."""
        return self.is_ready and not self.is_silent

    @property
    def clients(self) -> int:
        """That it has."""
        return 0 if self.way is None else self.way.clients

    def employ(self, process: asyncio.subprocess.Process, channel: Channel, way: Way) -> None:
        """A process has it."""
        self.employed += 1
        self.known = Known()
        self.process, self._channel, self.way = process, channel, way

    def dismiss(self) -> None:
        """That process has ended."""
        if self.told is not None:
            merging.add_counters(self.fallen, self.told["counters"], is_dead=True)
            self.fallen_seconds = merging.sums([self.fallen_seconds, self.told["pinned_seconds"]])
            self.fallen_routes = merging.routes([self.fallen_routes, self.told["routes"]])
            self.fallen_endpoints = merging.fallen(self.fallen_endpoints, self.told["endpoints"])
        self.told = self.process = self.way = self._channel = None
        self.is_ready = self.is_silent = False

    def tell(self, kind: str, value: object = None) -> None:
        """Nothing when there is no process."""
        if self._channel is not None:
            self._channel.tell(kind, value)

    async def ask(self, kind: str, value: object = None, takes: float = 0.0) -> Any:
        """``takes``: seconds that the answer may take of itself. Raises ChannelClosed, or TimeoutError where the process does not answer."""
        if self._channel is None:
            raise ChannelClosed
        if self.is_silent:
            raise TimeoutError
        async with asyncio.timeout(takes + PATIENCE):
            return await self._channel.ask(kind, value)


class Whole:
    """All workers; the source of the pages."""

    def __init__(self, parent: Parent) -> None:
        self._parent: Final = parent

    def _told(self) -> list[tuple[Post, Mapping[str, Any]]]:
        return [(post, post.told) for post in self._parent.posts if post.told is not None]

    def _each(self, key: str) -> list[Any]:
        return [told[key] for _, told in self._told()]

    async def refresh(self) -> None:
        """Ask all workers that are ready. Of one that is silent what it has told last counts."""
        await asyncio.gather(*[self._refresh(post) for post in self._parent.posts if post.is_serving])

    async def _refresh(self, post: Post) -> None:
        process = post.process
        with suppress(TimeoutError, ChannelClosed):
            told = await post.ask("snapshot")
            if post.process is process:
                post.told = told

    @property
    def counters(self) -> Counters:
        """Of all, the dead included."""
        total = Counters()
        for post in self._parent.posts:
            merging.add_counters(total, merging.counts(post.fallen))
        for told in self._each("counters"):
            merging.add_counters(total, told)
        self._parent.count_refused(total)
        return total

    def endpoint_snapshots(self) -> Sequence[Mapping[str, object]]:
        """As one process has them."""
        return self._with_limits(merging.endpoints(self._each("endpoints"), self._fallen_endpoints()))

    def _with_limits(self, endpoints: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """No slot of a limit is missing because it moves."""
        for endpoint in endpoints:
            for kind, key in ((USER, "users"), (DATABASE, "databases")):
                for limited in endpoint[key]:
                    slots = self._parent.ledger.slots.get(name_of(endpoint["name"], kind, limited["name"]))
                    if slots is not None and limited["limit"] is not None:
                        limited["limit"] = slots.limit(limited["limit"])
        return endpoints

    def _fallen_endpoints(self) -> list[merging.Fallen]:
        return [post.fallen_endpoints for post in self._parent.posts]

    def pinned_sessions(self) -> Mapping[str, int]:
        """By reason."""
        return {reason: int(count) for reason, count in merging.sums(self._each("pinned")).items()}

    def pinned_seconds(self) -> Mapping[str, float]:
        """By reason."""
        fallen = [post.fallen_seconds for post in self._parent.posts]
        return merging.sums([*fallen, *self._each("pinned_seconds")])

    def topology(self) -> Mapping[str, object]:
        """As the first sees it."""
        return next(iter(self._each("topology")), {})

    def routes(self) -> Mapping[str, Mapping[str, int]]:
        """By role and reason."""
        fallen = [post.fallen_routes for post in self._parent.posts]
        return merging.routes([*fallen, *self._each("routes")])

    def workers(self) -> tuple[int, int]:
        """How many are ready, and how many have been replaced."""
        posts = self._parent.posts
        return sum(post.is_serving for post in posts), sum(max(0, post.employed - 1) for post in posts)

    def processes(self) -> Sequence[tuple[str, int]]:
        """Their numbers, and the parent."""
        own = [(str(post.number), post.pid) for post in self._parent.posts if post.pid is not None]
        return [("parent", 0), *own]

    def obstacles(self) -> Sequence[str]:
        """Why no traffic should be sent here."""
        if self._parent.stopping.is_set():
            return ["draining"]
        return merging.obstacles([told["obstacles"] for post, told in self._told() if post.is_serving])

    def state(self) -> Mapping[str, object]:
        """/state."""
        told = [(post.number, each) for post, each in self._told()]
        found = merging.state(told, LONGEST_LIST, self._fallen_endpoints())
        return {
            **found,
            "endpoints": self._with_limits(found["endpoints"]),
            "version": version_line(),
            "listeners": self._parent.addresses(),
            "is_draining": self._parent.stopping.is_set(),
            "workers": self._workers(),
        }

    def _workers(self) -> list[dict[str, object]]:
        slots = self._parent.ledger.slots
        return [
            {
                "worker": post.number,
                "pid": post.pid,
                "is_ready": post.is_serving,
                "replaced": max(0, post.employed - 1),
                "clients": post.clients,
                "orphans": self._parent.orphans.count_of(post.worker),
                "slots": {name.replace("\t", " "): each.held[post.worker] for name, each in slots.items()},
            }
            for post in self._parent.posts
        ]

    def pin_report(self) -> Mapping[str, object]:
        """/pins, of living workers."""
        return merging.pins(self._each("pins"))

    async def fleet(self) -> Mapping[str, object]:
        """/fleet."""
        takes = self._parent.settings.pool.connect_timeout
        return merging.fleet(await self._ask_all("fleet", None, takes))

    async def record(self, seconds: float, sample: float) -> bytes:
        """/recording."""
        answers = await self._ask_all("record", {"seconds": seconds, "sample": sample}, seconds + SENDING)
        for answer in answers:
            if "error" in answer:
                raise RecordingError(answer["error"])
        if not answers:
            raise RecordingError("no worker is ready")
        return await asyncio.to_thread(recordings.whole, answers, self._parent.settings.pool.size)

    async def _ask_all(self, kind: str, value: object, takes: float) -> list[Any]:
        """Of those that are ready and neither die nor fall silent over it."""
        asking = [post.ask(kind, value, takes) for post in self._parent.posts if post.is_serving]
        answers = await asyncio.gather(*asking, return_exceptions=True)
        return [answer for answer in answers if isinstance(answer, dict)]
