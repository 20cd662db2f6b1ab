"""Command line: python -m attention_in_motion {claims,run,outputs,retrain,ship,...}."""

from __future__ import annotations

import argparse
import json
import sys
from importlib.metadata import version
from pathlib import Path


def show_claims(options: argparse.Namespace) -> int:
    from attention_in_motion import claims
    from attention_in_motion.paths import BOOK

    if options.compare:
        old, new = (claims.collect(Path(source)) for source in options.compare)
        problems = claims.compare(old, new) if old else ["no claims in the old source"]
        print("\n".join(problems) or f"{len(old)} claims agree")
        return 1 if problems else 0
    found = claims.collect(Path(options.source or BOOK))
    if options.write:
        (BOOK / "claims.md").write_text(claims.page(found))
    elif options.json:
        print(json.dumps(found, indent=1, ensure_ascii=False))
    else:
        print("\n".join(f"{c['id']:6} {c['verdict']:14} {c['value']:.4g}" for c in found))
    return 0


def run_chapter(options: argparse.Namespace) -> int:
    from attention_in_motion.book import pages

    print(pages.run(options.chapter, dict(options.parameters)))
    return 0


def write_outputs(options: argparse.Namespace) -> int:
    from attention_in_motion import claims
    from attention_in_motion.book import pages
    from attention_in_motion.paths import BOOK

    wanted = [Path(path).resolve() for path in options.notebooks] or pages.pages()
    pages.write_outputs(*wanted)
    (BOOK / "claims.md").write_text(claims.page(claims.collect(BOOK)), encoding="utf-8")
    picture = pages.figure("01_fixed_omega", "fig-rollouts")
    (BOOK / "images" / "rollouts.png").write_bytes(picture)  # the README's figure
    return 0


def retrain(options: argparse.Namespace) -> int:
    from attention_in_motion import shipping

    return shipping.retrain(options.chapter, options.rotate)


def ship(options: argparse.Namespace) -> int:
    from attention_in_motion import shipping

    shipping.ship(map(Path, options.files))
    return 0


def convert_official(options: argparse.Namespace) -> int:
    from attention_in_motion.odeformer import official

    print(official.convert(options.file, options.out))
    return 0


def check_builder(options: argparse.Namespace) -> int:
    found = version("jupyter-book")
    if found.split(".")[0] != "1":
        raise ValueError(
            f"jupyter-book = {found}: must be 1.x; version 2 builds nothing here and exits 0"
        )
    return 0


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="python -m attention_in_motion", description=__doc__)
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    one = commands.add_parser("claims", help="list, compare or tabulate the book's claims")
    one.add_argument("--json", action="store_true", help="print a JSON list of claims")
    one.add_argument("--from", dest="source", metavar="DIR", help="where to read (default book)")
    one.add_argument("--compare", nargs=2, metavar=("OLD", "NEW"), help="fail on what moved")
    one.add_argument("--write", action="store_true", help="write book/claims.md")
    one.set_defaults(action=show_claims)

    one = commands.add_parser("run", help="re-execute a chapter with other parameters into runs/")
    one.add_argument("chapter", help="for example 01_fixed_omega")
    one.add_argument(
        "-p", dest="parameters", nargs=2, action="append", default=[], metavar=("NAME", "VALUE")
    )
    one.set_defaults(action=run_chapter)

    one = commands.add_parser("outputs", help="rewrite the committed outputs from a clean kernel")
    one.add_argument("notebooks", nargs="*")
    one.set_defaults(action=write_outputs)

    one = commands.add_parser("retrain", help="train a chapter's shipped runs again")
    one.add_argument("chapter", nargs="?", help="for example 02; all when omitted")
    one.add_argument("--rotate", action="store_true", help="only one run, by today's date")
    one.set_defaults(action=retrain)

    one = commands.add_parser("ship", help="put finished runs into data/ with manifest rows")
    one.add_argument("files", nargs="+")
    one.set_defaults(action=ship)

    one = commands.add_parser("convert-official", help="make safetensors of odeformer.pt, safely")
    one.add_argument("file", type=Path, metavar="PATH", help="the released file, as downloaded")
    one.add_argument("--out", type=Path, metavar="DIR", default=Path("runs/official"))
    one.set_defaults(action=convert_official)

    one = commands.add_parser("check-builder", help="fail unless Jupyter Book 1 is installed")
    one.set_defaults(action=check_builder)
    return top


def main() -> int:
    options = parser().parse_args()
    try:
        return options.action(options)
    except (ValueError, FileNotFoundError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
