"""mont get."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import aclosing
from pathlib import Path

import click

from service.client import MontError
from service.client.concurrency import as_done
from service.commands.bars import Bars, shown_bars
from service.commands.patience import wait_option
from service.commands.remote import Remote, RemoteCommand, explain, given_ids, remote_options


@click.command(cls=RemoteCommand)
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@click.option(
    "-o",
    "--output",
    default=".",
    metavar="DIR|FILE|-",
    help="A folder, a file (for one image), or - for standard output.  [default: this folder]",
)
@click.option(
    "--jobs", type=click.IntRange(1, 64), default=4, show_default=True, help="Images at once."
)
@remote_options
@wait_option(60)
def get(remote: Remote, ids: tuple[str, ...], output: str, jobs: int) -> None:
    """Download images; print where each one is. `-` as ID reads ids from standard input.

    In a folder each has its own name, and no file there is replaced; an image that is there
    already is not fetched again. What was interrupted goes on where it ended.

    \b
    mont get 550e8400-e29b-41d4-a716-446655440000 -o photo.jpg
    mont ls --tag beach --all | mont get - -o photos/
    mont get $ID -o - | identify -
    """
    image_ids = given_ids(ids)
    if output == "-":
        if len(image_ids) != 1:
            raise click.UsageError("Standard output takes one image.")
        asyncio.run(_print(remote, image_ids[0]))
        return
    target = Path(output)
    if output.endswith("/"):
        target.mkdir(parents=True, exist_ok=True)
    if not target.is_dir():
        if len(image_ids) > 1:
            raise click.UsageError(f"{output} is not a folder, and there are several images.")
        if not target.parent.is_dir():
            raise click.UsageError(f"There is no folder {target.parent}.")
    with shown_bars(len(image_ids), None) as bars:
        failed = asyncio.run(_save(remote, image_ids, target, jobs, bars))
    if failed:
        click.echo(f"{failed} of {len(image_ids)} failed.", err=True)
        sys.exit(1)


async def _print(remote: Remote, image_id: str) -> None:
    stdout = sys.stdout.buffer
    if stdout.isatty():
        raise click.UsageError("An image means nothing to a terminal: redirect the output.")
    async with remote.client() as mont, aclosing(mont.read(image_id)) as chunks:
        async for chunk in chunks:
            await asyncio.to_thread(stdout.write, chunk)
    stdout.flush()


async def _save(remote: Remote, image_ids: list[str], target: Path, jobs: int, bars: Bars) -> int:
    """Download all; how many could not be."""
    failed = 0
    async with remote.client(bars.complain) as mont:

        async def save(image_id: str) -> Path | str:
            try:
                with bars.file(image_id) as progress:
                    return await mont.download(image_id, target, progress=progress)
            except (MontError, OSError) as error:
                return f"{image_id}: {explain(error)}"

        async with aclosing(as_done(image_ids, save, jobs)) as outcomes:
            async for outcome in outcomes:
                bars.done()
                if isinstance(outcome, Path):
                    bars.print(os.fsencode(outcome))
                else:
                    failed += 1
                    bars.complain(outcome)
    return failed
