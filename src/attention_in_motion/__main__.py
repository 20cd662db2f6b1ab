"""The command line: `attention-in-motion`, or `python -m attention_in_motion`."""

from __future__ import annotations

import sys
from typing import Any

import click

from attention_in_motion.cli import book, chapters, claims, sweep, weights

EPILOGUE = """\b
Exit status:
  0  done
  1  a claim moved, or a retrained run left its spread
  2  bad input: said in one line, before anything starts
  3  a run failed: a page did not run to its end, a file could not be written
  130  interrupted by Ctrl-C; what was finished is kept
\b
Examples:
  attention-in-motion list
  attention-in-motion show 1
  attention-in-motion run 1 -p omega0 3.3 -p gamma 0.7
  attention-in-motion compare book runs/01_fixed_omega/ID/reading.json
"""
INTERRUPTED = 130  # as shells say it


class Commands(click.Group):
    """A group whose commands end in one line when they cannot go on; the epilogue has the codes."""

    def main(self, *args: Any, **options: Any) -> None:
        """Run a command and leave with its exit status."""
        for stream in (sys.stdout, sys.stderr):
            stream.reconfigure(errors="replace")  # a terminal that knows ASCII alone shows "?"
        try:
            status = super().main(*args, **{**options, "standalone_mode": False})
        except click.exceptions.NoArgsIsHelpError as error:
            error.show()
            status = error.exit_code
        except click.ClickException as error:
            status = said(error.format_message(), error.exit_code)
        except click.Abort:
            status = said("stopped; what was finished is kept", INTERRUPTED)
        except (FileNotFoundError, ValueError) as error:
            status = said(error, getattr(error, "status", 2))
        except OSError as error:
            status = said(error, 3)
        raise SystemExit(status or 0)


def said(what: object, status: int) -> int:
    """Say what is wrong, and return the status."""
    click.echo(f"error: {what}", err=True)
    return status


@click.group(
    cls=Commands,
    epilog=EPILOGUE,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
def main() -> None:
    """Attention in Motion: re-run its chapters, compare their claims, train and ship weights."""


for command in (
    *(chapters.list_chapters, chapters.show, chapters.run),
    *(sweep.sweep, book.book, book.outputs, book.check_builder),
    *(claims.claims, claims.compare),
    *(weights.retrain, weights.ship, weights.convert_official),
    *(weights.train, weights.evaluate),
):
    main.add_command(command)

if __name__ == "__main__":
    main(prog_name="python -m attention_in_motion")
