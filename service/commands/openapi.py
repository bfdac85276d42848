"""mont openapi."""

from __future__ import annotations

import click
import orjson

from service.commands.common import read_settings
from service.endpoints import ENDPOINTS
from service.openapi import build_document
from service.wiring import rules_of


@click.command()
def openapi() -> None:
    """Print the OpenAPI document."""
    settings = read_settings()
    document = build_document(ENDPOINTS, rules_of(settings), settings.auth_mode)
    click.echo(orjson.dumps(document, option=orjson.OPT_INDENT_2))
