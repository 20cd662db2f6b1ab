"""The pages in the order of the book."""

from __future__ import annotations

from types import ModuleType

from attention_in_motion.chapters import (
    algorithm,
    autoencoder,
    criteria,
    derivative,
    fixed_omega,
    frequency,
    lenses,
    linear_collapse,
    mask,
    odeformer,
    probes,
    solver,
    time_series,
    uniform_motion,
    variable_omega,
)
from attention_in_motion.claims import Rule

PAGES: dict[str, ModuleType] = {
    module.PAGE: module
    for module in (
        fixed_omega,
        linear_collapse,
        variable_omega,
        mask,
        frequency,
        solver,
        criteria,
        algorithm,
        uniform_motion,
        odeformer,
        derivative,
        probes,
        lenses,
        autoencoder,
        time_series,
    )
}
RULES: dict[str, Rule] = {i: rule for module in PAGES.values() for i, rule in module.RULES.items()}
SHORT = {"model": odeformer.PAGE}  # further names, beside the number and the module's own


def named(name: str) -> ModuleType:
    """The page's module, by its full name, the end of it (`solver`), or its number (`1`).

    Raises ValueError in one line, with the names there are, if none or several fit.
    """
    wanted = SHORT.get(name, name)
    found = [page for page in PAGES if wanted in names(page)]
    if len(found) != 1:
        raise ValueError(f"chapter = {name!r}: must be one of {', '.join(PAGES)}")
    return PAGES[found[0]]


def names(page: str) -> set[str]:
    """What a page may be called: 03_variable_omega/solver, solver; 01_fixed_omega, 1, 01."""
    last = page.rsplit("/", 1)[-1]
    number, _, rest = last.partition("_")
    if not number.isdigit():
        return {page, last}
    return {page, rest, number, str(int(number))}
