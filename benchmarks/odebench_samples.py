"""What the weights know of ODEBench: how many systems are right among how many samples.

    python benchmarks/odebench_samples.py                    # every tenth system, ten samples
    python benchmarks/odebench_samples.py --every 1 --samples 100 --out data/odebench_samples.json

The model writes about 50 clean points of each system, nothing is searched. For every sample the
table has R² from both starts, as written, and with its constants refined by least squares on the
points; "best of n" is exact over all choices of n among the samples. Where more samples no longer
help, the weights do not know the form. The table is written after every system and gone on with.
"""

from __future__ import annotations

import argparse
import json
import math
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from tqdm import tqdm

from attention_in_motion.odeformer import recognise
from attention_in_motion.odeformer.language.expressions import skeleton
from attention_in_motion.odeformer.language.tokens import System as Words
from attention_in_motion.odeformer.measurements import Track
from attention_in_motion.odeformer.network.model import ODEFormer
from attention_in_motion.odeformer.odebench import System, systems
from attention_in_motion.odeformer.odebench_scores import N_POINTS, STARTS, by_samples
from attention_in_motion.odeformer.proposals import scale_of
from attention_in_motion.odeformer.recognise import UNREADABLE, Candidate
from attention_in_motion.odeformer.weights import load, record_of
from attention_in_motion.paths import read_json, save_atomically

TEMPERATURE, SEED = 0.5, 0
NUMBERS = (1, 5, 10, 20, 50, 100)
Pairs = list[list[float | None]]  # R² from the given and the other start of every sample


def drawn(model: ODEFormer, seen: Track, n: int) -> list[Words | None]:
    """n samples as systems in the units of the data; None for each that is none."""
    vocabulary, scale = model.config.vocabulary, scale_of(seen)
    points = torch.from_numpy(vocabulary.encode_points(*scale.apply(*seen)))
    written = recognise.write(model, points, n, TEMPERATURE, "sample", SEED)
    found: list[Words | None] = []
    for one in written:
        system = None
        with suppress(*UNREADABLE):
            system = recognise.system_of(vocabulary, one.tokens, seen.values.shape[1], scale)
        found.append(system)
    return found + [None] * (n - len(found))


def pairs(found: list[Words | None], clean: list[Track]) -> Pairs:
    """R² of every system from both starts, None where it has none."""
    rows: Pairs = []
    for system in found:
        values = [math.nan] * 2
        if system is not None:
            curves = [recognise.predict(system, one.values[0], one.times) for one in clean]
            values = [recognise.r2(t.values, x) for t, x in zip(clean, curves, strict=True)]
        rows.append([round(value, 6) if math.isfinite(value) else None for value in values])
    return rows


def refined(found: list[Words | None], seen: Track) -> list[Words | None]:
    """Every system with constants of least squares, those of the best of its skeleton."""
    names = [system and skeleton(system) for system in found]
    readable = [system for system in found if system is not None]
    best: dict[str, Candidate] = {}
    for one in recognise.rank([(system, 0.0) for system in readable], *seen):
        best.setdefault(skeleton(one.system), one)
    fitted = {name: recognise.refine(one, *seen).system for name, one in best.items()}
    return [name and fitted[name] for name in names]


def row(model: ODEFormer, system: System, n: int) -> dict[str, Pairs]:
    """What n samples about one system are worth."""
    clean = [system.trajectory(which) for which in (0, 1)]
    seen = clean[0].thinned(N_POINTS)
    found = drawn(model, seen, n)
    return {
        "as written": pairs(found, clean),
        "constants refined": pairs(refined(found, seen), clean),
    }


def keep(table: dict[str, Any], out: Path) -> None:
    """Write the table at once or not at all, a line for each system."""
    rows = (f"{json.dumps(name)}: {json.dumps(one)}" for name, one in table["rows"].items())
    head = json.dumps({"settings": table["settings"]})[:-1]
    text = f'{head}, "rows": {{\n' + ",\n".join(rows) + "\n}}\n"
    save_atomically(lambda partial: partial.write_text(text, encoding="utf-8"), out)


def show(rows: dict[str, dict[str, Pairs]], n: int) -> None:
    """How many systems are expected to be right among the best of so many samples."""
    numbers = [k for k in NUMBERS if k <= n]
    for start in STARTS:
        for how, shares in by_samples(rows, start, numbers).items():
            counts = [f"{k}: {x * len(rows):.1f}" for k, x in zip(numbers, shares, strict=True)]
            print(f"{how:18} {start:6} of {len(rows)} systems, best of {', '.join(counts)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", default="ours")
    parser.add_argument("--samples", type=int, default=10)
    parser.add_argument("--every", type=int, default=10, help="every k-th system alone")
    parser.add_argument("--out", type=Path, help="the table, which is kept and gone on with")
    options = parser.parse_args()
    if options.samples < 1:
        parser.error(f"--samples {options.samples}: must be at least 1")
    torch.set_num_threads(1)
    model, settings = load(options.weights), {"weights": record_of(options.weights)["sha256"]}
    settings |= {"n_samples": options.samples, "temperature": TEMPERATURE, "seed": SEED}
    with TemporaryDirectory() as folder:
        out = options.out or Path(folder) / "samples.json"
        table: dict[str, Any] = read_json(out) if out.is_file() else {"settings": settings}
        if table["settings"] != settings:
            parser.error(f"{out}: has other settings, {table['settings']}; name another file")
        rows = table.setdefault("rows", {})
        for system in tqdm(systems()[:: options.every], disable=None):
            if str(system.id) not in rows:
                rows[str(system.id)] = row(model, system, options.samples)
                keep(table, out)
        show(rows, options.samples)


if __name__ == "__main__":
    main()
