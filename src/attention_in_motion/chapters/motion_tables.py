"""The tables of chapter 4, as Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attention_in_motion.chapters.uniform_motion import (
    INPUT_SCALE,
    POST_ALPHA,
    POST_BEFORE_VALUES,
    POST_POSITIONS,
    POST_R2,
    RECIPES,
    TARGET_SCALE,
    over_recipes,
)
from attention_in_motion.claims import shown

if TYPE_CHECKING:
    from torch import Tensor

    from attention_in_motion.measures.motion_layer import Best
    from attention_in_motion.training.exactness import Cell


def recipe_table(errors: dict[str, dict[str, Tensor]]) -> str:
    """Success rates of {rung: {recipe: (seed,)}} with their intervals."""
    lines = [f"| recipe | {' | '.join(errors)} |", "|---" * (len(errors) + 1) + "|"]
    for recipe in RECIPES:
        found = [over_recipes({recipe: one[recipe]})[0] for one in errors.values()]
        cells = [f"{rate:.2f} [{low:.2f}, {high:.2f}]" for rate, (low, high) in found]
        lines.append(f"| {recipe} | {' | '.join(cells)} |")
    return "\n".join(lines)


def knowledge(lowest: dict[Cell, float]) -> str:
    """How we know which cells can be exact, beside the lowest NMSE trained."""
    from attention_in_motion.training.exactness import PROOFS, error_by_hand

    lines = ["| how we know | cells | lowest NMSE trained | NMSE by hand |", "|---|---|---|---|"]
    for why, words in PROOFS.items():
        cells = [cell for cell in lowest if cell.why == why]
        best = shown(min(lowest[cell] for cell in cells))
        hand = [error_by_hand(cell) for cell in cells if cell.possible]
        end = f"at most {shown(max(hand))}" if hand else "–"
        lines.append(f"| {words} | {len(cells)} | {best} | {end} |")
    return "\n".join(lines)


def coefficients(before: Tensor, gain: Tensor) -> str:
    """One seed's coefficients (2,) of x0 and x1, before and after W_v, beside the post's."""
    wanted = -TARGET_SCALE, 2 * TARGET_SCALE
    rows = {
        "before $W_v$": before.tolist(),
        "before $W_v$, the post": POST_BEFORE_VALUES,
        f"times $W_v = {gain:.3f}$": (gain * before).tolist(),
        "the target": wanted,
    }
    lines = ["| coefficients | $x_0$ | $x_1$ |", "|---|---|---|"]
    return "\n".join(lines + [f"| {name} | {a:+.4f} | {b:+.4f} |" for name, (a, b) in rows.items()])


def deviations(off: Tensor) -> str:
    """The median deviation (5,) of each quantity from its prediction."""
    from attention_in_motion.measures.motion_layer import QUANTITIES

    lines = ["| quantity | median deviation |", "|---|---|"]
    pairs = zip(QUANTITIES, off.tolist(), strict=True)
    return "\n".join(lines + [f"| {name} | {value:.1%} |" for name, value in pairs])


def predictions(best: Best) -> str:
    """What the post's positions predict, beside what the post prints."""
    distance = POST_POSITIONS[1] - POST_POSITIONS[0]
    rows = {
        "α1, constant": (best.alpha[0], POST_ALPHA[0]),
        "α1, on $x_0$": (best.alpha[1], POST_ALPHA[1]),
        "α1, on $x_1$": (best.alpha[2], POST_ALPHA[2]),
        "its R²": (best.r2, POST_R2),
        "$W_q W_k$": (best.R / distance**2, None),
        "$W_v$": (TARGET_SCALE * best.gain / INPUT_SCALE, None),
        "loss": (5 * TARGET_SCALE**2 * best.nmse, None),
    }
    lines = ["| | predicted | the post |", "|---|---|---|"]
    for name, (predicted, printed) in rows.items():
        lines.append(
            f"| {name} | {predicted:.3g} | {'–' if printed is None else f'{printed:.3f}'} |"
        )
    return "\n".join(lines)
