"""Where the time of one call goes: by layer, and by function.

    python -m tests.load.profile_calls [--door | --ports | --instructions] [--lines N] CALL...

The service runs in this process under cProfile, on a canned store in another: its pipeline alone,
with --door behind HTTP, with --ports on no store at all. cProfile makes calls of small functions
look dearer than they are: use the shares to find candidates, and `make bench` and `make
instructions` to judge them. --instructions counts them for these calls, where valgrind is there.
"""

from __future__ import annotations

import asyncio
import cProfile
import pstats
import re
import sys
import time
from collections import defaultdict
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import click

from tests.load import client, instructions, sides
from tests.load.calls import CALLS, Call
from tests.load.in_process import (
    logging_to_nowhere,
    pipeline_on_ports,
    run_calls,
    running_door,
    running_pipeline,
)
from tests.load.processes import processors, running
from tests.support.stores import free_port

Function = tuple[str, int, str]
_WARM_UP = 200
_SECONDS = 3
_CONNECTIONS = 32
# The first that fits a file's path.
_LAYERS = {
    "service: pipeline and routing": r"service/(pipeline|routing|exchange|ratelimit|problems)\.py",
    "service: schemas": r"service/schemas/",
    "service: operations": r"service/(operations|auth|imageformat)/|service/endpoints\.py",
    "service: storage": r"service/storage/",
    "service: log and metrics": r"service/(telemetry|metrics)\.py",
    "service: door": r"service/web/",
    "service: the rest": r"/service/",
    "marshmallow": r"/marshmallow/",
    "logging": r"/logging/",
    "prometheus": r"/prometheus_client/",
    "botocore and aiobotocore": r"/(aio)?botocore/",
    "aiohttp": r"/(aiohttp|yarl|multidict|propcache|aiosignal|frozenlist)/",
    "asyncio and selectors": r"/(asyncio/|selectors\.py|contextlib\.py)",
    "JSON and XML": r"/(json|xml)/",
}


@click.command()
@click.argument("names", metavar="CALL...", nargs=-1, type=click.Choice([*CALLS]))
@click.option("--door", is_flag=True, help="Through HTTP, and not the pipeline alone.")
@click.option("--ports", is_flag=True, help="On ports that answer at once.")
@click.option("--instructions", "count", is_flag=True, help="Count instructions (valgrind).")
@click.option("--requests", default=2000, show_default=True, help="How many, without --door.")
@click.option("--lines", default=30, show_default=True, help="Functions to show.")
@click.option("--save", type=click.Path(file_okay=False, path_type=Path), help="For pstats.")
def main(
    names: tuple[str, ...],
    door: bool,
    ports: bool,
    count: bool,
    requests: int,
    lines: int,
    save: Path | None,
) -> None:
    """Profile these calls; all five where none is named."""
    if door + ports + count > 1:
        raise click.UsageError("--door, --ports and --instructions exclude each other.")
    if count:
        _count(names or tuple(CALLS))
        return
    _, other = processors()
    port, log = free_port(), sides.BUILD / "logs" / "store.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with running(sides.store_command(port), port, other, log):
        store = f"http://127.0.0.1:{port}"
        for name in names or CALLS:
            call = CALLS[name]
            if door:
                profile, count = _profiled(_through_door(store, call))
            else:
                profile, count = _profiled(_alone(None if ports else store, call, requests))
            stats = pstats.Stats(profile)
            _show(name, stats, count, lines)
            if save is not None:
                save.mkdir(parents=True, exist_ok=True)
                stats.dump_stats(save / f"{name}.prof")


def _count(names: tuple[str, ...]) -> None:
    try:
        for name, number in instructions.counted(names).items():
            click.echo(f"{name:14}{number:>12,} instructions a call, with logs, metrics and limits")
    except instructions.CannotCount as error:
        raise click.ClickException(str(error)) from error


def _profiled(work: Any) -> tuple[cProfile.Profile, int]:
    with logging_to_nowhere():
        done: tuple[cProfile.Profile, int] = asyncio.run(work)
    return done


async def _alone(store: str | None, call: Call, requests: int) -> tuple[cProfile.Profile, int]:
    async with AsyncExitStack() as stack:
        if store is None:
            pipeline = pipeline_on_ports()
        else:
            pipeline = await stack.enter_async_context(running_pipeline(store))
        await run_calls(pipeline, call, _WARM_UP)
        before = time.process_time()
        await run_calls(pipeline, call, requests)
        spent = time.process_time() - before
        click.echo(f"\n{call.name}: {spent / requests * 1e6:.0f} us of CPU a request")
        with cProfile.Profile(time.thread_time) as profile:
            await run_calls(pipeline, call, requests)
    return profile, requests


async def _through_door(store: str, call: Call) -> tuple[cProfile.Profile, int]:
    """The number of requests is what the profile counts: the client does not see the last ones."""
    _, other = processors()
    async with running_door(store) as port:
        await asyncio.to_thread(client.drive, call, port, 1, _CONNECTIONS, other)
        with cProfile.Profile(time.thread_time) as profile:
            outcome = await asyncio.to_thread(
                client.drive, call, port, _SECONDS, _CONNECTIONS, other
            )
    if outcome.refused or outcome.failed:
        raise click.ClickException(f"{outcome.refused} refused, {outcome.failed} failed")
    return profile, 0


def _show(name: str, stats: pstats.Stats, count: int, lines: int) -> None:
    table: dict[Function, Any] = stats.stats  # type: ignore[attr-defined]
    own: dict[Function, float] = {}
    layers: dict[str, float] = defaultdict(float)
    for function, (_, _, seconds, _, callers) in table.items():
        if "select.epoll" in function[2] or "lock.acquire" in function[2]:
            continue  # waiting
        own[function] = seconds
        if function[0] != "~":
            layers[_layer(function)] += seconds
            continue
        # What C does is done for whoever asked.
        for caller, (_, _, part, _) in callers.items():
            layers[_layer(caller)] += part
    whole = sum(own.values())
    count = count or max(
        entry[1]
        for (path, _, name), entry in table.items()
        # Called once for each; a coroutine counts again whenever it goes on.
        if name == "answered" and path.endswith("service/telemetry.py")
    )
    click.echo(f"\n{name}: {whole / count * 1e6:.0f} us a request under the profiler")
    for layer, seconds in sorted(layers.items(), key=lambda each: -each[1]):
        click.echo(f"  {seconds / count * 1e6:8.1f} us {100 * seconds / whole:5.1f} %  {layer}")
    click.echo(f"\n  {'own us':>8} {'with callees':>13} {'calls':>7}  function")
    for function, seconds in sorted(own.items(), key=lambda each: -each[1])[:lines]:
        _, calls, _, total, _ = table[function]
        click.echo(
            f"  {seconds / count * 1e6:8.1f} {total / count * 1e6:13.1f} {calls / count:7.1f}  "
            f"{_shown(function)}"
        )


def _layer(function: Function) -> str:
    for layer, pattern in _LAYERS.items():
        if re.search(pattern, function[0]):
            return layer
    return "Python's own, and the rest"


def _shown(function: Function) -> str:
    path, line, name = function
    if path == "~":
        return name
    short = re.sub(r".*/(site-packages|python3\.\d+)/", "", path)
    return f"{short.removeprefix(str(sides.ROOT) + '/')}:{line} {name}"


if __name__ == "__main__":
    main(sys.argv[1:])
