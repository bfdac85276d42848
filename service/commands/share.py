"""mont share."""

from __future__ import annotations

import asyncio

import click

from service.client import Link
from service.commands.patience import wait_option
from service.commands.remote import Remote, RemoteCommand, remote_options


@click.command(cls=RemoteCommand)
@click.argument("image_id", metavar="ID")
@click.option("--attachment", is_flag=True, help="Let browsers save the file, not show it.")
@remote_options
@wait_option(10)
def share(remote: Remote, image_id: str, attachment: bool) -> None:
    """Print a link to an image, good for whoever holds it until it expires.

    Nothing else goes to standard output.

    \b
    mont share 550e8400-e29b-41d4-a716-446655440000
    curl -o photo.jpg "$(mont share $ID)"
    """

    async def work() -> Link:
        async with remote.client() as mont:
            return await mont.link(image_id, attachment=attachment)

    link = asyncio.run(work())
    click.echo(link.url)
    click.echo(f"Good for {link.expires_in} s.", err=True)
