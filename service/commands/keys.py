"""mont keys: make, list and revoke API keys."""

from __future__ import annotations

import re

import click

from service.commands.common import Failure, on_stores, read_settings


@click.group()
def keys() -> None:
    """Make, list and revoke API keys, for AUTH_MODE=api_key."""


@keys.command("create")
@click.option("--owner", required=True, help="The user whose images the key opens; * for any.")
@click.option("--expires", "days", type=click.IntRange(1, 36_500), help="Days until it expires.")
@click.option("--quota", type=click.IntRange(1), help="Requests a day, if not the usual number.")
def create_key(owner: str, days: int | None, quota: int | None) -> None:
    """Make a key and print it: KEY=$(mont keys create --owner ann).

    It is shown this once, since only its hash is kept.
    """
    from service import keyring

    if not keyring.is_owner(owner):
        raise click.BadParameter(
            "must be * or 1 to 128 of A-Z a-z 0-9 . _ @ + : -", param_hint="--owner"
        )
    text, key = on_stores(keyring.create(read_settings(), owner, days, quota))
    click.echo(text)
    until = f"until {key.expires_at}" if key.expires_at else "until it is revoked"
    click.echo(f"Key {key.key_id} of {owner}, good {until}. It is not shown again.", err=True)


@keys.command("list")
def list_keys() -> None:
    """List all keys by their ids."""
    from service import keyring

    click.echo(on_stores(keyring.table(read_settings())))


@keys.command("revoke")
@click.argument("key_id", metavar="ID")
def revoke_key(key_id: str) -> None:
    """Revoke the key with this ID for good. Every server refuses it within a minute."""
    from service import keyring

    # A shorter one could name several.
    if not re.fullmatch("[0-9a-f]{16}", key_id):
        raise click.BadParameter("is not an ID of `mont keys list`", param_hint="ID")
    key = on_stores(keyring.revoke(read_settings(), key_id))
    if key is None:
        raise Failure(f"There is no key {key_id}; `mont keys list` lists them.")
    click.echo(f"Key {key_id} of {key.owner} is revoked.", err=True)
