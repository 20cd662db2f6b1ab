"""One forward pass, every named activation: read them, or replace one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn


def places(model: nn.Module) -> list[str]:
    """The names under which `record` returns activations, in the order of the modules."""
    return [name for name, m in model.named_modules() if isinstance(m, nn.Identity)]


def record(model: nn.Module, *args: Any, **kwargs: Any) -> dict[str, Tensor]:
    """Run `model(*args)` and return {name: activation} for every nn.Identity in it.

    The models place an nn.Identity wherever a tensor deserves a name, so what is recorded is what
    was used: "blocks.0.attention.weights" are the attention weights of that very pass.
    """
    seen: dict[str, Tensor] = {}

    def keep(name: str):
        return lambda module, inputs, output: seen.__setitem__(name, output)

    modules = dict(model.named_modules())
    hooks = [modules[name].register_forward_hook(keep(name)) for name in places(model)]
    try:
        model(*args, **kwargs)
    finally:
        for hook in hooks:
            hook.remove()
    return seen


@contextmanager
def replaced(model: nn.Module, name: str, change: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """Within the block, the activation called `name` is replaced by change(activation)."""
    point = dict(model.named_modules())[name]
    hook = point.register_forward_hook(lambda module, inputs, output: change(output))
    try:
        yield
    finally:
        hook.remove()
