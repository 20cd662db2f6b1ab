"""The verdict rule of every claim, written before the claim was measured.

A claim `holds` when the whole 95% interval of its measured number lies in [low, high],
`does_not_hold` when the interval lies wholly outside, and `holds_in_part` otherwise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Rule:
    """What a post says, the number that decides it, and the range in which it holds."""

    chapter: str
    says: str
    measure: str
    low: float = -math.inf
    high: float = math.inf

    @property
    def text(self) -> str:
        """The rule in words, for example 'e_200 at γ = 0: at most 0.0001'."""
        if self.low == -math.inf:
            return f"{self.measure}: at most {self.high:g}"
        if self.high == math.inf:
            return f"{self.measure}: at least {self.low:g}"
        return f"{self.measure}: within [{self.low:g}, {self.high:g}]"


ONE = "01_fixed_omega"
TWO = "02_linear_collapse"
THREE = "03_variable_omega"
THREE_SOLVED = "03_solver"
FOUR = "04_uniform_motion"
FIVE_MODEL = "05_odeformer/model"

RULES = {
    # Chapter 1 (post 1). e_n is the phase-space error after n steps: per seed the median over
    # starts, over seeds the geometric mean.
    "P1.1": Rule(ONE, "rolls out a full undamped trajectory", "e_200 at γ = 0", high=1e-4),
    "P1.2": Rule(ONE, "rolls out a damped trajectory", "e_200 at γ > 0", high=1e-4),
    "P1.3": Rule(
        ONE, "the error does not grow with time", "slope of log e_n on log n, n ≤ 200", high=0.1
    ),
    "P1.4": Rule(
        ONE,
        "generalises to energies above the training range",
        "e_200 at 10 to 100 times the training energy, over e_200 within it",
        high=2.0,
    ),
    "P1.5": Rule(
        ONE, "ω = √(ω0² + γ²)", "relative error of that ω against the eigenvalue's", high=1e-12
    ),
    "P1.6": Rule(
        ONE,
        "the 2×2 update matrix is the exact one-step map",
        "largest |entry| of K − exp(AΔt), float64",
        high=1e-14,
    ),
    "P1.7": Rule(
        ONE,
        "the model learns the natural frequency and the damping",
        "larger relative error of ω0 and γ read from the weights, γ > 0",
        high=1e-4,
    ),
    "P1.7b": Rule(
        ONE, "the model learns that there is no damping", "|γ| read from the weights", high=1e-5
    ),
    "P1.8": Rule(
        ONE,
        "open question: is the prediction the update rule, or something else?",
        "distance of the learned map to the exact flow, over its distance to the nearest rival "
        "(Euler, symplectic Euler, midpoint, RK4)",
        high=0.5,
    ),
    "P1.9": Rule(ONE, "the biases are optional", "e_200 without biases over with", high=2.0),
    "P1.10": Rule(
        ONE,
        "the model needs the last point only",
        "one-step MSE of least squares on the last state, float64",
        high=1e-25,
    ),
    "P1.11": Rule(
        ONE,
        "underdamped means ω > γ",
        "share of underdamped oscillators, γ ~ U[0, ω0), that have ω > γ",
        low=1.0,
    ),
    # Chapter 2 (post 2, fixed ω).
    "P2.1": Rule(
        TWO,
        "with context 1 the model is linear",
        "relative superposition defect at T = 1, float64",
        high=1e-14,
    ),
    "P2.1b": Rule(
        TWO,
        "with context 1 the model is linear",
        "relative superposition defect at T = 1, float32",
        high=1e-6,
    ),
    "P2.2": Rule(
        TWO,
        "fixed ω, 40 tokens, loss on all positions: trains well",
        "median e_n over n ≤ 200",
        high=1e-4,
    ),
    "P2.3": Rule(
        TWO,
        "the loss on all positions (Eq. 3) beats the last-position loss (Eq. 1)",
        "median e_n of Eq. 3 over Eq. 1, equal steps",
        high=1.0,
    ),
    "P2.3b": Rule(
        TWO,
        "... also at equal numbers of supervised targets",
        "median e_n of Eq. 3 over Eq. 1, equal targets",
        high=1.0,
    ),
    "P2.3c": Rule(
        TWO,
        "... because the gradient scales with T",
        "share of the gap (in log e_n) closed by multiplying the loss of Eq. 1 by T",
        low=0.5,
    ),
    "P2.4": Rule(
        TWO, "the saliency map is diagonal", "off-diagonal share of the saliency", high=0.01
    ),
    "P2.5": Rule(
        TWO,
        "W_O is zero: attention writes nothing",
        "‖W_U W_O W_V W_E‖ / ‖W_U W_E‖",
        high=0.01,
    ),
    "P2.16": Rule(
        TWO,
        "at context 1 a linear regression would have been as successful",
        "median e_n of least squares over the trained model's, T = 1",
        high=1.0,
    ),
    # Chapter 3 (post 2, variable ω). e_50 is the phase-space error after 50 rollout steps, MSE the
    # squared error of the next state after 40: per seed the median (mean for MSE) over held-out
    # trajectories, ω0 spread evenly over its range; ratios compare seed by seed, over seeds the
    # geometric mean. "Helps" is read as: e_50 falls by more than a tenth; "a lot": by more than
    # half. "Open" means without causal mask.
    "P2.6": Rule(
        THREE,
        "variable ω: the problem is no longer linear",
        "held-out MSE of Eq. 2 solved by least squares, T = 5, float64",
        low=1e-6,
    ),
    "P2.6b": Rule(
        THREE,
        "(ours) Eq. 2 solved is exact to rounding from five tokens on",
        "largest held-out MSE of Eq. 2 solved, T = 5 to 40, float64",
        high=1e-15,
    ),
    "P2.7": Rule(
        THREE,
        "OLA 2/2 cannot learn variable ω: wrong within about 10 steps",
        "rollout steps until e_n > 0.1",
        high=10,
    ),
    "P2.8": Rule(
        THREE, "OLA 8/4 does not help, seems worse", "e_50 of OLA 8/4 over OLA 2/2", low=1.0
    ),
    "P2.9": Rule(
        THREE, "8LA 16/8 with the mask does not help", "e_50 of 8LA 16/8 over OLA 2/2", low=0.9
    ),
    "P2.10": Rule(
        THREE,
        "removing the causal mask helps a lot",
        "e_50 of 4LA 32/16 open over masked",
        high=0.5,
    ),
    "P2.10b": Rule(
        THREE,
        "... also with eight layers",
        "e_50 of 8LA 32/16 open over masked",
        high=0.5,
    ),
    "P2.11": Rule(
        THREE,
        "there is no cheating in removing the mask",
        "MSE at positions before the last with the future exchanged, over without (4LA 32/16 open)",
        high=1.1,
    ),
    "P2.11b": Rule(
        THREE,
        "(ours) removing the mask improves the last position",
        "main effect of the mask's removal on log10 MSE",
        high=0.0,
    ),
    "P2.11c": Rule(
        THREE,
        "(ours) a loss on the last position alone improves it",
        "main effect on log10 MSE",
        high=0.0,
    ),
    "P2.11d": Rule(
        THREE,
        "(ours) positions improve it",
        "main effect on log10 MSE",
        high=0.0,
    ),
    "P2.11e": Rule(
        THREE,
        "(ours) with the mask, positions and the last-position loss nothing is lost",
        "MSE of that cell over the post's (open, all positions, no embedding)",
        high=1.0,
    ),
    "P2.12": Rule(
        THREE,
        "more layers help without the mask",
        "e_50 of 8LA 32/16 open over 4LA 32/16 open",
        high=0.9,
    ),
    "P2.12b": Rule(
        THREE,
        "8LA 32/16 open leads by about 1 rad after 50 steps at ω0 = 2",
        "median absolute phase error [rad]",
        low=0.5,
        high=1.5,
    ),
    "P2.12c": Rule(
        THREE,
        "(ours) more training is not what the ladder lacks",
        "e_50 of 8LA 32/16 open after four times as many steps",
        low=0.1,
    ),
    "P2.13": Rule(
        THREE,
        "the n-LA tracks better than linear regression",
        "e_50 of 8LA 32/16 open over Eq. 2 solved, T = 40",
        high=1.0,
    ),
    "P2.13b": Rule(
        THREE,
        "... than linear regression as the post trained it",
        "e_50 of 8LA 32/16 open over Eq. 2 by AdamW, T = 40",
        high=1.0,
    ),
    "P2.14": Rule(
        THREE,
        "the n-LA is not linear",
        "relative superposition defect of 8LA 32/16 open",
        low=0.01,
    ),
    "P2.14b": Rule(
        THREE,
        "... because the rollout of its linear surrogate diverges",
        "e_50 of Eq. 2 solved, T = 40, on the linear oscillator itself",
        high=0.1,
    ),
    "P2.15": Rule(
        THREE_SOLVED,
        "open: can a transformer do it? (at most 16 000 parameters)",
        "MSE, ω0 ∈ [1, 4]",
        high=1e-9,
    ),
    "P2.15b": Rule(THREE_SOLVED, "... and roll it out", "median e_50", high=1e-2),
    "P2.15c": Rule(
        THREE_SOLVED,
        "(ours) the solution is no linear rule in disguise",
        "superposition defect over root-mean-square error",
        low=100.0,
    ),
    "P2.17": Rule(
        THREE_SOLVED,
        "the model learns ω0 first, then predicts",
        "share of pairs whose prediction follows ω0 when the residual stream is moved "
        "(score at least 0.95)",
        low=0.9,
    ),
    "P2.17b": Rule(
        THREE_SOLVED,
        "... and not under a random move of equal size",
        "mean score of random directions",
        high=0.05,
    ),
    "P2.18": Rule(
        THREE,
        "variable γ can be learned as well",
        "e_50 of 4LA 32/16 open with γ ~ U[0, 0.5] over γ = 0.1",
        high=2.0,
    ),
    "P2.18b": Rule(
        THREE_SOLVED,
        "(ours) the solver handles variable γ as well",
        "median e_50 with γ ~ U[0, 0.5]",
        high=1e-2,
    ),
    "P2.19": Rule(
        THREE,
        "(ours) without mask and positions the past is a set",
        "relative change of the prediction when the first 39 states are shuffled, float64",
        high=1e-6,
    ),
    "P2.20": Rule(
        THREE,
        "(ours) the model reads ω0 off the ratio of mean squares",
        "partial R² of its error on that estimator's error, given ω0",
        low=0.5,
    ),
    "P2.21": Rule(
        THREE,
        "(ours) in-context least squares is the ceiling",
        "MSE in float32, T = 40",
        high=1e-13,
    ),
    "P2.22": Rule(
        THREE_SOLVED,
        "(ours) ω0² stands linearly in the solver's stream before the answer is formed",
        "held-out R² at the last position, best place before the last block's output",
        low=0.95,
    ),
    "P2.22b": Rule(
        THREE_SOLVED,
        "... and it takes training to get there",
        "highest held-out R² of ω0² from the raw window, an untrained network, shuffled labels",
        high=0.5,
    ),
    "P2.22c": Rule(
        THREE_SOLVED,
        "... also in windows that begin later, where the start does not give ω0 away",
        "held-out R² at the last position, at the same place",
        low=0.95,
    ),
    "P2.22d": Rule(
        THREE_SOLVED,
        "... which again takes training",
        "highest held-out R² of the three controls in such windows",
        high=0.5,
    ),
    # The criteria of Kantamneni, Liu and Tegmark for "the model uses the method g", on a model of
    # variable ω0 and Δt. The place is chosen on one half of the trajectories, scored on the other.
    "P2.23": Rule(
        THREE_SOLVED,
        "(criterion 1) exp(AΔt) is encoded",
        "held-out R² of its entries at the last position",
        low=0.9,
    ),
    "P2.23b": Rule(
        THREE_SOLVED,
        "... beyond the powers of AΔt that Taylor's method needs",
        "held-out R² of what (AΔt)^1 to (AΔt)^5 leave of it",
        low=0.5,
    ),
    "P2.24": Rule(
        THREE_SOLVED,
        "(criterion 2) where it is encoded better, the model errs less",
        "rank correlation over positions of its R² with −log10 MSE",
        low=0.8,
    ),
    "P2.25": Rule(
        THREE_SOLVED,
        "(criterion 3) it explains the stream better than Taylor's powers do",
        "held-out explained variance, mean over places: powers of exp(AΔt) minus powers of AΔt",
        low=0.0,
    ),
    "P2.26": Rule(
        THREE_SOLVED,
        "(criterion 4) moving the stream from one exp(AΔt) to another moves the answer",
        "share of pairs with score at least 0.95",
        low=0.9,
    ),
    "P2.26b": Rule(
        THREE_SOLVED,
        "... and a random move of equal size does not",
        "mean score of random directions",
        high=0.05,
    ),
    "P2.26c": Rule(
        THREE_SOLVED,
        "... nor does the same move in an untrained network",
        "median score",
        high=0.3,
    ),
    # Chapter 4 (post 3). A seed succeeds when its normalised MSE is ≤ 0.02 on 10⁴ fresh points
    # after the last step. "Learns" is read as: more seeds succeed than fail; "does not learn" as:
    # at most one seed in twenty succeeds; "a lucky seed" as anything between one in twenty and one
    # in two.
    "P3.1": Rule(FOUR, "input_dim 3, no positions: does not learn", "success rate", high=0.05),
    "P3.2": Rule(FOUR, "+ positional embedding: still does not", "success rate", high=0.05),
    "P3.3": Rule(FOUR, "+ projections 3→20→3: learns", "success rate", low=0.5),
    "P3.4": Rule(FOUR, "input_dim 1: still learns", "success rate", low=0.5),
    "P3.5": Rule(FOUR, "embedding 4: still learns", "success rate", low=0.5),
    "P3.6": Rule(
        FOUR, "embedding 2: fails for one seed, succeeds for another", "success rate", 0.05, 0.95
    ),
    "P3.7": Rule(FOUR, "embedding 1: learns with a lucky seed", "success rate", 0.05, 0.5),
    "P3.8": Rule(FOUR, "no projections: fails for all seeds", "success rate", high=0.05),
    "P3.9": Rule(FOUR, "no down projection: can learn", "success rate", low=0.05),
    "P3.9b": Rule(
        FOUR, "... and the up weight is small", "median |W_E| over successful seeds", high=0.2
    ),
    "P3.10": Rule(FOUR, "no projections, input × 0.1: learns again", "success rate", low=0.5),
    "P3.11": Rule(FOUR, "without attention biases: no longer learns", "success rate", high=0.05),
    "P3.12": Rule(
        FOUR, "the MSE is about 1e-3", "loss over successful seeds", low=1e-3 / 3, high=3e-3
    ),
    "P3.13": Rule(
        FOUR,
        "the plateau ends when p0 and p1 repel",
        "correlation over seeds of the log step at which the loss has halved with the log step at "
        "which |p1 − p0| is half way to its final value",
        low=0.8,
    ),
    "P3.14": Rule(
        FOUR,
        "constant attention weights cannot represent 2x1 − x0",
        "lowest normalised MSE over constant weights",
        low=0.02,
    ),
    "P3.15": Rule(
        FOUR, "α1 is linear in x0 and x1 (R² = 0.996)", "R² over successful seeds", low=0.99
    ),
    "P3.15b": Rule(
        FOUR,
        "α1 ≈ −0.006 x0 + 0.068 x1 + 0.300",
        "relative distance of the post's x1 coefficient to the one predicted from |p1 − p0| alone",
        high=0.05,
    ),
    "P3.16": Rule(
        FOUR,
        "the expanded graph is ∝ −x0 + 2x1 (ratio −1.949 in the figure)",
        "first-order C1 / C0 at the trained weights, over successful seeds",
        low=-2.1,
        high=-1.9,
    ),
    "P3.16b": Rule(
        FOUR,
        "before W_v the coefficients have the signs −x0, +x1",
        "share of successful seeds with C0 < 0 before W_v",
        low=0.5,
    ),
    "P3.17": Rule(
        FOUR,
        "one attention layer (one head, no residual) cannot be exact",
        "lowest normalised MSE with bounded weights",
        low=1e-12,
    ),
    "P3.17b": Rule(
        FOUR,
        "one attention layer (as transformers have it, with a residual) cannot be exact",
        "lowest normalised MSE with bounded weights",
        low=1e-12,
    ),
    "P3.18": Rule(
        FOUR,
        "depth and MLPs may improve it but stay approximate (one head, no residual)",
        "lowest normalised MSE of 2–3 layers or an MLP, bounded weights",
        low=1e-12,
    ),
    "P3.18b": Rule(
        FOUR,
        "depth and MLPs stay approximate (with a residual)",
        "lowest normalised MSE of 2–3 layers or an MLP, bounded weights",
        low=1e-12,
    ),
    "P3.19": Rule(FOUR, "the relation is trivial for an MLP", "success rate", low=0.95),
    "P3.20": Rule(
        FOUR,
        "world models need models beyond transformers",
        "error of a standard attention layer after 100 steps along a line, over the distance moved",
        low=0.01,
    ),
    # What the chapter predicts from |p1 − p0| alone, against the trained seeds.
    "P3.21": Rule(
        FOUR,
        "(ours) |p1 − p0| alone predicts the loss",
        "median relative deviation over successful seeds",
        high=0.05,
    ),
    "P3.22": Rule(
        FOUR,
        "(ours) |p1 − p0| alone predicts W_q W_k, W_v and the coefficients of α1",
        "largest median relative deviation of the four over successful seeds",
        high=0.05,
    ),
    "P3.23": Rule(
        FOUR,
        "(ours) one head without residual: the MSE falls like |p1 − p0|⁻²",
        "slope of log MSE on log |p1 − p0|",
        low=-2.05,
        high=-1.95,
    ),
    "P3.24": Rule(
        FOUR,
        "(ours) W_q W_k < 0 in every solution",
        "share of successful seeds with W_q W_k < 0",
        low=0.95,
    ),
    # Chapter 5, first page (post 4): our ODEFormer. A trajectory is recognised when the best of ten
    # samples reaches R² > 0.9 on it. One model, so the intervals are over systems, not over seeds.
    "P4.0": Rule(
        FIVE_MODEL,
        "the model has 86 million parameters",
        "parameters of the released sizes [millions]",
        low=85.0,
        high=87.0,
    ),
    "P4.8": Rule(
        FIVE_MODEL,
        "the model sometimes gets the dimension of the system wrong",
        "share of held-out systems whose greedy answer has another dimension",
        low=0.01,
    ),
    "P4.15": Rule(
        FIVE_MODEL,
        "finished beams go on with one default token",
        "share of finished rows, over random weights, whose logits are the output bias alone",
        low=1.0,
    ),
    "P4.20": Rule(
        FIVE_MODEL,
        "steep sigmoids derail the model",
        "share recognised of sigmoids with steepness 3 and more",
        high=0.5,
    ),
    "P4.20b": Rule(
        FIVE_MODEL,
        "... and gentle ones do not",
        "share recognised of sigmoids with steepness 1 and less",
        low=0.5,
    ),
    "P4.34": Rule(
        FIVE_MODEL,
        "(ours) our model recognises one-dimensional systems",
        "share recognised of the one-dimensional families, without noise",
        low=0.8,
    ),
    "P4.35": Rule(
        FIVE_MODEL,
        "(ours) ... and two-dimensional ones",
        "share recognised of the two-dimensional families, without noise",
        low=0.6,
    ),
    "P4.36": Rule(
        FIVE_MODEL,
        "(ours) it writes the right operators and signs",
        "lower of the teacher-forced shares of right operators and right signs, held out",
        low=0.9,
    ),
    "P4.37": Rule(
        FIVE_MODEL,
        "(ours) what it finds is the equation, not the curve",
        "share recognised at a new start over the share at the given start, families",
        low=0.9,
    ),
}
