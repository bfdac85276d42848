"""mont tag."""

from __future__ import annotations

import asyncio

import click

from service.client import Image
from service.commands.patience import wait_option
from service.commands.remote import Remote, RemoteCommand, printable, remote_options

_MARKS = "service.commands.tag.marks"


class TagCommand(RemoteCommand):
    """Takes `+this` and `-that`, which are no options although one of them looks like it."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the marks aside, then read the rest as ever."""
        takes_value = {
            name
            for parameter in self.get_params(ctx)
            if isinstance(parameter, click.Option) and not parameter.is_flag
            for name in parameter.opts
        }
        marks: list[str] = []
        rest: list[str] = []
        for index, argument in enumerate(args):
            is_value = index > 0 and args[index - 1] in takes_value
            plain = argument[:1] == "-" and argument[1:2] not in ("", "-") and argument != "-h"
            marked = argument[:1] == "+" and len(argument) > 1
            (marks if (plain or marked) and not is_value else rest).append(argument)
        ctx.meta[_MARKS] = marks
        return super().parse_args(ctx, rest)


@click.command(cls=TagCommand, options_metavar="[OPTIONS] [+ADD | -REMOVE]...")
@click.argument("image_id", metavar="ID")
@click.option("--add", metavar="TAG", multiple=True, help="The same as +TAG.")
@click.option("--remove", metavar="TAG", multiple=True, help="The same as -TAG.")
@click.option("--set", "only", metavar="TAG", multiple=True, help="These tags and no others.")
@click.option("--clear", is_flag=True, help="No tags.")
@remote_options
@wait_option(10)
@click.pass_context
def tag(
    ctx: click.Context,
    remote: Remote,
    image_id: str,
    add: tuple[str, ...],
    remove: tuple[str, ...],
    only: tuple[str, ...],
    clear: bool,
) -> None:
    """Add and remove an image's tags; print those that it then has.

    Nobody else's change made at the same time is lost.

    \b
    mont tag $ID +beach +sunset -draft
    mont tag $ID --set beach --set sunset
    mont tag $ID --clear
    """
    marks: list[str] = ctx.meta[_MARKS]
    added = [*add, *(mark[1:] for mark in marks if mark[0] == "+")]
    removed = [*remove, *(mark[1:] for mark in marks if mark[0] == "-")]
    changes, replaced = bool(added or removed), bool(only) or clear
    if changes + bool(only) + clear != 1:
        raise click.UsageError("Say what to change: +TAG and -TAG, or --set TAG, or --clear.")

    async def work() -> Image:
        async with remote.client() as mont:
            if replaced:
                return await mont.edit(image_id, tags=only)
            return await mont.retag(image_id, add=added, remove=removed)

    for each in asyncio.run(work()).tags:
        click.echo(printable(each))
