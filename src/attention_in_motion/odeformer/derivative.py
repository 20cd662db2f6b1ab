"""What the answer needs of slopes, and the command that scores models: one table for the page.

    python -m attention_in_motion.odeformer.derivative twin-0 twin-1 … --out TABLE.json

One row per model: the readings of `slopes`, and for trained ones the costs of patching. Untrained
ones are as the first model was at step 0 of its training, with other seeds. The table is written
after each row; rows that are there, of the same weights and settings, are not computed again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attention_in_motion.measures import grouped_probes as probes
from attention_in_motion.measures.patching import (
    Change,
    all_at_mean,
    directions_at_mean,
    heads_at_mean,
    mean_of,
)
from attention_in_motion.odeformer import tables
from attention_in_motion.odeformer.inside import Trial
from attention_in_motion.odeformer.network.model import ODEFormer
from attention_in_motion.odeformer.slopes import (
    CHOSEN,
    SCORED,
    Data,
    Settings,
    best,
    readings,
    stream_places,
)
from attention_in_motion.odeformer.systems.trajectories import Sample
from attention_in_motion.odeformer.tables import Row


def head_costs(model: ODEFormer, data: Data, seen: Mapping[str, Tensor], heads: Row) -> Row:
    """Costs on the scored curves of each head, each layer's heads, and groups of four heads.

    The group is the four heads that go with |x′| best on the chosen curves; beside it random ones.
    R² is given for the best heads of the claims, the group, and a random one.
    """
    trial = Trial(model, data.logistic[SCORED], data.settings.n_decoded)
    layers, count = len(model.encoder.attentions), model.config.encoder_heads
    means = [mean_of(seen[f"attentions.{i}.heads"][CHOSEN]) for i in range(layers)]

    def without(flat: Sequence[int]) -> dict[str, Change]:
        """Heads numbered through all layers."""
        return {
            f"encoder.attentions.{i}.heads": heads_at_mean([h % count for h in inside], means[i])
            for i in range(layers)
            if (inside := [h for h in flat if h // count == i])
        }

    def cost(flat: Sequence[int]) -> float:
        return trial.cost(without(flat))

    every = range(layers * count)
    slope = heads["chosen"]["plain"]["slope"].flatten()
    group = slope.topk(min(4, len(slope))).indices.tolist()
    rng = np.random.default_rng(data.settings.seed)
    others = [rng.choice(every, len(group), False).tolist() for _ in range(data.settings.n_random)]
    named = {"group": group, "random group": others[0]}
    named |= {
        name: [layer * count + best(heads, name, layer)[0]] for name, layer in best_places(heads)
    }
    return {
        "nats": float(trial.plain.mean()),
        "heads": [[cost([i * count + h]) for h in range(count)] for i in range(layers)],
        "layers": [cost(every[i * count : (i + 1) * count]) for i in range(layers)],
        "all heads": cost(every),
        "group": cost(group),
        "random groups": [cost(one) for one in others],
        "r2": trial.r2,
        "r2 without": {name: trial.r2_with(without(flat)) for name, flat in named.items()},
    }


def best_places(heads: Row) -> Iterator[tuple[str, int]]:
    """The feature and layer of the claims on heads, where the model has that layer."""
    layers = len(heads["chosen"]["plain"]["slope"])
    yield from ((n, i) for n, i in (("slope", 2), ("x beyond time", 0)) if i < layers)


def direction_costs(
    model: ODEFormer, samples: list[Sample], end: Tensor, x: NDArray, y: NDArray, data: Data
) -> Row:
    """Costs on the scored samples of a probe's direction at the encoder's end, at every point.

    The probe reads y from x, rows by system, of the chosen samples alone; beside it probes of
    shuffled labels. "everything" is the cost of the whole end at its mean.
    """
    place = f"encoder.{stream_places(model)[-1]}"
    trial = Trial(model, samples[SCORED], data.settings.n_decoded)
    systems = np.repeat(np.arange(len(samples)), len(x) // len(samples))
    rows, mean = systems % 2 == 0, mean_of(end[CHOSEN])

    def along(labels: NDArray) -> dict[str, Change]:
        probe = probes.fitted(probes.linear(), x[rows], labels, systems[rows])
        u = torch.from_numpy(probes.direction(probe))[None]
        return {place: directions_at_mean(u, mean)}

    shuffled = [along(probes.shuffled(y[rows], seed)) for seed in range(data.settings.n_random)]
    probed, everything = along(y[rows]), {place: all_at_mean(mean)}
    return {
        "nats": float(trial.plain.mean()),
        "direction": trial.cost(probed),
        "shuffled": [trial.cost(changes) for changes in shuffled],
        "everything": trial.cost(everything),
        "r2": trial.r2,
        "r2 without": {
            "direction": trial.r2_with(probed),
            "shuffled": trial.r2_with(shuffled[0]),
            "everything": trial.r2_with(everything),
        },
    }


def interventions(model: ODEFormer, data: Data, row: Row, seen: dict[str, dict]) -> Row:
    """What the answer needs: of heads, of the direction of the slope, of that of the width."""
    end = stream_places(model)[-1]
    mixed, logistic = (seen[name][end] for name in ("mixed", "logistic"))
    at = data.points(data.mixed)
    local = mixed[:, at].flatten(0, 1).double().numpy()
    pooled = logistic.mean(1).double().numpy()
    slopes, widths = data.slopes(data.mixed), data.log_width
    return {
        "head costs": head_costs(model, data, seen["logistic"], row["heads"]),
        "slope costs": direction_costs(model, data.mixed, mixed, local, slopes, data),
        "width costs": direction_costs(model, data.logistic, logistic, pooled, widths, data),
    }


def row_of(data: Data, model: ODEFormer, trained: bool) -> Row:
    """All scores of one model; costs only of a trained one."""
    row, seen = readings(model, data)
    return row | interventions(model, data, row, seen) if trained else row


LITTLE = {"n_curves": 48, "n_systems": 80, "n_random": 2, "n_decoded": 8, "n_permutations": 99}
main = tables.script("derivative", Settings, Data, row_of, LITTLE)


if __name__ == "__main__":
    main()
