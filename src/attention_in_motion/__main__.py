"""The command line: `attention-in-motion`, or `python -m attention_in_motion`."""

from __future__ import annotations

from typing import Any

import click

from attention_in_motion.cli import commands as cli
from attention_in_motion.cli.sweep import sweep


class Commands(click.Group):
    """A group whose commands end in one line on bad input, with exit status 2."""

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except (ValueError, OSError) as error:
            click.echo(f"error: {error}", err=True)
            raise SystemExit(2) from None


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Attention in Motion: re-run its chapters, compare their claims, train and ship weights."""


for command in (
    *(cli.run, cli.outputs, cli.check_builder, cli.claims),
    *(cli.retrain, cli.ship, cli.convert_official, sweep),
):
    main.add_command(command)

if __name__ == "__main__":
    main(prog_name="python -m attention_in_motion")
