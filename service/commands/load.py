"""mont load."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from yarl import URL

from service import __version__
from service.client import MontClient
from service.commands.common import Failure
from service.commands.remote import (
    INTERRUPTED,
    Remote,
    RemoteCommand,
    printable_lines,
    remote_options,
)

if TYPE_CHECKING:
    from service.load.budgets import Budget
    from service.load.documents import Report
    from service.load.plan import Plan
    from service.load.results import Cleaned, Result
    from service.load.trial import Trial

_USERS = 100
# Of a single run, and of each step where there are several.
_DURATION, _STEP_DURATION = 30.0, 10.0
_WARMUP, _STEP_WARMUP = 5.0, 2.0
# How long an answer may take at most: the client gives up itself then.
_LONGEST_ANSWER = 60.0


def _seconds(least: float = 0.0, most: float = 86_400.0) -> Callable[..., float | None]:
    """A callback for an option that is a time."""

    def read(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
        from service.load.inputs import InputInvalid, parse_seconds

        try:
            return None if value is None else parse_seconds(value, least, most)
        except InputInvalid as error:
            raise click.BadParameter(str(error)) from error

    return read


def _target_file(ctx: click.Context, param: click.Parameter, value: Path | None) -> Path | None:
    """A file that can be written: found out before the run, not after it."""
    if value is not None and not (
        os.access(value, os.W_OK)
        if value.exists()
        else value.parent.is_dir() and os.access(value.parent, os.W_OK)
    ):
        raise click.BadParameter(f"{value} cannot be written")
    return value


_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command(cls=RemoteCommand)
@click.argument("address", metavar="[URL]", required=False)
@click.option(
    "--rate",
    type=click.FloatRange(0.01, 1e4),
    default=50.0,
    show_default=True,
    help="Actions a second.",
)
@click.option(
    "--duration",
    callback=_seconds(0.2),
    help="How long to measure, such as 90s or 5m.  [default: 30s; 10s for each step]",
)
@click.option(
    "--warmup",
    callback=_seconds(0.0, 3600.0),
    help="What goes before and is not measured.  [default: 5s; 2s for each step]",
)
@click.option(
    "--ramp",
    callback=_seconds(0.0, 3600.0),
    default="0s",
    help="Time from nothing to the rate, before the warm-up.",
)
@click.option(
    "--spacing",
    type=click.Choice(["poisson", "constant"]),
    default="poisson",
    show_default=True,
    help="Gaps between actions: as of independent users, or all the same.",
)
@click.option("--sweep", metavar="LOW:HIGH:STEPS", help="One rate after the other; find the knee.")
@click.option(
    "--find-knee", is_flag=True, help="Double --rate up to the knee, then narrow it down."
)
@click.option(
    "--knee-p99",
    callback=_seconds(0.001, 600.0),
    help="The p99 that counts as keeping up.  [default: 3 times that of the lowest rate]",
)
@click.option("--mix", help="Shares of actions.  [default: upload=10,list=40,get=20,link=20,"
              "download=5,edit=3,delete=2]")  # fmt: skip
@click.option(
    "--users",
    type=click.IntRange(1, 100_000),
    help="Whose images: so many made-up users.  [default: 100; one with credentials or --user]",
)
@click.option(
    "--clients",
    type=click.IntRange(1, 60_000),
    default=1000,
    show_default=True,
    help="Actions under way at once, at most; what is due beyond waits, and that counts.",
)
@click.option(
    "--timeout",
    callback=_seconds(0.1, _LONGEST_ANSWER),
    default="30s",
    show_default=True,
    help="For each answer.",
)
@click.option(
    "--image-size",
    default="100k",
    show_default=True,
    help="Of the images that are uploaded; or a range, such as 20k-2M.",
)
@click.option(
    "--images",
    type=click.IntRange(1, 10_000),
    default=20,
    show_default=True,
    help="Images to make before it begins.",
)
@click.option("--keep", is_flag=True, help="Leave the images that were made.")
@click.option(
    "--cleanup-time",
    callback=_seconds(1.0, 3600.0),
    default="60s",
    show_default=True,
    help="For deleting them, at most.",
)
@click.option(
    "--budget",
    "budgets",
    multiple=True,
    help="What must hold, such as 'p99<200ms', 'errors<0.1%' or 'upload.p95<1s'; may be repeated.",
)
@click.option("--report", type=_FILE, callback=_target_file, help="Write an HTML file with plots.")
@click.option(
    "--json", "json_file", type=_FILE, callback=_target_file, help="Write it for programs."
)
@click.option("--seed", type=int, help="The same choices as in another run.")
@click.option("--yes-load-this", is_flag=True, help="Load a service that is not on this machine.")
@remote_options
def load(
    remote: Remote,
    address: str | None,
    budgets: tuple[str, ...],
    report: Path | None,
    json_file: Path | None,
    **options: Any,
) -> None:
    """Offer load to a service on a schedule, and measure how it bears it.

    Actions begin when they are due, answered or not, as those of many independent users: uploads
    with their bytes to S3, lists, downloads and the rest of --mix. Made images are deleted in the
    end, also after Ctrl-C; press it again to stop at once.

    Budgets are about all calls of the API, or one action or call (upload, upload-url, s3-post):
    pN, mean, max, errors, turned-away (answers 429 and 503), achieved, throughput, knee. Exit
    status 1 when one is broken.

    \b
    mont load http://127.0.0.1:8080 --rate 100 --duration 60s --report load.html
    mont load --sweep 100:2000:8 --knee-p99 250ms --budget 'knee>=500/s'
    mont load https://images.example.com --yes-load-this --budget 'p99<200ms'
    """
    for needed, wanted in (("hdrh", True), ("matplotlib", report is not None)):
        if wanted and find_spec(needed) is None:
            raise Failure(
                "mont load needs the extra `load`: pip install 'mont-image-service[load]'"
            )
    if address is not None:
        remote = replace(remote, url=address)
    client = remote.unopened()
    plan = _plan(remote, _Options(**options))
    limits = _budgets(budgets, plan)
    plan = replace(plan, percentiles=[each.percentile for each in limits if each.percentile])
    started = datetime.now(UTC)
    result, cleaned = _run(plan, client)

    from service.load.budgets import judge
    from service.load.documents import Report, as_text

    outcome = Report(
        target=str(URL(remote.url).with_user(None).with_query(None).with_fragment(None)),
        started=started.strftime("%Y-%m-%d %H:%M:%S"),
        version=__version__,
        plan=plan,
        result=result,
        cleaned=cleaned,
        judged=judge(limits, result),
    )
    click.echo(printable_lines(as_text(outcome)))
    _write(outcome, report, json_file)
    if result.interrupted:
        sys.exit(INTERRUPTED)
    if outcome.broken or cleaned.left:
        sys.exit(1)


@dataclass(frozen=True, slots=True)
class _Options:
    """What was given on the command line, by the names of the options."""

    rate: float
    duration: float | None
    warmup: float | None
    ramp: float
    spacing: Any
    sweep: str | None
    find_knee: bool
    knee_p99: float | None
    mix: str | None
    users: int | None
    clients: int
    timeout: float
    image_size: str
    images: int
    keep: bool
    cleanup_time: float
    seed: int | None
    yes_load_this: bool


def _plan(remote: Remote, options: _Options) -> Plan:
    """What is to be done. Raises UsageError."""
    from service.load.inputs import InputInvalid, parse_sizes
    from service.load.knee import Knee, SweepInvalid, parse_sweep
    from service.load.mix import DEFAULT_MIX, MixInvalid, parse_mix
    from service.load.plan import Plan, clients_possible
    from service.load.service import Target

    sweeps = options.sweep is not None or options.find_knee
    if options.sweep is not None and options.find_knee:
        raise click.UsageError("Give --sweep or --find-knee, not both.")
    if options.knee_p99 is not None and not sweeps:
        raise click.UsageError("--knee-p99 is for --sweep and --find-knee.")
    possible = clients_possible(options.clients)
    if possible < options.clients:
        raise click.UsageError(
            f"--clients {options.clients} takes more open files than the system allows this "
            f"process: at most {possible} (ulimit -n)."
        )
    try:
        return Plan(
            target=Target(remote.url, _credentials(remote)),
            mix=parse_mix(options.mix or DEFAULT_MIX),
            users=_users(remote, options.users),
            rate=options.rate,
            rates=parse_sweep(options.sweep) if options.sweep else (),
            search=options.find_knee,
            knee=Knee(options.knee_p99),
            seconds=options.duration or (_STEP_DURATION if sweeps else _DURATION),
            warmup=(_STEP_WARMUP if sweeps else _WARMUP)
            if options.warmup is None
            else options.warmup,
            ramp=options.ramp,
            spacing=options.spacing,
            clients=options.clients,
            timeout=options.timeout,
            image_sizes=parse_sizes(options.image_size),
            images=options.images,
            anywhere=options.yes_load_this,
            keep=options.keep,
            cleanup_seconds=options.cleanup_time,
            seed=options.seed,
        )
    except MixInvalid as error:
        raise click.BadParameter(str(error), param_hint="--mix") from error
    except SweepInvalid as error:
        raise click.BadParameter(str(error), param_hint="--sweep") from error
    except InputInvalid as error:
        raise click.BadParameter(str(error), param_hint="--image-size") from error


def _credentials(remote: Remote) -> dict[str, str]:
    if remote.api_key:
        return {"X-API-Key": remote.api_key}
    return {"Authorization": f"Bearer {remote.token}"} if remote.token else {}


def _users(remote: Remote, count: int | None) -> list[str | None]:
    """Whose images: made-up users where anybody may claim to be one, else whom credentials name."""
    from service.load.plan import made_up_users

    if count is not None:
        return made_up_users(count, remote.user_id)
    if remote.user_id or _credentials(remote):
        return [remote.user_id]
    return made_up_users(_USERS, None)


def _budgets(texts: tuple[str, ...], plan: Plan) -> list[Budget]:
    from service.load.budgets import BudgetInvalid, parse_budget

    try:
        return [parse_budget(text, plan.mix, sweep=plan.sweeps) for text in texts]
    except BudgetInvalid as error:
        raise click.BadParameter(str(error), param_hint="--budget") from error


def _run(plan: Plan, client: MontClient) -> tuple[Result, Cleaned]:
    from service.load.places import NotAllowedThere
    from service.load.progress import shown_progress
    from service.load.trial import Trial

    trial: Trial | None = None

    async def work() -> tuple[Result, Cleaned]:
        nonlocal trial
        with shown_progress() as audience:
            trial = Trial(plan, audience)
            with suppress(NotImplementedError, ValueError, RuntimeError):
                _stop_on_signals(trial)
            async with client as mont:
                return await trial.run(mont)

    try:
        return asyncio.run(work())
    except NotAllowedThere as refused:
        raise Failure(f"{refused}\nIf it is yours to load, add --yes-load-this.") from refused
    except asyncio.CancelledError:
        left = len(trial.pool.remaining) if trial else 0
        click.echo(f"Up to {left} images are left behind, with the tag mont-load.", err=True)
        raise KeyboardInterrupt from None


def _stop_on_signals(trial: Trial) -> None:
    """The first Ctrl-C ends it in order, the second at once; SIGTERM is as good as either."""
    loop = asyncio.get_running_loop()
    running = asyncio.current_task()
    assert running is not None
    pressed = 0

    def interrupted() -> None:
        nonlocal pressed
        pressed += 1
        if pressed == 1:
            click.echo("Stopping, and deleting what was made. Ctrl-C again to leave it.", err=True)
            trial.stop()
        else:
            running.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupted)


def _write(outcome: Report, report: Path | None, json_file: Path | None) -> None:
    """The files that were asked for. Raises Failure."""
    from service.load.documents import as_document

    try:
        if json_file is not None:
            json_file.write_text(json.dumps(as_document(outcome), indent=1) + "\n", "utf-8")
        if report is not None:
            from service.load.page import as_page

            report.write_text(as_page(outcome), "utf-8")
    except OSError as error:
        raise Failure(f"{error.filename}: {error.strerror}") from error
