"""What the pages on the inside of ODEFormer share: scores of seeds beside those of a null.

A page's script writes one table with a row per model (`odeformer.tables`); rows of trained models
are the replicates, those of untrained ones the null.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, Field

from attention_in_motion.chapters.page import Parameters as PageParameters
from attention_in_motion.chapters.page import require

if TYPE_CHECKING:
    from torch import Tensor

    from attention_in_motion.odeformer.network.model import ODEFormerConfig

RELEASED = {"encoder_layers": 4, "encoder_heads": 16, "decoder_layers": 12, "max_dimension": 6}

Read = Callable[[dict, dict], dict[str, float]]  # (a row, what is read without a model) → by claim


def there(table: str) -> str:
    """What a page may be given as its table. Raises ValueError: before a kernel is started."""
    if table != "shipped" and not Path(table).is_file():
        raise ValueError("no such file; must be 'shipped' or the path of a table")
    return table


Table = Annotated[str, Field(min_length=1), AfterValidator(there)]


class Scored(PageParameters):
    """A model that is looked at live, and the table of all models."""

    model: Annotated[str, Field(min_length=1)]
    table: Table
    n_permutations: Annotated[int, Field(ge=99, le=99_999)]
    seed: Annotated[int, Field(ge=0)]


def table_of(p: Scored) -> dict:
    """The scores of all models: "shipped" with the weights, or the path of a table.

    Raises ValueError, in one line, for one that is not there or lacks seeds or untrained models.
    """
    from attention_in_motion.odeformer import weights

    return checked(p.table, weights.SHIPPED / f"{p.page.rsplit('/')[-1]}.json")  # derivative.json


def checked(table: str, shipped: Path) -> dict:
    """The table at the path `table`, or at `shipped` if it says "shipped". Raises as `table_of`."""
    from attention_in_motion.odeformer import tables

    found = tables.read(shipped if table == "shipped" else Path(table))
    for kind, part, least in (("trained", seeds(found), 2), ("untrained", untrained(found), 1)):
        allowed = f"a table of {least} {kind} models or more"
        require(len(part) >= least, "table", table, allowed)
    return found


def seeds(table: dict) -> dict[str, dict]:
    """The rows of trained models."""
    return {name: row for name, row in table["rows"].items() if not name.startswith("untrained")}


def untrained(table: dict) -> dict[str, dict]:
    """The rows of the null."""
    return {name: row for name, row in table["rows"].items() if name.startswith("untrained")}


def is_released(config: ODEFormerConfig) -> bool:
    """Whether a model has the geometry of the released one, so that its heads can be named."""
    return all(getattr(config, name) == size for name, size in RELEASED.items())


def scores(
    table: dict, reading: Read, differences: Read
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """({id: a score per seed}, {id: a score per untrained model}).

    `reading` is what every model has for a claim, `differences` what only a trained one has.
    """
    raw = table["raw"]
    ours = [reading(row, raw) | differences(row, raw) for row in seeds(table).values()]
    null = [reading(row, raw) for row in untrained(table).values()]
    return transposed(ours), transposed(null)


def transposed(rows: list[dict[str, float]]) -> dict[str, list[float]]:
    """[{id: score}, …] → {id: [score, …]}."""
    return {name: [row[name] for row in rows] for name in rows[0]}


def p_values(ours: dict[str, list[float]], null: dict[str, list[float]]) -> dict[str, float]:
    """One p per tested claim, corrected by Holm for the others of the page."""
    from attention_in_motion.statistics import above_zero, holm, rank_sum

    tests = {i: rank_sum(ours[i], null[i]) if i in null else above_zero(ours[i]) for i in ours}
    return holm(tests)


def over_models(rows: dict[str, dict], *path: str) -> Tensor:
    """What lies at a path of each row, lists by their mean: (model,)."""
    import torch

    found = []
    for row in rows.values():
        for name in path:
            row = row[name]
        found.append(torch.as_tensor(row, dtype=torch.float64).mean())
    return torch.stack(found)


def share_of_the_way(by_place: list[float], ceiling: float) -> float:
    """(end − embedding)/(neighbours − embedding), in R²: 0 nothing gained, 1 all there is."""
    return (by_place[-1] - by_place[0]) / (ceiling - by_place[0])


def needed_direction(costs: dict) -> float:
    """Nats a token lost without the probe's direction, less the mean of shuffled labels'."""
    return costs["direction"] - sum(costs["shuffled"]) / len(costs["shuffled"])
