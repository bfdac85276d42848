"""mont completion."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print what makes a shell complete `mont`.

    \b
    source <(mont completion bash)                       # in ~/.bashrc
    source <(mont completion zsh)                        # in ~/.zshrc, after compinit
    mont completion fish > ~/.config/fish/completions/mont.fish
    """
    kind = get_completion_class(shell)
    assert kind is not None, "click knows all three"
    click.echo(kind(ctx.find_root().command, {}, "mont", "_MONT_COMPLETE").source())
