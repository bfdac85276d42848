"""The command line: `mont`, or `python -m service`."""

from __future__ import annotations

import asyncio
import os
import sys

import click
import orjson

from service import __version__
from service.endpoints import ENDPOINTS
from service.openapi import build_document
from service.settings import Settings, SettingsInvalid, load_settings
from service.telemetry import configure_logging
from service.wiring import rules_of


class _Failure(click.ClickException):
    """A message for the person at the keyboard, without a traceback."""

    exit_code = 1


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="mont")
def main() -> None:
    """Mont Image Service: uploads straight to S3, verified and searchable.

    Settings come from the environment; `.env.example` lists them all.
    """


@main.command()
@click.option(
    "--backend",
    type=click.Choice(["auto", "embedded", "aws"]),
    default="auto",
    show_default=True,
    help="embedded: S3 and DynamoDB emulated in memory by a child process. "
    "aws: AWS, or what AWS_ENDPOINT_URL names. auto: aws if AWS_ENDPOINT_URL is set.",
)
def serve(backend: str) -> None:
    """Serve the API and the page until Ctrl-C.

    \b
    mont serve                                   everything on this machine
    AWS_ENDPOINT_URL=http://localhost:4566 mont serve
    mont serve --backend aws                     AWS, with your usual credentials
    """
    from service.embedded import EmbeddedBackendFailed
    from service.errors import StoreUnavailable
    from service.serve import Backend, run
    from service.storage.cloudformation import TemplateError
    from service.storage.provisioning import ProvisioningConflict

    settings = _settings()
    choice: dict[str, Backend] = {"auto": "auto", "embedded": "embedded", "aws": "aws"}
    try:
        asyncio.run(run(settings, choice[backend]))
    except StoreUnavailable as error:
        raise _Failure(f"{error.store}: {error.cause}") from error
    except (EmbeddedBackendFailed, ProvisioningConflict, TemplateError, OSError) as error:
        raise _Failure(str(error)) from error


@main.command()
def provision() -> None:
    """Make the bucket and the table of config/data.yaml where they are missing.

    Running it again changes nothing.
    """
    from service.errors import StoreUnavailable
    from service.provisioning import provision_stores
    from service.storage.clients import open_clients
    from service.storage.cloudformation import TemplateError
    from service.storage.provisioning import Change, ProvisioningConflict

    settings = _settings()

    async def work() -> list[Change]:
        async with open_clients(settings) as clients:
            return await provision_stores(clients, settings)

    try:
        changes = asyncio.run(work())
    except StoreUnavailable as error:
        raise _Failure(f"{error.store}: {error.cause}") from error
    except (ProvisioningConflict, TemplateError) as error:
        raise _Failure(str(error)) from error
    for change in changes:
        click.echo(str(change))
    if not changes:
        click.echo("Nothing to change.")


@main.command()
def openapi() -> None:
    """Print the OpenAPI document."""
    document = build_document(ENDPOINTS, rules_of(_settings()))
    click.echo(orjson.dumps(document, option=orjson.OPT_INDENT_2))


def _settings() -> Settings:
    try:
        settings = load_settings(os.environ)
    except SettingsInvalid as error:
        raise _Failure(str(error)) from error
    configure_logging(settings.log_level)
    return settings


if __name__ == "__main__":
    sys.exit(main())
