"""What the commands on a running service share: where it is, who asks, how failures end.

Data goes to standard output and messages to standard error. Exit status: 0 all done, 1 something
failed, 2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

import click

from service.client import (
    ConnectionFailed,
    InvalidFields,
    MontClient,
    MontError,
    NotOwner,
    Throttled,
    Unauthorized,
)
from service.commands.common import Failure

P = ParamSpec("P")
R = TypeVar("R")

INTERRUPTED = 130
# Names come from whoever uploaded them: no escape sequence reaches a terminal, no tab a table.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Remote:
    """A service, and who asks it."""

    url: str
    api_key: str | None
    token: str | None
    user_id: str | None

    def client(self) -> MontClient:
        """A client, not open yet."""
        try:
            return MontClient(
                self.url, api_key=self.api_key, token=self.token, user_id=self.user_id
            )
        except ValueError as error:
            raise click.UsageError(str(error)) from error


class RemoteCommand(click.Command):
    """A command that ends as scripts expect when the service fails or somebody presses Ctrl-C."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run it. What it did not do itself about a failure becomes one message."""
        try:
            return super().invoke(ctx)
        except MontError as error:
            raise Failure(explain(error)) from error
        except BrokenPipeError:
            raise  # whoever read this has seen enough, and click ends without a word
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
        **options: Any,
    ) -> R:
        if api_key and token:
            raise click.UsageError("Give an API key or a token, not both.")
        return command(*args, remote=Remote(url, api_key, token, user), **options)  # type: ignore[arg-type]

    return with_remote


def explain(error: BaseException) -> str:
    """What went wrong, and what to do about it where that is known."""
    said = printable_lines(str(error) or type(error).__name__)
    if isinstance(error, OSError) and error.strerror:
        said = printable(error.strerror)
    return f"{said}\n{hint}" if (hint := _hint(error)) else said


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
        case Throttled() if error.retry_after is not None:
            return f"Try again in {error.retry_after:.0f} s."
    return ""


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
