"""What the commands on a running service share: where it is, who asks, how failures end.

Data goes to standard output and messages to standard error. Exit status: 0 all done, 1 something
failed, 2 wrong usage, 130 interrupted, 141 left by whoever read standard output (`ls`: 0).
"""

from __future__ import annotations

import functools
import os
import re
import sys
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, ClassVar, ParamSpec, TypeVar

import click

from service.client import (
    ConnectionFailed,
    InvalidFields,
    MontClient,
    MontError,
    NotOwner,
    QuotaExceeded,
    Retries,
    StorageQuotaExceeded,
    Throttled,
    Unauthorized,
)
from service.commands.common import Failure
from service.commands.patience import Say, patient_retries, silence_broken

P = ParamSpec("P")
R = TypeVar("R")

INTERRUPTED = 130
# What a shell says of a program that the signal SIGPIPE ended.
NOBODY_READS = 141
# Names come from whoever uploaded them: no escape sequence reaches a terminal, no tab a table.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Remote:
    """A service, who asks it, and for how many seconds where it does not answer."""

    url: str
    api_key: str | None
    token: str | None
    user_id: str | None
    wait: float

    @asynccontextmanager
    async def client(self, say: Say | None = None) -> AsyncIterator[MontClient]:
        """A client. What it waits for is told by `say`, or else on standard error."""
        async with self.unopened(patient_retries(self.wait, say or warn)) as mont:
            # Whoever says it elsewhere has bars, which show that there is no answer yet.
            with silence_broken(warn) if say is None else nullcontext():
                yield mont

    def unopened(self, retries: Retries | None = None) -> MontClient:
        """A client, not open yet. Raises UsageError."""
        try:
            return MontClient(
                self.url,
                api_key=self.api_key,
                token=self.token,
                user_id=self.user_id,
                retries=retries,
            )
        except ValueError as error:
            raise click.UsageError(str(error)) from error


class RemoteCommand(click.Command):
    """A command that ends as scripts expect when the service fails or somebody presses Ctrl-C."""

    nobody_reads: ClassVar[int] = NOBODY_READS
    """The exit status where whoever read standard output has seen enough."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run it. What it did not do itself about a failure becomes one message."""
        try:
            return super().invoke(ctx)
        except MontError as error:
            raise Failure(explain(error)) from error
        except BrokenPipeError:
            # Python would complain at its end about what it could not write either.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(self.nobody_reads)
        except OSError as error:
            raise Failure(explain(error)) from error
        except (KeyboardInterrupt, click.Abort):
            click.echo("Interrupted.", err=True)
            sys.exit(INTERRUPTED)


def remote_options(command: Callable[P, R]) -> Callable[..., R]:
    """The options that say where the service is and who asks; they become one `remote`."""

    @click.option(
        "--url",
        envvar="MONT_URL",
        default="http://127.0.0.1:8080",
        show_default=True,
        show_envvar=True,
        help="Base of the API.",
    )
    @click.option(
        "--api-key", envvar="MONT_API_KEY", show_envvar=True, help="Who asks: an API key."
    )
    @click.option("--token", envvar="MONT_TOKEN", show_envvar=True, help="Or a bearer token.")
    @click.option(
        "--user",
        envvar="MONT_USER",
        show_envvar=True,
        help="Whose images; unnecessary with one user's credentials.",
    )
    @functools.wraps(command)
    def with_remote(
        *args: Any,
        url: str,
        api_key: str | None,
        token: str | None,
        user: str | None,
        wait: float = 0.0,
        **options: Any,
    ) -> R:
        if api_key and token:
            raise click.UsageError("Give an API key or a token, not both.")
        return command(*args, remote=Remote(url, api_key, token, user, wait), **options)  # type: ignore[arg-type]

    return with_remote


def warn(text: str) -> None:
    """Say it on standard error."""
    click.echo(printable_lines(text), err=True)


def explain(error: BaseException) -> str:
    """What went wrong, and what to do about it where that is known."""
    said = printable_lines(str(error) or type(error).__name__)
    if isinstance(error, OSError) and error.strerror:
        said = printable(error.strerror)
    hint = _when(error) if isinstance(error, Throttled) else _hint(error)
    return f"{said}\n{hint}" if hint else said


def _hint(error: BaseException) -> str:
    match error:
        case InvalidFields() if any(each.location.endswith(".user_id") for each in error.errors):
            return "Say whose images these are: --user NAME, or MONT_USER."
        case Unauthorized():
            return "Set --api-key (MONT_API_KEY) or --token (MONT_TOKEN)."
        case NotOwner():
            return "Name the owner with --user, or MONT_USER."
        case ConnectionFailed():
            return "Is the service running, and --url (MONT_URL) its address?"
        case StorageQuotaExceeded():
            return "`mont rm` makes room, or whoever runs the service can allow more."
    return ""


def _when(error: Throttled) -> str:
    if error.retry_after is None:
        return ""
    hours = isinstance(error, QuotaExceeded) and error.retry_after > 3600
    time = f"{error.retry_after / 3600:.1f} h" if hours else f"{error.retry_after:.0f} s"
    return f"Try again in {time}."


def printable(text: str) -> str:
    """A text on one line, with nothing in it that a terminal would obey."""
    return _CONTROL.sub("\ufffd", text)


def printable_lines(text: str) -> str:
    """The same for several lines."""
    return "\n".join(map(printable, text.splitlines()))


def given_ids(arguments: Iterable[str]) -> list[str]:
    """The image ids; `-` stands for the first word of each line of standard input."""
    ids: list[str] = []
    for argument in arguments:
        if argument == "-":
            ids += [words[0] for line in sys.stdin if (words := line.split())]
        else:
            ids.append(argument)
    return list(dict.fromkeys(ids))


def human_size(count: int) -> str:
    """A number of bytes as people say it."""
    if count < 1000:
        return f"{count} B"
    size = float(count)
    for unit in ("kB", "MB", "GB"):
        size /= 1000
        if size < 1000:
            return f"{size:.1f} {unit}"
    return f"{size / 1000:.1f} TB"
