"""What each chapter may be given: names, types and ranges, with one-line errors.

Defaults live in the notebooks' own parameters cells; a test keeps the two lists of names equal.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]
AtLeastTen = Annotated[int, Field(ge=10)]
LearningRate = Annotated[float, Field(gt=0, le=1)]
Seeds = Annotated[int, Field(ge=2, le=1000)]  # an interval over seeds needs at least two

SENTENCES = {
    "greater_than": "must be > {gt}",
    "greater_than_equal": "must be >= {ge}",
    "less_than": "must be < {lt}",
    "less_than_equal": "must be <= {le}",
    "bool_type": "must be True or False",
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "string_type": "must be a text",
    "finite_number": "must be finite",
    "literal_error": "must be {expected}",
    "missing": "must be given",
}


class Chapter(BaseModel):
    """Strict: no text for numbers, no unknown names."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Oscillation(Chapter):
    """What every chapter on oscillators is given first: an underdamped one, sampled finely."""

    omega0: Positive
    gamma: NonNegative
    dt: Positive

    @model_validator(mode="after")
    def sampled_underdamped(self) -> Oscillation:
        require(self.gamma < self.omega0, "gamma", self.gamma, f"< omega0 = {self.omega0:g}")
        finest = 3.14 / self.omega0  # from half a period on, frequencies cannot be told apart
        require(self.dt < finest, "dt", self.dt, f"< 3.14 / omega0 = {finest:.3g}")
        return self


class FixedOmega(Oscillation):
    """Chapter 1."""

    gamma: Positive
    start: Literal["normal", "box"]
    steps: Count
    batch: Count
    lr: LearningRate
    n_seeds: Seeds
    rollout_steps: AtLeastTen
    n_starts: AtLeastTen
    device: Literal["cpu", "cuda"]


class LinearCollapse(Oscillation):
    """Chapter 2."""

    context: Annotated[int, Field(ge=2, le=400)]
    steps: Count
    batch: Count
    lr: LearningRate
    n_seeds: Seeds
    rollout_steps: AtLeastTen
    n_starts: AtLeastTen
    retrain: bool
    device: Literal["cpu", "cuda"]

    @model_validator(mode="after")
    def matched_targets(self) -> LinearCollapse:
        require(self.batch >= self.context, "batch", self.batch, f">= context = {self.context}")
        return self


class OverFrequencies(Chapter):
    """What both pages of chapter 3 are given: a range of underdamped oscillators, the ladder."""

    omega0_min: Positive
    omega0_max: Positive
    gamma: NonNegative
    gamma_max: Positive
    dt: Positive
    context: Annotated[int, Field(ge=5, le=400)]
    steps: Count
    n_seeds: Seeds
    rollout_steps: AtLeastTen
    n_test: Annotated[int, Field(ge=16)]
    retrain: bool
    device: Literal["cpu", "cuda"]

    @model_validator(mode="after")
    def a_range_of_underdamped(self) -> OverFrequencies:
        low, high = self.omega0_min, self.omega0_max
        require(low < high, "omega0_max", high, f"> omega0_min = {low:g}")
        require(self.gamma < low, "gamma", self.gamma, f"< omega0_min = {low:g}")
        require(self.gamma_max < low, "gamma_max", self.gamma_max, f"< omega0_min = {low:g}")
        require(self.dt < 3.14 / high, "dt", self.dt, f"< 3.14 / omega0_max = {3.14 / high:.3g}")
        return self


class VariableOmega(OverFrequencies):
    """Chapter 3, first page."""

    batch: Count
    lr: LearningRate
    examined: Literal[
        *("OLA 2/2", "OLA 8/4", "8LA 16/8", "4LA 32/16", "8LA 32/16"),
        *("4LA 32/16 open", "8LA 32/16 open"),
    ]
    longer: Annotated[int, Field(ge=2)]
    longer_seeds: Seeds


class SolvedOmega(OverFrequencies):
    """Chapter 3, second page."""

    solver_seeds: Seeds
    solver_steps: Count
    polishing: Annotated[int, Field(ge=0)]
    gamma_seeds: Seeds
    dt_min: Positive
    criteria_seeds: Seeds
    criteria_steps: Count

    @model_validator(mode="after")
    def steps_below_a_period(self) -> SolvedOmega:
        shortest = 6.28 / self.omega0_max
        allowed = f"< 6.28 / omega0_max = {shortest:.3g}"
        require(self.dt_min < shortest, "dt_min", self.dt_min, allowed)
        return self


class UniformMotion(Chapter):
    """Chapter 4."""

    input_dim: Annotated[int, Field(ge=1, le=20)]
    embed_dim: Annotated[int, Field(ge=1, le=64)]
    projections: Literal["both", "up", "none"]
    biases: bool
    input_scale: Positive
    target_scale: Positive
    heads: Annotated[int, Field(ge=1, le=8)]
    residual: bool
    layers: Annotated[int, Field(ge=1, le=4)]
    n_seeds: Seeds
    steps: Annotated[int, Field(ge=100)]
    lr: LearningRate

    @model_validator(mode="after")
    def widths_meet(self) -> UniformMotion:
        if self.projections != "both":
            allowed = f"'both' when input_dim = {self.input_dim} and embed_dim = {self.embed_dim}"
            same = self.input_dim == self.embed_dim
            require(same, "projections", self.projections, f"{allowed} differ")
            require(self.layers == 1, "layers", self.layers, "1 without both projections")
        return self


class ODEFormerModel(Chapter):
    """Chapter 5, first page."""

    model: Annotated[str, Field(min_length=1)]
    n_points: Annotated[int, Field(ge=8, le=200)]
    n_samples: Annotated[int, Field(ge=1, le=200)]
    temperature: Positive
    n_curves: Annotated[int, Field(ge=2, le=200)]
    seed: Annotated[int, Field(ge=0)]


CHAPTERS: dict[str, type[Chapter]] = {
    "01_fixed_omega": FixedOmega,
    "02_linear_collapse": LinearCollapse,
    "03_variable_omega": VariableOmega,
    "03_solver": SolvedOmega,
    "04_uniform_motion": UniformMotion,
    "05_odeformer/model": ODEFormerModel,
}


def require(condition: bool, name: str, value: Any, allowed: str) -> None:
    """Raise the one-line error of a rule that spans several parameters."""
    if not condition:
        raise ValueError(f"{name} = {value!r}: must be {allowed}")


def validate(chapter: str, given: Mapping[str, Any]) -> Chapter:
    """The validated parameters of a chapter, or one ValueError line per the first fault found."""
    if chapter not in CHAPTERS:
        raise ValueError(f"chapter = {chapter!r}: must be one of {', '.join(CHAPTERS)}")
    try:
        return CHAPTERS[chapter](**given)
    except ValidationError as error:
        raise ValueError(sentence(error.errors()[0], CHAPTERS[chapter])) from None


def sentence(fault: Mapping[str, Any], model: type[Chapter]) -> str:
    """One pydantic fault as 'name = value: what is allowed'."""
    if not fault["loc"]:
        return fault["msg"].removeprefix("Value error, ")
    name = fault["loc"][0]
    if fault["type"] == "extra_forbidden":
        return f"{name}: unknown parameter; known are {', '.join(model.model_fields)}"
    template = SENTENCES.get(fault["type"], fault["msg"])
    return f"{name} = {fault['input']!r}: {template.format(**fault.get('ctx', {}))}"


def check(chapter: str, namespace: Mapping[str, Any]) -> None:
    """Validate a notebook's parameters from its globals(), right after they were set.

    papermill injects unknown names without a word; they are found in the injected cell's source
    and refused here. Raises ValueError with one line.
    """
    known = CHAPTERS[chapter].model_fields
    injected = {name for source in namespace.get("In", ()) for name in injected_names(source)}
    names = [name for name in (*known, *sorted(injected - set(known))) if name in namespace]
    validate(chapter, {name: namespace[name] for name in names})


def injected_names(source: str) -> list[str]:
    """Names assigned by a cell that papermill injected (it opens with '# Parameters')."""
    if not source.startswith("# Parameters"):
        return []
    nodes = [node for node in ast.parse(source).body if isinstance(node, ast.Assign)]
    return [target.id for node in nodes for target in node.targets]
