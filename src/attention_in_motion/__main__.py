"""The command line: `attention-in-motion`, or `python -m attention_in_motion`."""

from __future__ import annotations

from typing import Any

import click

from attention_in_motion.cli import claims, pages, weights


class Commands(click.Group):
    """A group whose commands end in one line on bad input, with exit status 2."""

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except (ValueError, FileNotFoundError) as error:
            click.echo(f"error: {error}", err=True)
            raise SystemExit(2) from None


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Attention in Motion: re-run its chapters, compare their claims, train and ship weights."""


for command in (
    *(pages.run, pages.outputs, pages.check_builder),
    *(claims.claims, weights.retrain, weights.ship, weights.convert_official),
):
    main.add_command(command)

if __name__ == "__main__":
    main(prog_name="python -m attention_in_motion")
