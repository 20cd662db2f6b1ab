"""Sparse autoencoders of the encoder's stream, and what their features say.

Autoencoders read the stream after layer 0 at single points. Even systems train them and choose
features, odd ones score. "Family" questions are asked of systems of the analytic families alone,
for the random prior is none. Firing means that a feature is above 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attention_in_motion.measures import planes
from attention_in_motion.measures import sparse_features as sparse
from attention_in_motion.measures.sparse_features import CHOSEN, SCORED, Autoencoder, Recipe
from attention_in_motion.odeformer.inside import encoder_activations
from attention_in_motion.odeformer.language.expressions import constants_of, vector_field
from attention_in_motion.odeformer.network.model import ODEFormer
from attention_in_motion.odeformer.stream import StreamConfig, evaluation_samples, twin_mixture
from attention_in_motion.odeformer.systems.families import FAMILIES, FAMILY_STEPS, FAMILY_TOLERANCE
from attention_in_motion.odeformer.systems.simulate import solve
from attention_in_motion.odeformer.systems.trajectories import Sample, rescale
from attention_in_motion.odeformer.tables import Row

PLACE = "layer_norm2.0.after"  # of the encoder: the stream after layer 0
TOP = 3  # features that the post calls stable
NEIGHBOURS = 10
ONE_FAMILY = 0.9
BEYOND = "x′ beyond t and x"
AT_ONCE = 100  # systems that go through the encoder together


@dataclass(frozen=True)
class Settings:
    """How much is drawn and trained. Raises ValueError in one line for too little.

    `n_systems` of all kinds with `n_points` points; autoencoders of `width` features, of which TopK
    keeps `live`, are trained for `steps` batches of 512 points. `n_plane` points are laid out in a
    plane, families exchanged `n_exchanges` times, the post's two families drawn on a `grid` by
    `grid`. Answers are asked of `n_asked` odd systems, written for `n_decoded` of them.
    """

    n_systems: int = 600
    n_points: int = 40
    width: int = 1280
    live: int = 16
    steps: int = 1200
    n_plane: int = 1500
    n_exchanges: int = 20
    grid: int = 10
    n_asked: int = 60
    n_decoded: int = 40
    seed: int = 0

    def __post_init__(self) -> None:
        least = {"n_systems": 56, "n_points": 8, "width": 8, "n_plane": 30, "grid": 2, "seed": 0}
        for name, value in vars(self).items():
            if value < least.get(name, 1):
                raise ValueError(f"{name} = {value}: must be at least {least.get(name, 1)}")
        if self.live > self.width:
            raise ValueError(f"live = {self.live}: must be at most width = {self.width}")

    @property
    def config(self) -> StreamConfig:
        """The twin's stream with one number of points and no corruption."""
        return twin_mixture(self.n_points)

    @property
    def recipes(self) -> dict[str, Recipe]:
        """ReLU with the post's penalty, TopK, and TopK with a decoder that stays as drawn."""
        size = {"width": self.width, "steps": self.steps, "seed": self.seed}
        topk = size | {"k": self.live}
        return {
            "relu": Recipe(**size, **sparse.AS_IN_POST),
            "topk": Recipe(**topk),
            "frozen": Recipe(**topk, frozen=True),
        }


class Data:
    """What every model is shown, and what features may stand for."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @cached_property
    def mixed(self) -> list[Sample]:
        """Systems of every kind."""
        return evaluation_samples(self.settings.config, self.settings.seed, self.settings.n_systems)

    @cached_property
    def asked(self) -> list[Sample]:
        """Odd systems in random order, whose answers are asked for."""
        rng = np.random.default_rng([7, self.settings.seed])
        odd = self.mixed[SCORED]
        return [odd[i] for i in rng.permutation(len(odd))[: self.settings.n_asked]]

    @cached_property
    def posts(self) -> dict[str, list[Sample]]:
        """The post's damped oscillators and constant slopes."""
        grid, n = self.settings.grid, self.settings.n_points
        return {"damped": damped(grid, n), "slopes": constant_slopes(grid, n)}

    @cached_property
    def concepts(self) -> dict[str, Tensor]:
        """t and asinh of x, x′, x″ of the first coordinate: {name: (systems, n)}."""
        rows = [of_first_coordinate(sample) for sample in self.mixed]
        found = torch.from_numpy(np.array(rows)).movedim(1, 0)  # (4, systems, n)
        return dict(zip(("t", "x", "x′", "x″"), found, strict=True))

    @cached_property
    def family(self) -> NDArray:
        """The number of each system's family, −1 for the random prior: (systems,)."""
        names = {name: k for k, name in enumerate(FAMILIES)}
        return np.array([names.get(sample.source, -1) for sample in self.mixed])

    @cached_property
    def scored(self) -> NDArray:
        """Indices of odd systems of a family."""
        odd = np.arange(len(self.mixed))[SCORED]
        return odd[self.family[odd] >= 0]

    @cached_property
    def shown(self) -> tuple[NDArray, NDArray]:
        """The points of the plane: (place of their system in `scored`, their own): (points,)."""
        n, every = self.settings.n_points, len(self.scored) * self.settings.n_points
        rng = np.random.default_rng([8, self.settings.seed])
        chosen = np.sort(rng.permutation(every)[: self.settings.n_plane])
        return chosen // n, chosen % n

    @cached_property
    def raw(self) -> Row:
        """How far a plane of the raw points with their neighbours separates families."""
        windows = np.array([window(self.mixed[i]) for i in self.scored])
        return {"plane": neighbour_shares(planes.plane(windows[self.shown]), self)}


def name_of(sample: Sample) -> str:
    """The family's name, or that it is none."""
    return sample.source if sample.source in FAMILIES else "random system"


def damped(grid: int, n_points: int) -> list[Sample]:
    """x' = y, y' = −ω² x − γ y from (1, 1) for t in [0, 10], ω and γ on a grid in [0.1, 5]."""
    omega, gamma = (a.ravel() for a in np.meshgrid(*2 * [np.linspace(0.1, 5, grid)]))
    constants, rate = np.stack([-(omega**2), -gamma]), 10 / 9  # 10 units of time in 9
    system = [["mul", rate, "x_1"], FAMILIES["damped"].system[1]]
    scaled = np.stack([np.full(len(omega), rate), *(rate * constants)])
    start = np.ones((2, len(omega)))
    group = solve(system, scaled, start, n_points, "damped", FAMILY_STEPS, FAMILY_TOLERANCE)
    return [rescale(sample) for sample in group.samples()]


def constant_slopes(grid: int, n_points: int) -> list[Sample]:
    """x' = k, y' = b from (1, 1) for t in [0, 10], k and b on a grid in [−2, 2]."""
    slopes = np.stack(np.meshgrid(*2 * [np.linspace(-2, 2, grid)]), axis=-1).reshape(-1, 2)
    t = np.linspace(0, 10, n_points)
    return [
        rescale(Sample([[float(k)], [float(b)]], t, 1 + np.outer(t, (k, b)), "constant slopes"))
        for k, b in slopes
    ]


def of_first_coordinate(sample: Sample) -> NDArray:
    """t, asinh x, asinh x′, asinh x″ of x = x_0, the derivatives by the equation: (4, n_points).

    x″ = (f(x + h f) − f(x − h f))/(2 h), the change of f along itself, with h = 10⁻⁵/(1 + |f|).
    """
    field, x = vector_field(sample.system), sample.values.T
    constants = np.tile(np.array(constants_of(sample.system))[:, None], len(sample.times))
    f = field(x, constants)
    h = 1e-5 / (1 + np.abs(f).max(0))
    second = (field(x + h * f, constants)[0] - field(x - h * f, constants)[0]) / (2 * h)
    return np.stack([sample.times, *np.arcsinh([x[0], f[0], second])])


def window(sample: Sample) -> NDArray:
    """A point and its neighbours ±1 and ±2: t and asinh of two coordinates there, (n_points, 11).

    Ends repeat; a second coordinate that is not there is 0.
    """
    n, two = len(sample.times), np.zeros((len(sample.times), 2))
    two[:, : sample.values.shape[1]] = np.arcsinh(sample.values)
    around = np.clip(np.arange(n)[:, None] + np.arange(-2, 3), 0, n - 1)  # (n, 5)
    return np.column_stack([sample.times, two[around].reshape(n, -1)])


@torch.no_grad()
def stream(model: ODEFormer, samples: Sequence[Sample]) -> Tensor:
    """The stream that autoencoders read: (systems, n_points, width)."""
    parts = (samples[i : i + AT_ONCE] for i in range(0, len(samples), AT_ONCE))
    return torch.cat([encoder_activations(model, part)[PLACE] for part in parts])


def trained(x: Tensor, recipes: Mapping[str, Recipe]) -> dict[str, Autoencoder]:
    """An autoencoder of the even systems' points for each recipe; x (systems, n, d)."""
    points = x[CHOSEN].flatten(0, 1)
    return {name: sparse.trained(points, recipe) for name, recipe in recipes.items()}


# ---------------------------------------------------------------------------------------------
# What features say


def concept_scores(h: Tensor, data: Data) -> Row:
    """The best feature's correlation with each concept, held out; x′ also beyond t and x.

    "exchanged": with the concepts of other systems, of even ones for even and of odd for odd.
    """
    concepts = torch.stack(list(data.concepts.values()))  # (4, systems, n)
    others = concepts.roll(2 * (concepts.shape[1] // 4), 1)
    found = {}
    for name, y in (("own", concepts), ("exchanged", others)):
        alone = sparse.best_correlations(h, y)
        beyond = sparse.best_correlations(h, y[2:3], y[:2])
        found[name] = dict(zip((*data.concepts, BEYOND), alone + beyond, strict=True))
    return found


def stable_scores(h: Tensor, of_posts: Mapping[str, Tensor]) -> Row:
    """Are the most active features of damped oscillators those of constant slopes, and dense?

    "share": of the three; "firing": of all points of mixed systems, h (systems, n, width), the
    share at which each of them is active; "top": the features by set.
    """
    top = {name: sparse.most_active(one, TOP) for name, one in of_posts.items()}
    fires = (h[..., top["damped"]] > 0).float().flatten(0, 1).mean(0)
    shared = set(top["damped"]) & set(top["slopes"])
    return {"top": top, "share": len(shared) / TOP, "firing": fires}


def family_scores(h: Tensor, data: Data) -> Row:
    """Share of live features of one family on odd systems, and with families exchanged."""
    fires = (h[data.scored] > 0).sum(1).double().numpy()  # (systems, width)
    given = fires, data.family[data.scored], ONE_FAMILY
    exchanges = data.settings.n_exchanges, data.settings.seed
    return {
        "own": sparse.one_family(*given),
        "exchanged": sparse.one_family_exchanged(*given, *exchanges),
    }


def neighbour_shares(points: NDArray, data: Data) -> Row:
    """Share of a point's ten neighbours in the plane that are of its family, and of chance."""
    near = planes.neighbours(points, min(NEIGHBOURS, len(points) - 1))
    system, family = data.shown[0], data.family[data.scored]
    exchanges = data.settings.n_exchanges, data.settings.seed
    return {
        "own": planes.same_share(near, family[system]),
        "exchanged": float(planes.exchanged_shares(near, system, family, *exchanges).mean()),
    }


def laid_out(h: Tensor, data: Data) -> tuple[NDArray, NDArray]:
    """The points of the plane by their features: (points, 2), and the most active one of each."""
    shown = h[data.scored][data.shown]  # (points, width)
    return planes.plane(shown.numpy(), data.settings.seed), shown.argmax(1).numpy()


def plane_scores(h: Tensor, data: Data, stable: Sequence[int]) -> Row:
    """Neighbours of a point's family, and whether the stable features lie at the rim."""
    points, top = laid_out(h, data)
    marked = np.isin(top, stable)
    area = planes.rim_area(points, marked)
    return neighbour_shares(points, data) | {"rim": area, "marked": float(marked.mean())}


def firing_histogram(h: Tensor) -> Tensor:
    """Share of features by the share of points at which they are active: 0, then ten tenths."""
    rates = (h > 0).float().flatten(0, 1).mean(0)  # (width,)
    tenths = torch.histc(rates[rates > 0], 10, 0, 1)
    return torch.cat([(rates == 0).sum()[None], tenths]) / len(rates)


def feature_scores(autoencoder: Autoencoder, x: Tensor, of_posts: Row, data: Data) -> Row:
    """What one autoencoder's features say; x (systems, n, d) the stream of mixed systems."""
    h = autoencoder.encode(x)
    posts = {name: autoencoder.encode(one) for name, one in of_posts.items()}
    return {
        "quality": sparse.quality(autoencoder, x[SCORED].flatten(0, 1)),
        "concepts": concept_scores(h, data),
        "stable": stable_scores(h, posts),
        "families": family_scores(h, data),
        "rates": firing_histogram(h[SCORED]),
    }
