"""About how long a command takes: from what was measured when pages and weights were made.

`book/seconds.json` holds the seconds of each page, written with its outputs; a shipped run's row in
the manifest holds the seconds of its training. Nothing here is a promise: machines differ.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attention_in_motion.book import parameters
from attention_in_motion.chapters import contents
from attention_in_motion.paths import BOOK, DATA, read_json, require_checkout, weights_folder

if TYPE_CHECKING:
    from attention_in_motion.training.run import Run

SECONDS = BOOK / "seconds.json"
# Seconds of one core that other steps took with the shipped weights
CHECKED = 20.0  # an ODEFormer, on held-out systems, before and after it is rounded to float16
EVALUATED = 42.0, 17.5  # an ODEFormer: at any n, and for each of the n systems of a group
CONVERTED = 3.3 / 243e6  # a byte of the released weights


def seconds() -> dict[str, float]:
    """Seconds of each page at its own parameters, {page: seconds}; empty if never measured."""
    return json.loads(SECONDS.read_text(encoding="utf-8")) if SECONDS.exists() else {}


def keep(measured: Mapping[str, float]) -> None:
    """Note how long pages took, beside what is known of the others."""
    text = json.dumps({**seconds(), **measured}, indent=1, sort_keys=True)
    SECONDS.write_text(text + "\n", encoding="utf-8")


def about(duration: float | None) -> str:
    """Seconds in words, rounded to what such a guess is worth: 'about 50 s', 'about 12 min'."""
    if duration is None:
        return "a time never measured"
    if duration < 1:
        return "less than a second"
    for length, unit in ((3600, "h"), (60, "min"), (1, "s")):
        if duration >= 2 * length or unit == "s":
            return f"about {float(f'{duration / length:.2g}'):g} {unit}"
    return ""


def plan(page: str, given: Mapping[str, Any]) -> list[str]:
    """What executing a page with `given` will do and about how long it takes, one line each.

    A page that trains its models itself, each time, takes longer in proportion to their steps,
    seeds and batches; others load what is shipped or kept, and train what is neither.
    """
    module = contents.named(page)
    own = parameters.defaults(page)
    p, usual = module.Parameters.given({**own, **given}), module.Parameters.given(own)
    always = unshipped(module.runs(usual))
    new = module.runs(p) if getattr(p, "retrain", False) else unshipped(module.runs(p))
    live = {name: run for name, run in new.items() if name in always}
    anew = {name: run for name, run in new.items() if name not in always}
    if not getattr(p, "retrain", False):
        anew = {name: run for name, run in anew.items() if not kept(run, module.PAGE, name)}
    lines = [f"executes {module.PAGE}: {executing(module.PAGE, live, always)}"]
    if anew:
        guesses = [guess(run, module.PAGE, name) for name, run in anew.items()]
        lines.append(f"trains first {', '.join(anew)}: {about(total(guesses))}")
    return lines


def executing(page: str, live: Mapping[str, Run], always: Mapping[str, Run]) -> str:
    """How long a page takes: as measured, or longer as what it trains live is more work."""
    measured = seconds().get(page)
    ratio = total(map(work, live.values())) / total(map(work, always.values())) if live else 1.0
    bound = "at most " if ratio < 1 else ""
    return bound + about(measured and measured * max(ratio, 1.0))


def total(parts: Iterable[float | None]) -> float | None:
    """Their sum; None if one is not known."""
    found = list(parts)
    return None if None in found else sum(found)


def unshipped(runs: Mapping[str, Run]) -> dict[str, Run]:
    """Those whose weights are not in data/."""
    from attention_in_motion.training import store
    from attention_in_motion.training.run import digest

    shipped = {row["key"] for row in store.manifest()}
    return {name: run for name, run in runs.items() if digest(run) not in shipped}


def kept(run: Run, page: str, name: str) -> bool:
    """Whether a run was trained here before."""
    from attention_in_motion.training.run import digest

    return (weights_folder() / f"{stem(page, name)}-{digest(run)}.safetensors").exists()


def stem(page: str, name: str) -> str:
    """What `store.load_all` calls a page's run: 03-8la-32-16-open."""
    from attention_in_motion.training.store import slug

    return f"{page[:2]}-{slug(name)}"


def guess(run: Run, page: str, name: str) -> float | None:
    """Seconds of a training, from the shipped run of the same name; None if there is none."""
    from attention_in_motion.training import store

    for row in store.manifest():
        if row["name"].lower() == stem(page, name).lower():
            return row["seconds"] * work(run) / work(store.run_of(row))
    return None


def work(run: Run) -> float:
    """Training steps × seeds × batch × context: what the time of a training grows with."""
    return run.steps * len(run.seeds) * getattr(run, "batch", 1) * getattr(run, "context", 1)


def odeformer(config: str, steps: int | None = None) -> float | None:
    """Seconds of training what a file describes, by its last time; `steps` override the file's."""
    for path in sorted((DATA / "odeformer").glob("*.json")):
        record = read_json(path)
        if config in record.get("command", "").split() and "last_start_at_step" in record:
            timed = record["steps"] - record["last_start_at_step"]
            return record["seconds_since_last_start"] / timed * (steps or record["steps"])
    return None


def shipping(n_models: int) -> float:
    """Seconds of shipping so many ODEFormers; other runs are only copied."""
    return CHECKED * n_models


def evaluation(n: int) -> float:
    """Seconds of evaluating an ODEFormer on n systems of each group."""
    always, each = EVALUATED
    return always + each * n


def conversion(file: Path) -> float:
    """Seconds of converting released weights, in proportion to the file's size."""
    return CONVERTED * file.stat().st_size


def shipped(wanted: str | None) -> list[dict[str, Any]]:
    """The manifest's rows whose names begin with `wanted`. Raises ValueError if there is none."""
    require_checkout()
    rows = read_json(DATA / "manifest.json")
    found = [row for row in rows if row["name"].startswith(wanted or "")]
    if not found:
        raise ValueError(f"chapter = {wanted!r}: nothing is shipped under that name")
    return found
