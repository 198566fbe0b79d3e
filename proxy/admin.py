"""The HTTP pages: /metrics, /healthz, /readyz, /state, /pins, /fleet and /recording.

aiohttp is used here and nowhere else. Read-only, without authentication, and so on loopback unless the settings say
otherwise.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

from aiohttp import web

from config.values import Address
from proxy import fleet_report, pin_report
from proxy.metrics import CONTENT_TYPE, MetricsSource, render
from proxy.recorder import LONGEST, RecordingError

SECONDS: Final = 30.0
"""That a recording takes unless the request says something else."""


class AdminSource(MetricsSource, Protocol):
    """What the pages are read from, all of it at the moment of the request."""

    async def refresh(self) -> None:
        """Called before anything else is asked: what has to be fetched first is fetched now. (`/healthz` asks nothing.)"""

    def obstacles(self) -> Sequence[str]:
        """Why no traffic should be sent here, a sentence each: listeners that are not up, no endpoint of a role that
        answers, draining. Empty when ready."""

    def state(self) -> Mapping[str, object]:
        """A snapshot for people, of values that JSON knows (anything else is shown as text)."""

    def pin_report(self) -> Mapping[str, object]:
        """What `proxy.pin_report.report` makes."""

    async def fleet(self) -> Mapping[str, object]:
        """As `proxy.fleet.Fleet.report`."""

    async def record(self, seconds: float, sample: float) -> bytes:
        """As `proxy.recorder.record`."""


class Admin:
    """The HTTP server. Made by `start`; `stop` ends it."""

    def __init__(self, source: AdminSource) -> None:
        self._source = source
        self._runner: web.AppRunner | None = None
        self._socket_path: str | None = None
        self.addresses: list[Address] = []  # where it listens; a port 0 of the settings is the real one here

    @classmethod
    async def start(cls, listen: Address, source: AdminSource) -> Admin:
        """Listen and answer. Raises OSError, with the address in its text, if that cannot be had."""
        admin = cls(source)
        app = web.Application()
        app.router.add_get("/metrics", admin._metrics)
        app.router.add_get("/healthz", admin._healthz)
        app.router.add_get("/readyz", admin._readyz)
        app.router.add_get("/state", admin._state)
        app.router.add_get("/pins", admin._pins)
        app.router.add_get("/fleet", admin._fleet)
        # without HEAD, which would wait as long for nothing
        app.router.add_get("/recording", admin._recording, allow_head=False)
        # whoever does not wait for a recording any longer ends it
        runner = web.AppRunner(
            app, access_log=None, handle_signals=False, shutdown_timeout=1.0, handler_cancellation=True
        )
        admin._runner = runner
        await runner.setup()
        try:
            await admin._listen(runner, listen)
        except OSError as error:
            await admin.stop()
            raise OSError(error.errno, f"HTTP on {listen}: {error.strerror or error}") from error
        except BaseException:
            await admin.stop()
            raise
        return admin

    async def _listen(self, runner: web.AppRunner, listen: Address) -> None:
        if listen.path is None:
            await web.TCPSite(runner, listen.host, listen.port).start()
            self.addresses = [Address(host, port) for host, port, *_ in runner.addresses]
            return
        await web.UnixSite(runner, listen.path).start()
        self._socket_path = listen.path
        self.addresses = [listen]

    def remove_socket(self) -> None:
        """For a process that ends at once."""
        if self._socket_path is not None:
            _remove(self._socket_path)

    async def stop(self) -> None:
        """Stop listening; requests under way get a second. May be called again."""
        runner, self._runner = self._runner, None
        if runner is None:
            return
        await runner.cleanup()
        self.remove_socket()

    async def _metrics(self, _request: web.Request) -> web.Response:
        await self._source.refresh()
        return web.Response(body=render(self._source), headers={"Content-Type": CONTENT_TYPE})

    async def _healthz(self, _request: web.Request) -> web.Response:
        return _json({"status": "alive"})

    async def _readyz(self, _request: web.Request) -> web.Response:
        await self._source.refresh()
        obstacles = list(self._source.obstacles())
        if obstacles:
            return _json({"status": "not ready", "reasons": obstacles}, status=503)
        return _json({"status": "ready"})

    async def _state(self, _request: web.Request) -> web.Response:
        await self._source.refresh()
        return _json(self._source.state())

    async def _pins(self, request: web.Request) -> web.Response:
        await self._source.refresh()
        return _page(request, self._source.pin_report(), pin_report.as_text)

    async def _fleet(self, request: web.Request) -> web.Response:
        return _page(request, await self._source.fleet(), fleet_report.as_text)

    async def _recording(self, request: web.Request) -> web.Response:
        """Answered when the recording is over."""
        try:
            seconds = _within(request, "seconds", SECONDS, LONGEST)
            sample = _within(request, "sample", 1.0, 1.0)
        except ValueError as error:
            return web.Response(text=f"{error}\n", status=400)
        try:
            content = await self._source.record(seconds, sample)
        except RecordingError as error:
            return web.Response(text=f"{error}\n", status=409)
        return web.Response(body=content, content_type="application/octet-stream")


def _page(
    request: web.Request, found: Mapping[str, object], as_text: Callable[[Mapping[str, object]], str]
) -> web.Response:
    """As JSON, or as the text that `format=text` asks for."""
    return web.Response(text=as_text(found)) if request.query.get("format") == "text" else _json(found)


def _within(request: web.Request, name: str, default: float, most: float) -> float:
    """A number of the query string, above 0 and up to `most`."""
    text = request.query.get(name)
    if text is None:
        return default
    with suppress(ValueError):
        value = float(text)
        if 0 < value <= most:
            return value
    raise ValueError(f"expected {name} above 0 and up to {most:g}, got {text!r}")


def _remove(socket_path: str) -> None:
    with suppress(FileNotFoundError):
        Path(socket_path).unlink()


def _json(value: object, *, status: int = 200) -> web.Response:
    text = json.dumps(value, default=str, indent=2) + "\n"
    return web.Response(text=text, status=status, content_type="application/json")
