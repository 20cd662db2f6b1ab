"""What the front page's picture shows, computed from shipped weights: one panel for each post.

    python -m attention_in_motion.book.front_picture

Where a model is an ensemble, the seed that is drawn is the one of the median error at the end.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import sympy
import torch
from torch import Tensor

from attention_in_motion.book import pages
from attention_in_motion.chapters import linear_collapse, odeformer, solver, uniform_motion
from attention_in_motion.chapters.page import Parameters
from attention_in_motion.claims import shown
from attention_in_motion.figures.front_page import INK, Curve, Panel, front_page, save
from attention_in_motion.measures import trajectories
from attention_in_motion.measures.trajectories import TestSet
from attention_in_motion.models import motion
from attention_in_motion.odeformer import recognise, weights
from attention_in_motion.paths import BOOK
from attention_in_motion.statistics import over_seeds
from attention_in_motion.training.run import Run
from attention_in_motion.training.store import load_all

SWINGS = 200  # steps of the rollout, as in post 1
STARTS = 16  # of them
FREQUENCIES = 256  # held out
POSTS_BEST = "8LA 32/16 open"
POSTS_LAYER = "P3.10"  # its final one
LINE = torch.linspace(-1, 1, 103, dtype=torch.float64)  # two positions to start from, 101 to follow
LOGISTIC = "logistic: x' = 0.8 x (1 − x / 5)"  # of the worked examples of chapter 5


def write() -> list[Path]:
    """Write the picture for light and for dark pages, and for previews; the paths written."""
    drawn = [one_frequency(), any_frequency(), uniform(), equation()]
    paths = {theme: BOOK / "images" / f"front-{theme}.svg" for theme in INK}
    for theme, path in paths.items():
        save(front_page(drawn, theme), path)
    preview = BOOK / "_static" / "front.png"  # who shows previews of pages reads no SVG
    front_page(drawn, "light").savefig(preview, dpi=150, metadata={"Software": None})
    return [*paths.values(), preview]


def given(page: Parameters) -> Parameters:
    """A page's parameters as they stand in its notebook."""
    return page.given(pages.defaults(page.page))


def trained(runs: dict[str, Run], page: str, name: str) -> torch.nn.Module:
    """The shipped ensemble of that name."""
    return load_all({name: runs[name]}, page)[name].model


def median_seed(error: Tensor) -> int:
    """The seed of the median error: (seed,) → index."""
    return int(error.argsort()[len(error) // 2])


def one_frequency() -> Panel:
    """Post 1: one attention layer that sees one state, rolled out."""
    p = given(linear_collapse.Parameters)
    model = trained(linear_collapse.runs(p), p.page, "one token")
    damped = {"gamma": (p.gamma, p.gamma), "dt": p.dt, "context": 1, "steps": SWINGS}
    test = trajectories.held_out(torch.full((STARTS,), p.omega0), **damped)
    predict = trajectories.predictor(model)
    error = trajectories.rollout_error(predict, test)[0][..., -1].median(dim=1).values  # (seed,)
    test = test.rows(torch.tensor([trajectories.strongest_near(test, p.omega0)]))
    path = trajectories.continued(predict, test)[median_seed(error), 0, :, 0]
    return Panel(
        "1 · Can attention learn to oscillate?",
        f"Yes: off by {shown(over_seeds(error)[0])} after {SWINGS} steps",
        p.dt * np.arange(1, SWINGS + 1),
        [
            Curve(test.future[0, :, 0], "truth", "exact", (0.86, 0.3)),
            Curve(path, "model", "one layer, on its own output", (0.32, 0.9)),
        ],
    )


def any_frequency() -> Panel:
    """Post 2: its best model at a frequency that it must find, and ours."""
    p = given(solver.Parameters)
    omega0 = trajectories.evenly(p.omega0_min, p.omega0_max, FREQUENCIES)
    test = trajectories.held_out(omega0, **p.motion, context=p.context, steps=p.rollout_steps)
    row = trajectories.strongest_near(test, p.middle)
    runs = solver.runs(p)
    theirs, lost = followed(trained(runs, p.page, POSTS_BEST), test, row)
    ours, kept = followed(trained(runs, p.page, f"solver {solver.BEST}"), test, row)
    return Panel(
        "2 · At a frequency it must find?",
        f"No: off by {percent(lost)}; ours, by {percent(kept)}",
        p.dt * np.arange(1, p.rollout_steps + 1),
        [
            Curve(test.future[row, :, 0], "truth", "exact", (0.86, 0.28)),
            Curve(theirs, "rival", "the post's best", (0.62, 0.9)),
            Curve(ours, "model", "ours, told the symmetry", (0.2, 0.03)),
        ],
    )


def followed(model: torch.nn.Module, test: TestSet, row: int) -> tuple[Tensor, Tensor]:
    """x of one row's rollout, by the median seed (steps,), and e_n at its end (seed,)."""
    path = trajectories.continued(trajectories.predictor(model), test)
    error, _ = trajectories.strayed(path, test.future, test)
    at_end = error[..., -1].median(dim=1).values
    return path[median_seed(at_end), row, :, 0], at_end


def percent(error: Tensor) -> str:
    """The geometric mean over seeds of an error (seed,), in per cent."""
    return f"{shown(float(f'{100 * over_seeds(error)[0]:.2g}'))} %"


def uniform() -> Panel:
    """Post 3: a lucky seed of its layer follows a line, and so does a layer written by hand."""
    p = given(uniform_motion.Parameters)
    run = uniform_motion.runs(p)[POSTS_LAYER]
    ensemble = trained({POSTS_LAYER: run}, p.page, POSTS_LAYER)
    missed = run.normalised_mse(ensemble, torch.Generator().manual_seed(0))  # (seed,)
    lucky = uniform_motion.lucky(missed)
    paths = ahead(ensemble.double(), p.n_seeds, run.input_scale, run.target_scale)
    middle = lucky[len(lucky) // 2]
    by_hand = ahead(motion.residual_layer(), 1)[0]
    return Panel(
        "3 · Can one layer go straight?",
        f"No; with a residual, to {shown(furthest(by_hand))}",
        np.arange(1, len(LINE) - 1),
        [
            Curve(LINE[2:], "truth", "exact", (0.86, 0.7)),
            Curve(paths[middle], "rival", "the post's layer", (0.14, 0.2)),
            Curve(by_hand, "model", "with a residual, by hand", (0.1, 0.9)),
        ],
        "step",
    )


def furthest(path: Tensor) -> float:
    """The largest distance of a path from LINE, as a share of its length."""
    return float((path - LINE[2:]).abs().max() / (LINE[-1] - LINE[0]))


def ahead(
    layer: torch.nn.Module, n_seeds: int, input_scale: float = 1.0, target_scale: float = 1.0
) -> Tensor:
    """A rollout over LINE from its first two positions: (seed, 101)."""
    start = LINE[:2, None].expand(n_seeds, 1, 2, 1)
    predict = lambda x: layer(input_scale * x)[:, :, -1] / target_scale  # noqa: E731
    return trajectories.rollout(predict, start, len(LINE) - 2).flatten(1).detach()


def equation() -> Panel:
    """Post 4: points go in, a differential equation comes out."""
    p = given(odeformer.Parameters)
    system, start, end = odeformer.EXAMPLES[LOGISTIC]
    times = np.linspace(0, end, p.n_points)
    observed = recognise.predict(system, start, times)
    options = {"n_samples": p.n_samples, "temperature": p.temperature, "seed": p.seed}
    network = weights.load(p.model)
    best = recognise.ask(network, times, observed, **options, refine=True).candidates[0]
    found = best.integrate(observed[0], times)
    return Panel(
        "4 · Can it write down the law?",
        f"It writes $\\dot x = {in_words(best.expressions[0])}$",
        times,
        [
            Curve(observed[:, 0], "truth", "observed", (0.08, 0.6)),
            Curve(found[:, 0], "model", "integrated from it", (0.46, 0.5)),
        ],
    )


def in_words(expression: sympy.Expr) -> str:
    """An expression with numbers of two digits, in the notation of formulae."""
    rounded = {number: sympy.Float(number, 2) for number in expression.atoms(sympy.Float)}
    return sympy.latex(expression.xreplace(rounded)).replace("x_{0}", "x")


if __name__ == "__main__":
    print(*write(), sep="\n")
