"""mont provision."""

from __future__ import annotations

import asyncio

import click

from service.commands.common import Failure, read_settings


@click.command()
def provision() -> None:
    """Make the bucket and the tables of config/data.yaml where they are missing.

    Running it again changes nothing.
    """
    from service.errors import StoreUnavailable
    from service.provisioning import provision_stores
    from service.storage.clients import open_admin_clients
    from service.storage.cloudformation import TemplateError
    from service.storage.provisioning import Change, ProvisioningConflict

    settings = read_settings()

    async def work() -> list[Change]:
        async with open_admin_clients(settings) as clients:
            return await provision_stores(clients, settings)

    try:
        changes = asyncio.run(work())
    except StoreUnavailable as error:
        raise Failure(f"{error.store}: {error.cause}") from error
    except (ProvisioningConflict, TemplateError) as error:
        raise Failure(str(error)) from error
    for change in changes:
        click.echo(str(change))
    if not changes:
        click.echo("Nothing to change.")
