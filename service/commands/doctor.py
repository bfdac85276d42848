"""mont doctor."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from service.commands.common import Failure, read_settings
from service.commands.remote import Remote, RemoteCommand, printable_lines, remote_options

if TYPE_CHECKING:
    from service.doctor.findings import Finding

_STYLES = {"ok": "green", "warning": "yellow", "failed": "red", "skipped": "dim"}


@click.command(cls=RemoteCommand)
@click.option("--stores/--no-stores", default=True, help="Bucket and tables, by the settings.")
@click.option("--service/--no-service", "service", default=True, help="The service at --url.")
@click.option("--json", "as_json", is_flag=True, help="A JSON object a line, for programs.")
@remote_options
@click.pass_context
def doctor(ctx: click.Context, remote: Remote, stores: bool, service: bool, as_json: bool) -> None:
    """Check settings, stores, clocks, CORS and a whole upload; say what to fix.

    The stores, and the receiver of webhooks, are those of the server's settings in this
    environment. A service is looked at as its clients meet it. The picture that is uploaded, one
    pixel, is removed again; no event is sent. Ends with 1 if anything has to be fixed.

    \b
    mont doctor
    mont doctor --json | jq 'select(.state == "failed")'
    mont doctor --no-stores --url https://api.example.com/dev --api-key $KEY
    AWS_ENDPOINT_URL=http://localhost:4566 mont doctor --no-service
    """
    source = ctx.get_parameter_source("url")
    by_default = source is click.core.ParameterSource.DEFAULT
    show = _show_as_json if as_json else _show
    if not asyncio.run(_examine(_findings(remote, stores, service, by_default), show)):
        sys.exit(1)


async def _examine(findings: AsyncIterator[Finding], show: Callable[[Finding], None]) -> bool:
    """Show every finding as it comes; whether nothing has to be fixed."""
    good = True
    async for finding in findings:
        show(finding)
        good = good and finding.state != "failed"
    return good


async def _findings(
    remote: Remote, stores: bool, service: bool, by_default: bool
) -> AsyncIterator[Finding]:
    from service.doctor.findings import Finding
    from service.doctor.remote import Target, check_service

    if stores:
        async for finding in _store_findings():
            yield finding
    if not service:
        return
    target = Target(remote.url, remote.api_key, remote.token, remote.user_id)
    async for finding in check_service(target):
        if by_default and (finding.check, finding.state) == ("service", "failed"):
            # Nobody said that one has to be there.
            yield Finding("service", "skipped", finding.seen, finding.fix)
        else:
            yield finding


async def _store_findings() -> AsyncIterator[Finding]:
    from service.doctor.findings import Finding
    from service.doctor.http import open_browser
    from service.doctor.stores import check_stores
    from service.doctor.webhooks import check_webhooks

    try:
        settings = read_settings()
    except Failure as error:
        yield Finding("settings", "failed", error.message, "docs/settings.md lists them all.")
        return
    where = settings.aws_endpoint_url or f"AWS, {settings.aws_region}"
    yield Finding("settings", "ok", f"stores at {where}; AUTH_MODE is {settings.auth_mode}")
    async for finding in check_stores(settings):
        yield finding
    async with open_browser() as browser:
        async for finding in check_webhooks(browser, settings):
            yield finding


def _show_as_json(finding: Finding) -> None:
    click.echo(json.dumps(asdict(finding)))


def _show(finding: Finding) -> None:
    from rich.console import Console
    from rich.text import Text

    seen = printable_lines(finding.seen)
    line = Text.assemble(
        (f"{finding.state:<8}", _STYLES[finding.state]), f" {finding.check}: {seen}"
    )
    if finding.fix and finding.state != "ok":
        line.append(f"\n         {finding.fix}")
    # Lines are not broken: they may go into a file.
    Console(soft_wrap=True, highlight=False).print(line)
