"""The process: from a configuration and a listening socket to an exit code."""

from __future__ import annotations

import asyncio
import gc
import logging
import resource
import signal
import socket
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path

import uvicorn
import uvloop
from uvicorn.server import ServerState

from webhook_inlet import config as configuration
from webhook_inlet.clock import ClockWatch
from webhook_inlet.config import Config
from webhook_inlet.config_mistakes import ConfigMistakes
from webhook_inlet.pages.routes import pages
from webhook_inlet.receiving.app import App, application
from webhook_inlet.receiving.protocol import (
    HEAD_SECONDS,
    IDLE_SECONDS,
    MAX_CONNECTIONS,
    MAX_CONNECTIONS_AT_ALL,
    InletProtocol,
)
from webhook_inlet.receiving.receive import Receiver
from webhook_inlet.receiving.window import WINDOW_KEYS, KeyWindow, read_keys
from webhook_inlet.service import Service
from webhook_inlet.store import Store, StoreError
from webhook_inlet.stores.opening import make_store
from webhook_inlet.writer import Writer

#: Seconds of the start that may go into reading the keys of what is stored
REBUILD_SECONDS = 2.0
#: Seconds for the others, while posts come in
OLDER_SECONDS = 600.0
#: Seconds that connections on which nothing came get at the end, and that open requests get
QUIET_SECONDS = 1.0
OPEN_SECONDS = 8.0
RETENTION_SECONDS = 3600.0
TICK_SECONDS = 0.1
#: Open files: connections, segments, and what readers are sent
FILES = MAX_CONNECTIONS_AT_ALL + 500
#: Connections that the kernel accepts before the process does
BACKLOG = 2048

logger = logging.getLogger("webhook_inlet")


def run(file: Path, config: Config, listener: socket.socket, announce: Callable[[], None]) -> int:
    """Serves until a signal or a failure of the store, and returns the exit code.

    `announce` is called when posts are taken.
    """
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # it would end a process that starts
    _allow_files(FILES)
    store = make_store(config.store)
    try:
        store.open()
    except StoreError as error:
        logger.error("%s", error)
        return 1
    window = KeyWindow(WINDOW_KEYS)
    unread = {inlet.name: store.recent_keys(inlet.name) for inlet in config.inlets}
    for digest in reversed(_read_keys(unread, WINDOW_KEYS, REBUILD_SECONDS)):
        window.add(digest)
    logger.info("%d keys of stored events are known%s", len(window), ", older ones are being read" if unread else "")
    gc.collect()
    gc.freeze()  # what is there now stays; the collector need not look at it again
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(Process(file, config, store, window, unread, listener, announce).run())


def _allow_files(wanted: int) -> None:
    """Raises the limit of open files, which is often 1,024, as far as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        raised = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))


def _read_keys(unread: dict[str, Iterator[bytes]], size: int, seconds: float) -> list[bytes]:
    """What cannot be read is a warning: an event that is not known is stored twice, and its key makes them one."""
    try:
        return read_keys(unread, size, seconds)
    except StoreError as error:
        unread.clear()
        logger.warning("the keys of stored events are not known: %s", error)
        return []


class Process:
    """One process while its loop runs. Everything here is called on the loop."""

    def __init__(
        self,
        file: Path,
        config: Config,
        store: Store,
        window: KeyWindow,
        unread: dict[str, Iterator[bytes]],
        listener: socket.socket,
        announce: Callable[[], None],
    ) -> None:
        self._file, self._window, self._listener, self._announce = file, window, listener, announce
        self._store, self._unread = store, unread
        self._config = config
        self._state = ServerState()
        self._signals = 0
        self._wake = asyncio.Event()  # a signal came, or the store failed
        self._background: set[asyncio.Task[None]] = set()
        self._reloading = asyncio.Lock()

    async def run(self) -> int:
        """From the first connection to the last."""
        loop = asyncio.get_running_loop()
        writer = Writer(self._store, lambda commit: self.service.commits.committed(commit))
        self.service = Service(self._config, self._store, writer)
        self.service.configure(self._config)
        self.receiver = Receiver(self.service, self._window)
        await self._remember()
        app = application(self.service, self.receiver, pages(self.service))
        server = await self._listen(app)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signaled)
        loop.add_signal_handler(signal.SIGHUP, lambda: self._spawn(self._reload()))
        self._announce()
        self._spawn(self._tick())
        self._spawn(self._retain())
        self._spawn(self._read_older_keys())
        await self._wake.wait()
        await self._drain(server)
        for task in self._background:
            task.cancel()
        await writer.close()
        if writer.fatal:
            logger.error("webhook-inlet ends: %s", writer.fatal)
            return 1
        logger.info("everything is stored; webhook-inlet ends")
        return 0

    async def _listen(self, app: App) -> asyncio.Server:
        config = uvicorn.Config(
            app,
            interface="asgi3",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            limit_concurrency=MAX_CONNECTIONS,
        )
        config.load()
        # a line for every malformed request would be a way to fill the log
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
        return await asyncio.get_running_loop().create_server(
            lambda: InletProtocol(config=config, server_state=self._state, app_state={}),
            sock=self._listener,
            backlog=BACKLOG,
        )

    def _spawn(self, coroutine: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    def _signaled(self) -> None:
        self._signals += 1
        logger.info("a signal came: %s", "draining" if self._signals == 1 else "ending without delay")
        self._wake.set()

    async def _tick(self) -> None:
        """Deadlines of posts and connections, and the writer's health."""
        ticks = 0
        loop = asyncio.get_running_loop()
        before = loop.time()
        while True:
            await asyncio.sleep(TICK_SECONDS)
            before, late = loop.time(), loop.time() - before - TICK_SECONDS
            if late > 1.0:  # the process stood still: what was sent in time waits to be read
                for connection in self._connections():
                    connection.deadline += late
            self.receiver.look()
            if self.service.writer.fatal:
                self._wake.set()
            ticks += 1
            if ticks % 5 == 0:
                now = loop.time()
                crowded = len(self._connections()) > MAX_CONNECTIONS // 2
                for connection in list(self._connections()):
                    spared = IDLE_SECONDS - HEAD_SECONDS if crowded and connection.is_quiet else 0
                    if connection.deadline < now + spared:
                        connection.expire()

    def _connections(self) -> set[InletProtocol]:
        return self._state.connections  # type: ignore[return-value]

    async def _drain(self, server: asyncio.Server) -> None:
        """Posts are taken until balancers have seen that `/readyz` says no; then what is open is answered."""
        self.service.draining = True
        self._state.default_headers.append((b"connection", b"close"))
        loop = asyncio.get_running_loop()
        until = loop.time() + self.service.config.drain_seconds
        while loop.time() < until and self._signals < 2 and not self.service.writer.fatal:
            await asyncio.sleep(TICK_SECONDS)
        server.close()
        # what was accepted just now is a connection only some steps of the loop later
        await asyncio.sleep(TICK_SECONDS / 2)
        quiet, end = loop.time() + QUIET_SECONDS, loop.time() + OPEN_SECONDS
        while self._connections() and loop.time() < end:
            if loop.time() >= quiet or self._signals > 1:
                for connection in list(self._connections()):
                    if connection.is_quiet:
                        connection.transport.close()
            await asyncio.sleep(TICK_SECONDS / 2)
        for connection in list(self._connections()):
            connection.transport.abort()

    async def _reload(self) -> None:
        """Takes over inlets and secrets of the file; a file with mistakes changes nothing."""
        async with self._reloading:  # two signals: the file as it is at the end counts
            await self._take_over()

    async def _take_over(self) -> None:
        service = self.service
        try:
            config = await asyncio.to_thread(configuration.load, self._file)
        except ConfigMistakes as error:
            for mistake in error.mistakes:
                logger.error("the configuration was not taken over: %s", mistake)
            for inlet in service.inlets.values():
                inlet.stats.failed("The configuration was not taken over, because it has mistakes; the log names them.")
            return
        if config.store != service.config.store:
            logger.warning("store: was changed in the configuration; that needs a restart")
            config = config.model_copy(update={"store": service.config.store})
        service.configure(config)
        await self._remember()
        logger.info("the configuration was taken over: %d inlets", len(config.inlets))

    async def _remember(self) -> None:
        """When the newest events of inlets came, as the store knows it."""
        for name, inlet in list(self.service.inlets.items()):
            if inlet.stats.last_event_at is None:
                try:
                    inlet.stats.remember(await asyncio.to_thread(self._store.newest_at, name))
                except StoreError as error:
                    logger.warning("inlet %s: the time of its newest event is not known: %s", name, error)

    async def _read_older_keys(self) -> None:
        """Fills the window with what the start had no time for."""
        missing = WINDOW_KEYS - len(self._window)
        if self._unread and missing > 0:
            self._window.add_older(await asyncio.to_thread(_read_keys, self._unread, missing, OLDER_SECONDS))
            logger.info("%d keys of stored events are known", len(self._window))

    async def _retain(self) -> None:
        """Removes what is old enough, once an hour."""
        watch = ClockWatch()
        while True:
            if moved := watch.moved():
                logger.error(
                    "This machine's clock was moved by %.0f s since the start. It is not known how old events are, so "
                    "none is removed. Look at the clock, then restart.",
                    moved,
                )
            else:
                await self._remove_old()
            await asyncio.sleep(RETENTION_SECONDS)

    async def _remove_old(self) -> None:
        before = time.time() - self.service.config.retention_days * 86_400
        try:
            removed = await asyncio.to_thread(self._store.remove_before, int(before * 1e6))
            if removed:
                logger.info(
                    "%d segments were older than %d days and are removed", removed, self.service.config.retention_days
                )
        except StoreError as error:
            logger.warning("old segments were not removed: %s", error)
        except Exception as error:
            logger.error("old segments were not removed", exc_info=error)
