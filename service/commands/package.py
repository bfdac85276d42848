"""mont package."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from service.commands.common import Failure

if TYPE_CHECKING:
    from service.deployment.package import Platform


PLATFORM = click.Choice(["arm64", "x86_64", "local"])


@click.command()
@click.option(
    "--platform",
    type=PLATFORM,
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
    click.echo(build_package_file(platform, python, output, tokens=jwt))


def build_package_file(
    platform: Platform, python: str | None, output: Path | None, *, tokens: bool
) -> Path:
    """Build it, tell of it on standard error, and say where it is. Raises Failure."""
    from service.deployment.package import PackagingFailed, build_package, target_for

    target = target_for(platform, python, tokens=tokens)
    try:
        built = build_package(target, output or Path("build", f"mont-lambda-{platform}.zip"))
    except PackagingFailed as error:
        raise Failure(str(error)) from error
    click.echo(f"{built.path}: {built.size / 1e6:.1f} MB, sha256 {built.sha256}", err=True)
    if not built.compiled:
        click.echo(
            f"There is no Python {target.python} here to compile it with, so it is without "
            "bytecode and starts more slowly. Put one on the PATH and build again.",
            err=True,
        )
    return built.path
