"""How well a trained model recognises systems that it has never seen, beside a simple baseline:

    python -m attention_in_motion.odeformer.evaluation WEIGHTS.safetensors --out FILE.json

Each system is observed from one start: as it is, with noise, and at every second point. What is
recognised is integrated from there and from another start of the same system, which shows whether
the equation was found or only a curve. Beside the model stand a baseline that knows nothing and two
ceilings that know the form. Source of the protocol: d'Ascoli et al., "ODEFormer" (2023), section 4.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import combinations_with_replacement, count, islice
from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from attention_in_motion.odeformer.language.expressions import chain, constants_of
from attention_in_motion.odeformer.language.tokens import KINDS, System
from attention_in_motion.odeformer.network.decode import Decoded, generate, likeliest, sample
from attention_in_motion.odeformer.network.model import ODEFormer
from attention_in_motion.odeformer.recognise import (
    MAX_TOKENS,
    Candidate,
    distinct,
    order,
    r2,
    rank,
    refine,
    trajectories,
)
from attention_in_motion.odeformer.stream import EVALUATION, StreamConfig, acceptance, finish
from attention_in_motion.odeformer.systems.families import FAMILIES, FAMILY_STEPS, family_group
from attention_in_motion.odeformer.systems.prior import (
    PRIORS,
    held_out,
    random_group,
    random_system,
)
from attention_in_motion.odeformer.systems.scale import Scale
from attention_in_motion.odeformer.systems.simulate import solve
from attention_in_motion.odeformer.systems.trajectories import (
    SMALLEST_START,
    Group,
    Sample,
    corrupt,
    rescale,
)
from attention_in_motion.odeformer.train import teacher_forced, validation_batches
from attention_in_motion.odeformer.weights import load, record_of, write_json
from attention_in_motion.statistics import share as wilson

CONDITIONS = {"noise 0": (0.0, 1), "noise 0.05": (0.05, 1), "half the points": (0.0, 2)}
"""{name: (noise γ, k where every k-th point is observed)}"""
STARTS = ("given start", "new start", "both starts")  # both: the lesser R²
N_SAMPLES, TEMPERATURE = 10, 0.1
GOOD = 0.9  # a trajectory with a larger R² counts as recognised
COLUMNS = 64  # constant sets tried for one system
NEW_STARTS = 16  # of which the first that can be integrated and moves is taken
BATCH = 100  # inputs decoded at once
OSCILLATORS, SLOW = ("oscillator", "damped"), 3.0  # their first constant is −ω²; slow: ω ≤ 3
N_POPULATION = 2000  # draws of each family that are counted

Row = dict[str, Any]
Written = list[tuple[System, float]]  # systems in original units with their log-probabilities


class Case(NamedTuple):
    """One system, its clean trajectory, and the one from another start, on the same times.

    values and new_values (n_points, dimension); `groups` are those it is counted in.
    """

    groups: tuple[str, ...]
    system: System
    times: NDArray
    values: NDArray
    new_values: NDArray


class Answer(NamedTuple):
    """What one method says about one case: systems, best first or not, of the right dimension.

    `wrong_dimension` is the share of what it wrote that had another number of equations.
    """

    systems: Written
    wrong_dimension: float


# ---------------------------------------------------------------------------------------------
# Cases


def draw_cases(config: StreamConfig, seed: int, n: int) -> list[Case]:
    """n cases of each family and of each random prior in each dimension that the config has.

    Random skeletons are held out from training, a new one for each case; families keep their
    skeleton, with constants and starts of their own. All trajectories have the same number of
    points, in the middle of the config's range, and would be fit for its stream.
    """
    rngs = (np.random.default_rng([EVALUATION, seed, i]) for i in count())
    sources = {
        (name, f"families {len(FAMILIES[name].system)}-D"): family_cases(config, next(rngs), name)
        for name in config.families
    } | {
        (f"{prior} {d}-D", f"{prior} prior"): random_cases(config, next(rngs), d, prior)
        for prior in PRIORS
        for d in range(1, config.max_dimension + 1)
    }
    drawn = [(groups, islice(source, n)) for groups, source in sources.items()]
    return [
        case._replace(groups=(*groups, *subgroups(groups[0], case)))
        for groups, cases in drawn
        for case in cases
    ]


def subgroups(name: str, case: Case) -> list[str]:
    """What else a case of a source is counted in: the slow ones among the oscillators."""
    slow = name in OSCILLATORS and constants_of(case.system)[0] >= -(SLOW**2)
    return [f"{name}, ω ≤ {SLOW:g}"] if slow else []


def family_cases(config: StreamConfig, rng: Generator, name: str) -> Iterator[Case]:
    """Endless cases of one family."""
    while True:
        group = family_group(rng, name, middle(config), COLUMNS)
        yield from cases_of(config, rng, group, lambda n: FAMILIES[name].draw(rng, n)[1])


def random_cases(
    config: StreamConfig, rng: Generator, dimension: int, prior: str
) -> Iterator[Case]:
    """Endless cases of a random prior, each with a held-out skeleton of its own."""
    while True:
        system = random_system(rng, dimension, prior)
        if held_out(system):
            shape = system, middle(config), COLUMNS, prior
            group = random_group(rng, *shape, most=1, extra_steps=config.extra_steps)
            yield from cases_of(config, rng, group, lambda n: rng.standard_normal((dimension, n)))


def middle(config: StreamConfig) -> int:
    """How many points every trajectory of the evaluation has."""
    return (config.min_points + config.max_points) // 2


def cases_of(
    config: StreamConfig, rng: Generator, group: Group, draw: Callable[[int], NDArray]
) -> Iterator[Case]:
    """The group's trajectories that the stream would show, each with one from a start of `draw`."""
    clean = replace(config.clean, scaled=True)
    for j, one in enumerate(group.samples()):
        alone = group._replace(constants=group.constants[:, [j]], values=group.values[:, :, [j]])
        if np.abs(one.values[0]).min() < 2 * SMALLEST_START or not list(finish(clean, rng, alone)):
            continue
        constants = np.tile(alone.constants, NEW_STARTS)  # (n_constants, starts)
        others = solve(
            *(group.system, constants, draw(NEW_STARTS), len(one.times), group.source, FAMILY_STEPS)
        )
        moves = np.ptp(others.values, axis=0) > 0.01 * np.abs(others.values).max(axis=0)
        for k in np.flatnonzero(moves.any(axis=0))[:1]:
            yield Case((), one.system, one.times, one.values, others.values[:, :, k])


# ---------------------------------------------------------------------------------------------
# Answers


def ask(
    model: ODEFormer, times: NDArray, observed: Sequence[NDArray], seed: int
) -> dict[str, list[Answer]]:
    """{method: an answer per trajectory} for greedy decoding and for samples at temperature 0.1."""
    generator, device = torch.Generator().manual_seed(seed), model.decoder.proj.bias.device
    answers: dict[str, list[Answer]] = {"greedy": [], f"{N_SAMPLES} samples": []}
    for i in tqdm(range(0, len(observed), BATCH), desc="decoding", disable=None):
        part = observed[i : i + BATCH]
        points = encode(model, times, part).to(device)  # (batch, n_points, words)
        inputs = model, points, torch.full((len(part),), len(times), device=device)
        texts = [
            generate(*inputs, 1, likeliest, MAX_TOKENS),
            sample(*inputs, N_SAMPLES, TEMPERATURE, generator, MAX_TOKENS),
        ]
        for method, written in zip(answers, texts, strict=True):
            answers[method] += (
                answer_of(model, times, *pair) for pair in zip(part, written, strict=True)
            )
    return answers


def encode(model: ODEFormer, times: NDArray, observed: Iterable[NDArray]) -> Tensor:
    """Float ids (batch, n_points, words) of trajectories (n_points, dimension), each scaled."""
    scaled = (Scale.of(times, values).apply(times, values) for values in observed)
    ids = [model.config.vocabulary.encode_points(*pair) for pair in scaled]
    return torch.from_numpy(np.stack(ids))  # (batch, n_points, words)


def answer_of(model: ODEFormer, times: NDArray, values: NDArray, written: list[Decoded]) -> Answer:
    """The distinct systems of the right dimension among the sequences that came to their end."""
    vocabulary, dimension = model.config.vocabulary, values.shape[1]
    wrong = [d.tokens.count(vocabulary.ids["|"]) + 1 != dimension for d in written]
    ended = [decoded for decoded in written if len(decoded.tokens) < MAX_TOKENS]
    systems = distinct(vocabulary, ended, dimension, Scale.of(times, values))
    return Answer(systems, sum(wrong) / len(wrong))


def polynomial(times: NDArray, values: NDArray) -> System:
    """The baseline: x_i' = a + Σ b_j x_j + Σ c_jk x_j x_k, by least squares on derivatives.

    values (n_points, dimension); their derivatives are second-order differences (`numpy.gradient`).
    """
    slopes = np.gradient(values, times, axis=0, edge_order=2)  # (n_points, dimension)
    pairs = list(combinations_with_replacement(range(values.shape[1]), 2))
    products = [values[:, j] * values[:, k] for j, k in pairs]
    features = np.column_stack([np.ones(len(times)), values, *products])  # (n_points, features)
    coefficients = np.linalg.lstsq(features, slopes, rcond=None)[0]  # (features, dimension)
    words = [[f"x_{j}"] for j in range(values.shape[1])]
    words += [["mul", f"x_{j}", f"x_{k}"] for j, k in pairs]
    return [
        chain("add", [[c[0]], *(["mul", a, *w] for a, w in zip(c[1:], words, strict=True))])
        for c in coefficients.T.tolist()
    ]


def ceilings(
    model: ODEFormer, cases: Sequence[Case], observed: Sequence[NDArray], times: NDArray
) -> dict[str, list[Answer]]:
    """{ceiling: an answer per case} by the true form: what no answer of the model can beat by much.

    "true form, written" has the constants as the model's number words can say them; "true form,
    refined" those of least squares on what was observed, from there on.
    """
    written, refined = [], []
    for case, values in zip(cases, observed, strict=True):
        scaled = rescale(Sample(case.system, times, values, "")).system
        tokens = model.config.vocabulary.encode_system(scaled)[1:-1].tolist()
        written.append(answer_of(model, times, values, [Decoded(tokens, 0.0)]))
        candidates = rank(written[-1].systems, times, values)
        refined.append(Answer([(refine(c, times, values).system, 0.0) for c in candidates], 0.0))
    return {"true form, written": written, "true form, refined": refined}


# ---------------------------------------------------------------------------------------------
# Scores


def score(
    cases: Sequence[Case],
    observed: Sequence[NDArray],
    answers: Sequence[Answer],
    every: int = 1,
) -> tuple[list[float], list[float]]:
    """R² of each case's best system from the given and from the new start; −∞ where there is none.

    Chosen is the system with the largest R² on what was observed, every `every`-th point,
    integrated from the first. R² itself is that against the whole clean trajectory.
    """
    best = choose(cases, observed, answers, every)
    systems = [candidate.system for candidate, _ in best.values()]
    new = follow(systems, [cases[i].new_values[0] for i in best], cases[0].times)
    scores = np.full((2, len(cases)), -np.inf)
    for (i, (_, curve)), new_curve in zip(best.items(), new, strict=True):
        scores[:, i] = r2(cases[i].values, curve), r2(cases[i].new_values, new_curve)
    given, other = np.where(np.isnan(scores), -np.inf, scores).tolist()
    return given, other


def choose(
    cases: Sequence[Case], observed: Sequence[NDArray], answers: Sequence[Answer], every: int
) -> dict[int, tuple[Candidate, NDArray]]:
    """{case: its best system and the whole trajectory of that}, for the cases that have one."""
    tried = [(i, *pair) for i, answer in enumerate(answers) for pair in answer.systems]
    starts = [observed[i][0] for i, *_ in tried]
    curves = follow([system for _, system, _ in tried], starts, cases[0].times)
    best: dict[int, tuple[Candidate, NDArray]] = {}
    for (i, system, log_p), curve in zip(tried, curves, strict=True):
        pair = Candidate(system, r2(observed[i], curve[::every]), log_p), curve
        best[i] = min(best.get(i, pair), pair, key=lambda pair: order(pair[0]))
    return best


def follow(systems: Sequence[System], starts: Sequence[NDArray], times: NDArray) -> list[NDArray]:
    """The trajectory (n_points, dimension) of each system; those of one dimension together."""
    curves: dict[int, NDArray] = {}
    for dimension in {len(start) for start in starts}:
        inside = [i for i, start in enumerate(starts) if len(start) == dimension]
        first = np.array([starts[i] for i in inside])  # (systems, dimension)
        found = trajectories([systems[i] for i in inside], first, times)
        curves |= zip(inside, found, strict=True)
    return [curves[i] for i in range(len(systems))]


def row(group: str, condition: str, method: str, values: list[float], wrong: list[float]) -> Row:
    """The share of R² > 0.9 with its 95% Wilson interval over systems, and the median R²."""
    share, (low, high) = wilson(sum(value > GOOD for value in values), len(values))
    median = statistics.median(values)
    return {
        **{"group": group, "condition": condition, "method": method, "n": len(values)},
        **{"share": share, "low": low, "high": high},
        "median": median if math.isfinite(median) else None,
        "wrong_dimension": sum(wrong) / len(wrong),
    }


def rows_of(
    cases: Sequence[Case], condition: str, method: str, values: list[float], wrong: list[float]
) -> list[Row]:
    """One row per group, in the order in which the groups come first."""
    members: dict[str, list[int]] = {}
    for i, case in enumerate(cases):
        for group in case.groups:
            members.setdefault(group, []).append(i)
    return [
        row(group, condition, method, [values[i] for i in inside], [wrong[i] for i in inside])
        for group, inside in members.items()
    ]


def recognition(model: ODEFormer, config: StreamConfig, seed: int, n: int) -> list[Row]:
    """Rows of every group, condition and method; see `row`. n cases from each source."""
    cases = draw_cases(config, seed, n)
    return [row for condition in CONDITIONS for row in under(model, cases, condition, seed)]


def under(model: ODEFormer, cases: Sequence[Case], condition: str, seed: int) -> list[Row]:
    """The rows of one condition; they do not depend on which others are asked for."""
    noise, every = CONDITIONS[condition]
    rng = np.random.default_rng([EVALUATION, seed, len(cases), list(CONDITIONS).index(condition)])
    clean = [Sample(c.system, c.times, c.values, "") for c in cases]
    observed = [corrupt(rng, sample, 0.0, noise).values[::every] for sample in clean]
    times = cases[0].times[::every]
    answers = ask(model, times, observed, seed)
    answers["polynomial"] = [Answer([(polynomial(times, v), 0.0)], 0.0) for v in observed]
    rows = []
    for method, given in (answers | ceilings(model, cases, observed, times)).items():
        wrong = [answer.wrong_dimension for answer in given]
        given_start, new_start = score(cases, observed, given, every)
        both = [min(pair) for pair in zip(given_start, new_start, strict=True)]
        for start, values in zip(STARTS, (given_start, new_start, both), strict=True):
            rows += rows_of(cases, f"{start}, {condition}", method, values, wrong)
    return rows


def population(config: StreamConfig, seed: int) -> dict[str, dict[str, int]]:
    """{family: what was drawn, what was kept, and why the rest was not}; see `acceptance`."""
    rngs = (np.random.default_rng([EVALUATION, seed, len(config.families), i]) for i in count())
    return {
        name: acceptance(config, rng, name, N_POPULATION)
        for name, rng in zip(config.families, rngs, strict=False)
    }


def token_accuracy(model: ODEFormer, config: StreamConfig, systems: str) -> list[Row]:
    """Teacher-forced share of right tokens by kind, on systems drawn as for `train`'s validation.

    The 95% interval is that of a ratio of sums over systems, since tokens of one system are not
    independent: r ± 1.96 √(Σ (a_i − r n_i)²)/Σ n_i, of n_i tokens a_i right.
    """
    device = model.decoder.proj.bias.device
    _, right, kind, of = teacher_forced(model, validation_batches(config), device)  # (tokens,)
    parts = {"all": kind >= 0} | {name: kind == i for i, name in enumerate(KINDS)}
    return [
        {"systems": systems, "kind": name, **share_over_samples(right[part], of[part].long())}
        for name, part in parts.items()
        if part.any()
    ]


def share_over_samples(right: Tensor, of: Tensor) -> Row:
    """The share that is right, with the interval of `token_accuracy`: right (tokens,) 0 or 1."""
    counts, hits = of.bincount(), of.bincount(right.double())  # (samples,) each
    share = hits.sum() / counts.sum()
    half = 1.96 * (hits - share * counts).square().sum().sqrt() / counts.sum()
    low, high = (share - half).clamp(min=0), (share + half).clamp(max=1)
    values = {"share": share, "low": low, "high": high}
    return {"n": len(right)} | {name: float(value) for name, value in values.items()}


# ---------------------------------------------------------------------------------------------
# The command


def evaluate(path: Path, seed: int, n: int) -> dict[str, Any]:
    """All there is to say about the weights at `path`: a function of them, `seed` and n alone."""
    record, model = record_of(path), load(path)
    shared = {"max_dimension": model.config.max_dimension, "precision": model.config.precision}
    config = StreamConfig(**{**shared, **record["config"].get("stream", {})})
    parts = {"all": config, "families": replace(config, family_share=1.0)}
    tokens = [row for name, part in parts.items() for row in token_accuracy(model, part, name)]
    return {
        **{"weights": path.name, "sha256": record["sha256"], "seed": seed, "n": n},
        **{"n_points": middle(config), "n_samples": N_SAMPLES, "temperature": TEMPERATURE},
        "population": population(config, seed),
        "tokens": tokens,
        "rows": recognition(model, config, seed, n),
    }


def table(result: dict[str, Any]) -> str:
    """The result as text: families, tokens by kind, then a line per group, condition, method."""
    lines = [
        f"{name:16} " + ", ".join(f"{why} {n}" for why, n in counts.items() if n)
        for name, counts in result["population"].items()
    ]
    lines += ["", f"{'systems':10} {'token':12} {'n':>7}  right  95%"]
    for one in result["tokens"]:
        lines.append(f"{one['systems']:10} {one['kind']:12} {one['n']:7}  {interval(one)}")
    names = f"{'group':17} {'condition':28} {'method':18} {'n':>5}"
    lines += ["", f"{names}  {f'R² > {GOOD}, 95%':20}  {'median':>9}  wrong dimension"]
    for one in result["rows"]:
        names = f"{one['group']:17} {one['condition']:28} {one['method']:18} {one['n']:5}"
        median = "none" if one["median"] is None else f"{one['median']:.4g}"
        lines.append(f"{names}  {interval(one)}  {median:>9}  {one['wrong_dimension']:.3f}")
    return "\n".join(lines)


def interval(one: Row) -> str:
    """The share of a row and its interval, as text."""
    return f"{one['share']:.3f} [{one['low']:.3f}, {one['high']:.3f}]"


@click.command(help="Evaluate the model at WEIGHTS, a .safetensors with its .json beside it.")
@click.argument("weights", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="where the JSON goes")
@click.option("-n", type=click.IntRange(min=1), default=100, help="systems per group (default 100)")
@click.option("--seed", type=click.IntRange(min=0), default=0)
def main(weights: Path, out: Path, n: int, seed: int) -> None:
    """python -m attention_in_motion.odeformer.evaluation; see the module's text."""
    try:
        result = evaluate(weights, seed, n)
    except (OSError, ValueError) as error:
        raise click.UsageError(str(error)) from None
    write_json(result, out)
    click.echo(table(result))


if __name__ == "__main__":
    main()
