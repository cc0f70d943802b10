"""What shells need of the command line."""

import click

from infra.cli.command_line import argument, scones


@scones.command()
@argument("shell", metavar="SHELL", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the script that completes commands and options in a shell.

    \b
    bash: scones completion bash > ~/.local/share/bash-completion/completions/scones
    zsh:  scones completion zsh > a file `_scones` in a folder of $fpath
    fish: scones completion fish > ~/.config/fish/completions/scones.fish
    """
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind  # noqa: S101 - click has all three
    click.echo(kind(scones, {}, "scones", "_SCONES_COMPLETE").source())
