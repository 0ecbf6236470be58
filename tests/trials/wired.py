"""The shop of `Battle` with a door that breaks things on every wire, on a small disk of its own, its clocks in our hand."""

import asyncio
import dataclasses
import os
import random
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from battle import Battle, crowd
from customers import Customers
from faults import FaultDoor
from till import until
from world import World

from dev.account import Account
from dev.kept import Kept
from dev.locks import Lock
from dev.postgres import Cluster
from shop import schema

DISK_MB = 400
SMALL = {"max_wal_size": "96MB", "min_wal_size": "32MB", "max_connections": "60"}
"""Settings of a database on it."""
_LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))


class ClockedCluster(Cluster):
    """Its clock is ahead by what `set_ahead` says, where libfaketime is installed."""

    @property
    def can_be_set(self) -> bool:
        return bool(_LIBRARIES)

    def set_ahead(self, seconds: int) -> None:
        self._ahead.write_text(f"{seconds:+d}\n")

    @property
    def _ahead(self) -> Path:
        return self.directory / "ahead"

    def _launch(self, runner: Account, owner: Lock, running: Lock) -> Kept:
        if self.can_be_set:
            self.set_ahead(0)
            runner = dataclasses.replace(runner, programs=self._programs(runner.programs))
        return super()._launch(runner, owner, running)

    def _programs(self, real: Path) -> Path:
        """Postgres alone gets a clock of its own, not the keeper that starts it."""
        folder = self.directory / "programs"
        folder.mkdir(exist_ok=True)
        settings = f"LD_PRELOAD={_LIBRARIES[0]} FAKETIME_TIMESTAMP_FILE={self._ahead} FAKETIME_CACHE_DURATION=1"
        script = folder / "postgres"
        script.write_text(f'#!/bin/sh\nexport {settings} FAKETIME_DONT_FAKE_MONOTONIC=1\nexec {real}/postgres "$@"\n')
        script.chmod(0o755)
        return folder


class Wired(Battle):
    """`database`, `doors` (one for each that serves) and `public` (where WeChat's news arrive) are the wires; `outside`
    are the addresses that clients use."""

    def __init__(self, folder: Path, cluster: Cluster, world: Any, *, small_disk: bool) -> None:
        self.small_disk = small_disk
        self.dice = random.Random(0)
        self.data = folder / "data"
        self.data.mkdir()
        (self.data / "sandbox").symlink_to(world.folder)
        assert cluster.port is not None
        self.database = FaultDoor(cluster.port, self.dice)
        url = cluster.app_url().replace(f":{cluster.port}/", f":{self.database.port}/")
        self.public = FaultDoor(0, self.dice)
        address = f"http://127.0.0.1:{self.public.port}"
        super().__init__(
            folder, cluster, world, DATABASE_URL=url, SHOP_DATA_DIR=str(self.data), SHOP_PUBLIC_URL=address
        )
        self.ports = [int(url.rpartition(":")[2]) for url in self.urls]
        self.public.upstream = self.ports[0]
        self.doors = [FaultDoor(port, self.dice) for port in self.ports]
        self.outside = [f"http://127.0.0.1:{door.port}" for door in self.doors]

    def stop(self) -> None:
        super().stop()
        for door in (self.database, self.public, *self.doors):
            door.close()

    def known(self) -> list[str]:
        return [row["no"] for row in self.fetch("SELECT no FROM orders")]

    def shop_ahead(self, seconds: float) -> None:
        """The clock of all processes of the shop; WeChat's stays as it is."""
        followed = self.data / "sandbox"
        if followed.is_symlink():
            followed.unlink()
        else:
            shutil.rmtree(followed)
        if seconds:
            followed.mkdir()
            (followed / "clock").write_text(str(self._offset() + seconds))
        else:
            followed.symlink_to(self.world.folder)

    def _offset(self) -> float:
        clock = self.world.folder / "clock"
        return float(clock.read_text()) if clock.exists() else 0.0


@contextmanager
def shopping(battle: Battle, size: int, urls: list[str] | None = None) -> Iterator[Customers]:
    """Customers at it inside the block. Afterwards: whoever paid has paid, and nothing is lost or broken."""
    before = [row["no"] for row in battle.fetch("SELECT no FROM orders")]
    customers = Customers(battle, size, urls)
    customers.stock()
    with crowd(size, customers.act, customers.over):
        yield customers
        began = len(customers.answered)
        until("orders are taken again", lambda: len(customers.answered) >= began + size, 60)
    battle.heal()
    battle.verdict(before + customers.answered)
    states = dict(battle.fetch("SELECT no, state FROM orders"))
    assert {states[no] for no in customers.paid} <= {"paid"}


def pause(seconds: float) -> None:
    threading.Event().wait(seconds)


@contextmanager
def small_disk(folder: Path) -> Iterator[bool]:
    """`folder` is a disk of `DISK_MB` inside the block, where this user may mount one."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m,mode=700", "tmpfs", str(folder)]
    mounted = (
        os.geteuid() == 0
        and shutil.which("mount") is not None
        and subprocess.run(command, capture_output=True, check=False).returncode == 0
    )
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def wiring(folder: Path) -> Iterator[Wired]:
    world = World(folder / "world" / "sandbox")
    try:
        with small_disk(folder / "disk") as small, ClockedCluster(folder / "disk" / "pg", settings=SMALL) as cluster:
            asyncio.run(schema.migrate(cluster.owner_url(), "shop_app"))
            made = Wired(folder, cluster, world, small_disk=small)
            try:
                yield made
            finally:
                made.stop()
    finally:
        world.stop()
