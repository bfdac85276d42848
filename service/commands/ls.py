"""mont ls."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterable
from contextlib import aclosing

import click

from service.client import Image, Order
from service.client.values import text
from service.commands.patience import wait_option
from service.commands.remote import (
    Remote,
    RemoteCommand,
    human_size,
    printable,
    remote_options,
)

# Below so many columns an id leaves room for little else.
_WIDE = 110


class ListCommand(RemoteCommand):
    """A command that has nothing left to do once nobody reads what it lists."""

    nobody_reads = 0


@click.command(cls=ListCommand)
@click.option("--tag", help="Only images that carry this tag.")
@click.option("--since", metavar="TIME", help="Not before: a date, or a time (ISO 8601).")
@click.option("--until", metavar="TIME", help="Not after; a date includes its whole day.")
@click.option(
    "--order", type=click.Choice(["desc", "asc"]), default="desc", help="Newest or oldest first."
)
@click.option(
    "--limit", type=click.IntRange(1), default=50, show_default=True, help="Images to show."
)
@click.option("--all", "everything", is_flag=True, help="All that match, however many.")
@click.option("--everyone", is_flag=True, help="All users' images, whatever --user says.")
@click.option("--json", "as_json", is_flag=True, help="A JSON object a line, with every field.")
@remote_options
@wait_option(10)
def ls(
    remote: Remote,
    tag: str | None,
    since: str | None,
    until: str | None,
    order: Order,
    limit: int,
    everything: bool,
    everyone: bool,
    as_json: bool,
) -> None:
    """List images, newest first.

    On a terminal a table. In a pipe a line for each image, with tabs between its id, time, user,
    size in bytes, type, width, height, tags (comma-separated) and name.

    \b
    mont ls --user ann --tag beach --since 2026-01-01
    mont ls --all --json | jq -r .filename
    mont ls --tag draft --all | mont rm --yes -
    """
    asyncio.run(
        _list(
            remote,
            None if everything else limit,
            _Writer(as_json),
            tag=tag,
            since=since,
            until=until,
            order=order,
            everyone=everyone,
        )
    )


async def _list(
    remote: Remote,
    limit: int | None,
    writer: _Writer,
    *,
    tag: str | None,
    since: str | None,
    until: str | None,
    order: Order,
    everyone: bool,
) -> None:
    shown = 0
    async with (
        remote.client() as mont,
        aclosing(
            mont.images(tag=tag, start=since, end=until, order=order, everyone=everyone)
        ) as images,
    ):
        async for image in images:
            if shown == limit:
                writer.close()
                click.echo(f"There are more than {limit}: --limit N, or --all.", err=True)
                return
            writer.add(image)
            shown += 1
    writer.close()
    if not shown:
        click.echo("No images.", err=True)


class _Writer:
    """Shows images as they come, or at the end as a table."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json
        self._rows: list[Image] | None = [] if sys.stdout.isatty() and not as_json else None

    def add(self, image: Image) -> None:
        """Show one more."""
        if self._as_json:
            click.echo(json.dumps(image.document))
        elif self._rows is None:
            click.echo("\t".join(_columns(image)))
        else:
            self._rows.append(image)

    def close(self) -> None:
        """Show what is left."""
        if self._rows:
            _print_table(self._rows)


def _columns(image: Image) -> Iterable[str]:
    return (
        image.image_id,
        text(image.document, "upload_timestamp"),
        image.user_id,
        str(image.file_size),
        image.content_type,
        str(image.width),
        str(image.height),
        printable(",".join(image.tags)),
        printable(image.filename),
    )


def _print_table(images: list[Image]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    wide = console.width >= _WIDE
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("id", no_wrap=True)
    table.add_column("uploaded (UTC)" if wide else "uploaded", no_wrap=True)
    if wide:
        table.add_column("user", overflow="fold")
    table.add_column("size", justify="right", no_wrap=True)
    if wide:
        table.add_column("pixels", justify="right", no_wrap=True)
        table.add_column("tags")
    table.add_column("name", overflow="fold")
    for image in images:
        uploaded = image.upload_timestamp.strftime("%Y-%m-%d %H:%M:%S" if wide else "%Y-%m-%d")
        name = Text(printable(image.filename))
        size = human_size(image.file_size)
        if not wide:
            table.add_row(image.image_id, uploaded, size, name)
            continue
        pixels = f"{image.width}×{image.height}"
        tags = Text(printable(", ".join(image.tags)))
        table.add_row(image.image_id, uploaded, Text(image.user_id), size, pixels, tags, name)
    console.print(table)
