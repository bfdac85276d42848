"""The commands of `mont`, one module each. A module is imported when its command is asked for."""

from __future__ import annotations

import importlib

import click

COMMANDS: dict[str, str] = {
    "serve": "Serve the API and the page until Ctrl-C.",
    "provision": "Make the bucket and the tables of config/data.yaml where they are missing.",
    "openapi": "Print the OpenAPI document.",
    "sweep": "Compare both stores and settle what was left behind.",
    "upload": "Upload image files, and the image files in folders.",
    "ls": "List images, newest first.",
    "get": "Download images; print where each one is.",
    "rm": "Delete images for good.",
    "tag": "Add and remove an image's tags; print those that it then has.",
    "share": "Print a link to an image, good for whoever holds it until it expires.",
    "doctor": "Check settings, stores, clocks, CORS and a whole upload; say what to fix.",
    "completion": "Print what makes a shell complete `mont`.",
    "keys": "Make, list and revoke API keys, for AUTH_MODE=api_key.",
    "events": "List the events of the outbox, and have them delivered again.",
    "load": "Offer load to a service on a schedule, and measure how it bears it.",
    "cost": "Say what a month on AWS costs, and where the next limit lies.",
    "package": "Build the zip that Lambda runs.",
    "deploy": "Deploy to AWS, or to AWS_ENDPOINT_URL; again to update.",
}
"""Name -> its line in `mont --help`; module and function have the same name."""


class Commands(click.Group):
    """The group of all of them. Their help lines are known without importing any."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported now; None when there is none of this name."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"service.commands.{cmd_name}")
        command: click.Command = getattr(module, cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the lines of the table."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))
