"""The command line: `mont`, or `python -m service`."""

from __future__ import annotations

import sys

import click

from service import __version__
from service.commands import Commands


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="mont")
def main() -> None:
    """Mont Image Service: uploads straight to S3, verified and searchable.

    Settings come from the environment; `.env.example` lists them all.
    """


if __name__ == "__main__":
    sys.exit(main())
