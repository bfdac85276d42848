"""mont deploy."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from service.commands.common import Failure, read_settings
from service.commands.package import PLATFORM, build_package_file

if TYPE_CHECKING:
    from service.deployment.deploy import Wish
    from service.deployment.package import Platform
    from service.settings import Settings


@click.command()
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
    type=PLATFORM,
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

    settings = read_settings()
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
            package = build_package_file(platform, None, None, tokens=tokens)
        click.echo(asyncio.run(_deploy(settings, wish, package.read_bytes())))
    except StoreUnavailable as error:
        raise Failure(f"{error.store}: {error.cause}") from error
    except DeploymentFailed as error:
        raise Failure(str(error)) from error


async def _deploy(settings: Settings, wish: Wish, package: bytes) -> str:
    from service.deployment.deploy import open_deployment

    def say(line: str) -> None:
        click.echo(line, err=True)

    async with open_deployment(settings, os.environ, wish, say) as deployment:
        return await deployment.deploy_api(await deployment.deploy_data(), package)


def _pairs(arguments: tuple[str, ...]) -> dict[str, str]:
    pairs = {}
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if not equals:
            raise click.BadParameter(f"{argument!r} is not NAME=VALUE", param_hint="--parameter")
        pairs[name] = value
    return pairs
