"""mont events: what waits to be delivered, and delivering it again."""

from __future__ import annotations

import click

from service.commands.common import Failure, on_stores, read_settings


@click.group()
def events() -> None:
    """List the events of the outbox, and have them delivered again."""


@events.command("list")
@click.option(
    "--state",
    type=click.Choice(["waiting", "delivered", "dead"]),
    help="Only those; dead ones were given up after their last attempt.",
)
def list_events(state: str | None) -> None:
    """List events, one JSON object a line: mont events list --state dead.

    Delivered ones are kept for 7 days, dead ones for 30.
    """
    from service.events import administration

    on_stores(administration.list_events(read_settings(), state, click.echo))


@events.command("replay")
@click.argument("event_ids", metavar="[ID]...", nargs=-1)
@click.option("--dead", is_flag=True, help="All that were given up.")
@click.option("--since", metavar="TIME", help="All since then: 2026-02-13 or 2026-02-13T10:30:00Z.")
def replay_events(event_ids: tuple[str, ...], dead: bool, since: str | None) -> None:
    """Deliver events again, with all their attempts and under their old ids.

    \b
    mont events replay evt_0b4e...               these
    mont events replay --dead                    once the receiver works again
    mont events replay --since 2026-02-13        what a receiver lost
    """
    from service import timestamps
    from service.events import administration

    if bool(event_ids) + dead + (since is not None) != 1:
        raise click.UsageError("Say which: IDs, --dead or --since.")
    settings = read_settings()
    if event_ids:
        missing = on_stores(administration.replay(settings, event_ids))
        if missing:
            raise Failure("There is no such event (any more): " + ", ".join(missing))
        _say_due(len(event_ids))
        return
    try:
        earliest = None if since is None else timestamps.earliest(since)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--since") from error
    _say_due(on_stores(administration.replay_all(settings, dead=dead, since=earliest)))


def _say_due(number: int) -> None:
    due = "1 event is" if number == 1 else f"{number} events are"
    click.echo(f"{due} due again.", err=True)
