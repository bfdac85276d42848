"""mont serve."""

from __future__ import annotations

import asyncio
import errno

import click

from service.commands.common import Failure, is_chosen, read_settings, wants_traces
from service.settings import Settings, SettingsInvalid


@click.command()
@click.option(
    "--backend",
    type=click.Choice(["auto", "embedded", "aws"]),
    default="auto",
    show_default=True,
    help="embedded: S3 and DynamoDB emulated in memory by a child process. "
    "aws: AWS, or what AWS_ENDPOINT_URL names. auto: aws if AWS_ENDPOINT_URL is set.",
)
@click.option(
    "--workers",
    type=click.IntRange(1, 256),
    help="Processes that serve, on one port. [default: WORKERS, or 1]",
)
def serve(backend: str, workers: int | None) -> None:
    """Serve the API and the page until Ctrl-C.

    \b
    mont serve                                   everything on this machine
    AWS_ENDPOINT_URL=http://localhost:4566 mont serve
    AUTH_MODE=api_key mont serve --backend aws   AWS, with your usual credentials
    mont serve --workers 4                       four processes; SIGHUP renews them
    """
    from service.embedded import EmbeddedBackendFailed
    from service.errors import StoreUnavailable
    from service.serve import Backend, BackendLost, run
    from service.storage.cloudformation import TemplateError
    from service.storage.provisioning import ProvisioningConflict
    from service.workers import WorkersFailed

    settings = read_settings()
    if backend == "aws" and settings.aws_endpoint_url is None and not is_chosen("AUTH_MODE"):
        # What is harmless on a laptop would open everybody's images to the network.
        raise Failure(
            "On AWS, say how callers are told: AUTH_MODE=api_key (mont keys create makes keys) or "
            "AUTH_MODE=jwt; or AUTH_MODE=claimed, where nobody but your own services can call."
        )
    choice: dict[str, Backend] = {"auto": "auto", "embedded": "embedded", "aws": "aws"}
    try:
        asyncio.run(
            run(
                settings,
                choice[backend],
                workers or settings.workers,
                traced=wants_traces(),
            )
        )
    except StoreUnavailable as error:
        raise Failure(f"{error.store}: {error.cause}") from error
    except (
        BackendLost,
        EmbeddedBackendFailed,
        ProvisioningConflict,
        SettingsInvalid,
        TemplateError,
        WorkersFailed,
    ) as error:
        raise Failure(str(error)) from error
    except OSError as error:
        raise Failure(_why_not_listening(error, settings)) from error


def _why_not_listening(error: OSError, settings: Settings) -> str:
    if error.errno != errno.EADDRINUSE:
        return str(error)
    return (
        f"Port {settings.port} of {settings.host} is in use: stop the program that uses it, or "
        "choose another port with PORT (0 takes any free one)."
    )
