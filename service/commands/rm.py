"""mont rm."""

from __future__ import annotations

import asyncio
import sys

import click

from service.client import Deleted
from service.commands.patience import wait_option
from service.commands.remote import Remote, RemoteCommand, explain, given_ids, remote_options


@click.command(cls=RemoteCommand)
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@remote_options
@wait_option(10)
def rm(remote: Remote, ids: tuple[str, ...], yes: bool) -> None:
    """Delete images for good. `-` reads ids from standard input, the first word of each line.

    Prints the id of each that is gone. Ends with 1 if any could not be deleted.

    \b
    mont rm 550e8400-e29b-41d4-a716-446655440000
    mont ls --tag draft --all | mont rm --yes -
    """
    if not yes and ("-" in ids or not sys.stdin.isatty()):
        raise click.UsageError("Nobody can be asked here: say --yes.")
    image_ids = given_ids(ids)
    if not image_ids:
        click.echo("No ids.", err=True)
        return
    if not yes:
        what = "this image" if len(image_ids) == 1 else f"these {len(image_ids)} images"
        if not click.confirm(f"Delete {what} for good?", err=True):
            click.echo("Nothing is deleted.", err=True)
            sys.exit(1)
    failed = 0
    for outcome in asyncio.run(_delete(remote, image_ids)):
        if outcome.error is None:
            click.echo(outcome.image_id)
        else:
            failed += 1
            click.echo(f"{outcome.image_id}: {explain(outcome.error)}", err=True)
    if failed:
        click.echo(f"{failed} of {len(image_ids)} not deleted.", err=True)
        sys.exit(1)


async def _delete(remote: Remote, image_ids: list[str]) -> list[Deleted]:
    async with remote.client() as mont:
        return await mont.delete_many(image_ids)
