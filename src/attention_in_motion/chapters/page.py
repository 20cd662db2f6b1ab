"""What a page declares: its parameters with their ranges, and the rules of its claims.

Names, types and ranges are checked with one-line errors, before a kernel starts and once more in
the page itself. Defaults live in the notebook's parameters cell alone.
"""

from __future__ import annotations

import ast
import json
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from attention_in_motion.claims import HEAD, Rule

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]
AtLeastTen = Annotated[int, Field(ge=10)]
LearningRate = Annotated[float, Field(gt=0, le=1)]
Seeds = Annotated[int, Field(ge=2, le=1000)]  # an interval over seeds needs at least two

SENTENCES = {
    "greater_than": "must be > {gt:g}",
    "greater_than_equal": "must be >= {ge:g}",
    "less_than": "must be < {lt:g}",
    "less_than_equal": "must be <= {le:g}",
    "bool_type": "must be True or False",
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "string_type": "must be a text",
    "string_too_short": "must not be empty",
    "finite_number": "must be finite",
    "literal_error": "must be {expected}",
    "missing": "must be given",
}


class Parameters(BaseModel):
    """What a page may be given. Strict: no text for numbers, no unknown names."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)
    page: ClassVar[str]

    @classmethod
    def given(cls, values: Mapping[str, Any]) -> Self:
        """The validated parameters, or ValueError in one line for the first fault found."""
        try:
            return cls(**values)
        except ValidationError as error:
            raise ValueError(sentence(error.errors()[0], cls)) from None

    @classmethod
    def of(cls, namespace: Mapping[str, Any]) -> Self:
        """A notebook's parameters from its globals(), right after they were set.

        papermill injects unknown names without a word; they are found in the injected cell's source
        and refused here. The page's name and values are glued, so that its claims can be told from
        those of other runs of the page. Raises ValueError with one line.
        """
        injected = {name for source in namespace.get("In", ()) for name in injected_names(source)}
        unknown = sorted(injected - set(cls.model_fields))
        names = [name for name in (*cls.model_fields, *unknown) if name in namespace]
        try:
            found = cls.given({name: namespace[name] for name in names})
        except ValueError as error:
            raise in_one_line(error) from None
        from myst_nb import glue

        glue("parameters", Head(cls.page, found.model_dump()), display=False)
        return found


def in_one_line(error: ValueError) -> ValueError:
    """The error, which notebooks then show without a traceback: the reader's value is at fault."""
    error._render_traceback_ = lambda: [f"ValueError: {error}"]  # IPython asks for it
    return error


class Head:
    """A page's name and parameters, as an output that `book.reading` finds."""

    def __init__(self, page: str, parameters: dict[str, Any]) -> None:
        self.content = {"page": page, "parameters": parameters}

    def __repr__(self) -> str:
        return ", ".join(f"{k} = {v!r}" for k, v in self.content["parameters"].items())

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, str]:
        return {"text/plain": repr(self), HEAD: json.dumps(self.content, ensure_ascii=False)}


def require(condition: bool, name: str, value: Any, allowed: str) -> None:
    """Raise the one-line error of a rule that spans several parameters."""
    if not condition:
        raise ValueError(f"{name} = {value!r}: must be {allowed}")


def sentence(fault: Mapping[str, Any], model: type[Parameters]) -> str:
    """One pydantic fault as 'name = value: what is allowed'."""
    if not fault["loc"]:
        return fault["msg"].removeprefix("Value error, ")
    name = fault["loc"][0]
    if fault["type"] == "extra_forbidden":
        return f"{name}: unknown parameter; known are {', '.join(model.model_fields)}"
    template = SENTENCES.get(fault["type"], fault["msg"].removeprefix("Value error, "))
    return f"{name} = {fault['input']!r}: {template.format(**fault.get('ctx', {}))}"


def injected_names(source: str) -> list[str]:
    """Names assigned by a cell that papermill injected (it opens with '# Parameters')."""
    if not source.startswith("# Parameters"):
        return []
    nodes = [node for node in ast.parse(source).body if isinstance(node, ast.Assign)]
    return [target.id for node in nodes for target in node.targets]


def claim(
    id: str,
    says: str,
    measure: str,
    *,
    at_least: float = -math.inf,
    at_most: float = math.inf,
    **facts: Any,
) -> Rule:
    """The rule of one claim, in the words of the book; `rules` adds the page. Facts: see Rule."""
    return Rule(id, "", says, measure, at_least, at_most, **facts)


def rules(page: str, *claims: Rule) -> dict[str, Rule]:
    """A page's rules by id. Raises ValueError for an id used twice or a rule that cannot fail."""
    for rule in claims:
        if rule.low > rule.high or (rule.low, rule.high) == (-math.inf, math.inf):
            allowed = "a range with an end, at_least <= at_most"
            raise ValueError(f"{rule.id} = [{rule.low:g}, {rule.high:g}]: must be {allowed}")
    found = {rule.id: replace(rule, page=page) for rule in claims}
    if len(found) < len(claims):
        raise ValueError(f"{page}: an id stands twice among its rules")
    return found
