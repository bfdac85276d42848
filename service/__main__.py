"""The command line: `mont`, or `python -m service`."""

from __future__ import annotations

import asyncio
import errno
import os
import re
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
import orjson

from service import __version__
from service.endpoints import ENDPOINTS
from service.openapi import build_document
from service.settings import Settings, SettingsInvalid, load_settings
from service.telemetry import configure_logging
from service.wiring import rules_of

if TYPE_CHECKING:
    from service.deployment.deploy import Wish
    from service.deployment.package import Platform

T = TypeVar("T")


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
    from service.serve import Backend, BackendLost, run
    from service.storage.cloudformation import TemplateError
    from service.storage.provisioning import ProvisioningConflict

    settings = _settings()
    choice: dict[str, Backend] = {"auto": "auto", "embedded": "embedded", "aws": "aws"}
    try:
        asyncio.run(run(settings, choice[backend]))
    except StoreUnavailable as error:
        raise _Failure(f"{error.store}: {error.cause}") from error
    except (
        BackendLost,
        EmbeddedBackendFailed,
        ProvisioningConflict,
        SettingsInvalid,
        TemplateError,
    ) as error:
        raise _Failure(str(error)) from error
    except OSError as error:
        raise _Failure(_why_not_listening(error, settings)) from error


@main.command()
def provision() -> None:
    """Make the bucket and the tables of config/data.yaml where they are missing.

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
    settings = _settings()
    document = build_document(ENDPOINTS, rules_of(settings), settings.auth_mode)
    click.echo(orjson.dumps(document, option=orjson.OPT_INDENT_2))


@main.group()
def keys() -> None:
    """Make, list and revoke API keys, for AUTH_MODE=api_key."""


@keys.command("create")
@click.option("--owner", required=True, help="The user whose images the key opens; * for any.")
@click.option("--expires", "days", type=click.IntRange(1, 36_500), help="Days until it expires.")
@click.option("--quota", type=click.IntRange(1), help="Requests a day, if not the usual number.")
def create_key(owner: str, days: int | None, quota: int | None) -> None:
    """Make a key and print it: KEY=$(mont keys create --owner ann).

    It is shown this once, since only its hash is kept.
    """
    from service import keyring

    if not keyring.is_owner(owner):
        raise click.BadParameter(
            "must be * or 1 to 128 of A-Z a-z 0-9 . _ @ + : -", param_hint="--owner"
        )
    text, key = _on_stores(keyring.create(_settings(), owner, days, quota))
    click.echo(text)
    until = f"until {key.expires_at}" if key.expires_at else "until it is revoked"
    click.echo(f"Key {key.key_id} of {owner}, good {until}. It is not shown again.", err=True)


@keys.command("list")
def list_keys() -> None:
    """List all keys by their ids."""
    from service import keyring

    click.echo(_on_stores(keyring.table(_settings())))


@keys.command("revoke")
@click.argument("key_id", metavar="ID")
def revoke_key(key_id: str) -> None:
    """Revoke the key with this ID for good. Every server refuses it within a minute."""
    from service import keyring

    # A shorter one could name several.
    if not re.fullmatch("[0-9a-f]{16}", key_id):
        raise click.BadParameter("is not an ID of `mont keys list`", param_hint="ID")
    key = _on_stores(keyring.revoke(_settings(), key_id))
    if key is None:
        raise _Failure(f"There is no key {key_id}; `mont keys list` lists them.")
    click.echo(f"Key {key_id} of {key.owner} is revoked.", err=True)


def _on_stores(work: Coroutine[Any, Any, T]) -> T:
    """Do work on the stores. Where they fail, say which and how."""
    from service.errors import StoreUnavailable

    try:
        return asyncio.run(work)
    except StoreUnavailable as error:
        raise _Failure(f"{error.store}: {error.cause}") from error


_PLATFORM = click.Choice(["arm64", "x86_64", "local"])


@main.command()
@click.option(
    "--platform",
    type=_PLATFORM,
    default="arm64",
    show_default=True,
    help="Processor of the functions; local: this interpreter on this machine.",
)
@click.option("--python", help="Version of the functions' Python.  [default: 3.13]")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where the zip goes.  [default: build/mont-lambda-PLATFORM.zip]",
)
@click.option("--jwt", is_flag=True, help="With what AUTH_MODE=jwt needs (5 MB more).")
def package(platform: Platform, python: str | None, output: Path | None, jwt: bool) -> None:
    """Build the zip that Lambda runs. Same input, same bytes."""
    click.echo(_build_package(platform, python, output, tokens=jwt))


@main.command()
@click.option("--stack", default="mont", show_default=True, help="Beginning of the stacks' names.")
@click.option("--stage", help="Stage of the API.  [default: dev, or the one deployed before]")
@click.option(
    "--zip",
    "package",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A package built before.  [default: one built now]",
)
@click.option(
    "--platform",
    type=_PLATFORM,
    help="As of `mont package`.  [default: arm64; this machine's for an emulator on it]",
)
@click.option(
    "--data",
    type=click.Choice(["stack", "existing"]),
    default="stack",
    show_default=True,
    help="Where images live: in a stack of our own, or in a bucket and a table that exist.",
)
@click.option(
    "--parameter",
    "parameters",
    multiple=True,
    metavar="NAME=VALUE",
    help="A parameter of config/data.yaml or config/api.yaml.",
)
def deploy(
    stack: str,
    stage: str | None,
    package: Path | None,
    platform: Platform | None,
    data: str,
    parameters: tuple[str, ...],
) -> None:
    """Deploy to AWS, or to AWS_ENDPOINT_URL; again to update. Prints the base URL.

    Progress goes to standard error, so that BASE=$(mont deploy) works. Settings of the environment
    become parameters of the stacks.
    """
    from service.deployment.deploy import Wish, check_parameters, is_on_this_machine
    from service.deployment.failure import DeploymentFailed
    from service.deployment.package import architecture_of, own_architecture
    from service.errors import StoreUnavailable

    settings = _settings()
    if platform is None:
        here = is_on_this_machine(settings.aws_endpoint_url)
        platform = own_architecture() if here else "arm64"
    try:
        wish = Wish(
            stack=stack,
            stage=stage,
            architecture=architecture_of(platform),
            existing_data=data == "existing",
            parameters=_pairs(parameters),
        )
        check_parameters(wish.parameters)
        if package is None:
            click.echo("Building the package", err=True)
            tokens = settings.auth_mode == "jwt"
            package = _build_package(platform, None, None, tokens=tokens)
        click.echo(asyncio.run(_deploy(settings, wish, package.read_bytes())))
    except StoreUnavailable as error:
        raise _Failure(f"{error.store}: {error.cause}") from error
    except DeploymentFailed as error:
        raise _Failure(str(error)) from error


async def _deploy(settings: Settings, wish: Wish, package: bytes) -> str:
    from service.deployment.deploy import open_deployment

    def say(line: str) -> None:
        click.echo(line, err=True)

    async with open_deployment(settings, os.environ, wish, say) as deployment:
        return await deployment.deploy_api(await deployment.deploy_data(), package)


def _build_package(
    platform: Platform, python: str | None, output: Path | None, *, tokens: bool
) -> Path:
    from service.deployment.package import PackagingFailed, build_package, target_for

    target = target_for(platform, python, tokens=tokens)
    try:
        built = build_package(target, output or Path("build", f"mont-lambda-{platform}.zip"))
    except PackagingFailed as error:
        raise _Failure(str(error)) from error
    click.echo(f"{built.path}: {built.size / 1e6:.1f} MB, sha256 {built.sha256}", err=True)
    if not built.compiled:
        click.echo(
            f"There is no Python {target.python} here to compile it with, so it is without "
            "bytecode and starts more slowly. Put one on the PATH and build again.",
            err=True,
        )
    return built.path


def _pairs(arguments: tuple[str, ...]) -> dict[str, str]:
    pairs = {}
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if not equals:
            raise click.BadParameter(f"{argument!r} is not NAME=VALUE", param_hint="--parameter")
        pairs[name] = value
    return pairs


def _why_not_listening(error: OSError, settings: Settings) -> str:
    if error.errno != errno.EADDRINUSE:
        return str(error)
    return (
        f"Port {settings.port} of {settings.host} is in use: stop the program that uses it, or "
        "choose another port with PORT (0 takes any free one)."
    )


def _settings() -> Settings:
    try:
        settings = load_settings(os.environ)
    except SettingsInvalid as error:
        raise _Failure(str(error)) from error
    configure_logging(settings.log_level)
    return settings


if __name__ == "__main__":
    sys.exit(main())
