"""Chapter 5, third section: words by layer, what carries the sign, sinks, extrema, OV diagonals.

Replicates, null, splits and tests are those of `derivative`. Heads, dimensions and points that a
claim calls the best are chosen on the even systems and scored on the odd ones. Layers of the
decoder have its own count, 0 to 11, as in the post; in a model of another depth a layer is that of
the same relative depth. What no null of untrained models has (the claims that compare within a
model) is tested by Student's t over the seeds, P4.17d over pairs of arms that share their seed.
The most attended point of a system is the one that gets most value-weighted cross-attention,
A_ij |v_j|, summed over the decoder's layers and heads, mean over the words of the right answer.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from attention_in_motion.chapters.page import claim, rules
from attention_in_motion.chapters.twins import Scored

PAGE = "05_odeformer/lenses"


class Parameters(Scored):
    """What the page may be given."""

    page = PAGE
    arms: Annotated[str, Field(min_length=1)]


REPEATS = "share of words, not after a constant, whose lens at decoder layer 0 says the word before"
PLUS_MINUS = "share of falling exponentials whose lens prefers + at decoder layer 6, − at layer 8"
SINK = (
    "share of systems in which a point gets twice an equal share of attention or more and less "
    "than an equal share once weighted by value; best head of the encoder"
)
SIXTY = "share of systems whose most attended point lies from 55 to 65 % of the time, n = 25 and 50"
LEAVES = (
    "share of falling exponentials whose most attended point is another one once its time is 4, "
    "less that share once its value is another system's"
)
EXTREMA = "correlation of column mass with nearness to an extremum, best head of encoder layer 0"
DIAGONAL = "−(mean of the OV diagonal)/(spread of the other entries), mean over encoder layers"
DIMENSION = "share of the sign's logit lost without the best single dimension after decoder layer 8"
MAGNITUDE = (
    "share of the sign's logit lost without the four cross-attention heads that go with |x| best"
)
SMOOTH = (
    "share of the steps away from the most attended point, five to either side, at which "
    "value-weighted attention falls"
)
AVOIDS = (
    "1 − (attention to the most attended point)/(equal share), of the four cross-attention heads "
    "that mark extrema best the one that avoids it most"
)
HIERARCHY = (
    "share of three features (x, extrema: layer 0; slope: layer 2) whose best encoder head lies in "
    "the layer that the post says"
)

RULES = rules(
    PAGE,
    # the lens
    claim("P4.13", "early layers repeat the previous word", REPEATS, at_least=0.5, seeds=False),
    claim("P4.13m", "... and so they do in ours", REPEATS, at_least=0.5),
    claim(
        "P4.13b",
        "... because they have learned to",
        "that share, against networks that were never trained",
        at_least=0.5,
        kind="ours",
        tested=True,
    ),
    claim(
        "P4.13c",
        "... certainty comes in the last layers",
        "share of the rise of the largest probability, decoder layer 0 to 11, that falls after 7",
        at_least=0.5,
    ),
    claim(
        "P4.13d",
        "... constants stay uncertain",
        "largest probability at the end, mean of words that are no numbers less mean of mantissas",
        at_least=0.2,
        tested=True,
    ),
    claim(
        "P4.13e",
        "... after a constant nothing is repeated",
        "that share less the same one after a constant",
        at_least=0.2,
        tested=True,
    ),
    claim(
        "P4.13f",
        "... a tuned lens sees the words earlier",
        "share of words whose lens at decoder layer 6 says what the end says, tuned less plain",
        at_least=0.05,
        kind="ours",
        tested=True,
    ),
    # the sign
    claim(
        "P4.14",
        "of a decay, decoder layer 6 says + and layer 8 corrects it to −",
        PLUS_MINUS,
        at_least=0.5,
        seeds=False,
    ),
    claim("P4.14m", "... and so it is in ours", PLUS_MINUS, at_least=0.5, tested=True),
    claim(
        "P4.14b",
        "... at some layer or other + is the likeliest of all words before − is",
        "share of falling exponentials whose lens says + at some decoder layer and − at the end",
        at_least=0.5,
        tested=True,
    ),
    claim(
        "P4.14c",
        "... and + leads: a growth does not say − first",
        "that share less the share of rising exponentials that say − at some layer and + at the "
        "end",
        at_least=0.2,
        kind="ours",
        tested=True,
    ),
    claim(
        "P4.14d",
        "... one head decides",
        "share of the sign's logit that one head of the decoder moves, patched from rising to "
        "falling and back, less the mean of all heads",
        at_least=0.25,
        kind="ours",
        tested=True,
    ),
    claim(
        "P4.28", "one hidden dimension carries the sign alone", DIMENSION, at_least=0.5, seeds=False
    ),
    claim(
        "P4.28m",
        "... and so it does in ours",
        f"{DIMENSION}, less that without a random one",
        at_least=0.5,
        tested=True,
    ),
    claim(
        "P4.28b",
        "... no direction carries more",
        "share lost without the direction from rising to falling, less that without the best "
        "dimension",
        at_most=0.1,
    ),
    claim(
        "P4.30",
        "heads that run from the maximum to the minimum decide the sign",
        MAGNITUDE,
        at_least=0.25,
        seeds=False,
    ),
    claim(
        "P4.30m",
        "... and so they do in ours",
        f"{MAGNITUDE}, less that without four random ones",
        at_least=0.25,
        tested=True,
    ),
    claim(
        "P4.30b",
        "... there are such heads",
        "correlation of attention at the sign with |x|, mean of rising and falling exponentials, "
        "best cross-attention head",
        at_least=0.5,
        tested=True,
    ),
    # sinks and the most attended point
    claim(
        "P4.16",
        "there are attention sinks: much attention, little of it weighted by value",
        SINK,
        at_least=0.5,
        seeds=False,
    ),
    claim("P4.16m", "... and so there are in ours", SINK, at_least=0.5, tested=True),
    claim(
        "P4.17",
        "the most attended point lies at about 60 % of the input, whatever the system",
        SIXTY,
        at_least=0.5,
        seeds=False,
    ),
    claim("P4.17m", "... and so it does in ours", SIXTY, at_least=0.5, tested=True),
    claim(
        "P4.17b",
        "... there is such a point, wherever it lies",
        "share of systems at the commonest most attended point, n = 50",
        at_least=0.5,
        tested=True,
    ),
    claim(
        "P4.17c",
        "... its norm is low",
        "share of points whose encoding is longer than that of the most attended one, n = 50",
        at_least=0.75,
        tested=True,
    ),
    claim(
        "P4.17d",
        "... it comes of training on the same half of the points",
        "share of systems at the commonest point, arm with the published accident less arm with "
        "random points, n = 25, pairs of seeds",
        at_least=0.1,
        kind="ours",
        tested=True,
    ),
    claim(
        "P4.17e",
        "... and the answer needs that point",
        "nats a token lost without the most attended point, less those lost without another one",
        at_least=0.01,
        kind="ours",
        tested=True,
    ),
    claim(
        "P4.18",
        "the most attended point follows the time and not the value",
        LEAVES,
        at_least=0.5,
        seeds=False,
    ),
    claim("P4.18m", "... and so it does in ours", LEAVES, at_least=0.5, tested=True),
    claim(
        "P4.18b",
        "... a change of its value by 0.05 (0.083 in scaled units) moves it",
        "smallest change of its scaled value that makes another point the most attended, median "
        "of falling exponentials",
        at_least=0.04,
        at_most=0.17,
    ),
    claim(
        "P4.31",
        "attention builds up and decays smoothly around the most attended point",
        SMOOTH,
        at_least=0.8,
        seeds=False,
    ),
    claim("P4.31m", "... and so it does in ours", SMOOTH, at_least=0.8, tested=True),
    claim(
        "P4.31b",
        "... in the value-weighted plots only",
        "that share less the same one of plain attention",
        at_least=0.1,
        tested=True,
    ),
    claim(
        "P4.32",
        "some heads that mark features attend less to the most attended point",
        AVOIDS,
        at_least=0.5,
        seeds=False,
    ),
    claim("P4.32m", "... and so they do in ours", AVOIDS, at_least=0.5, tested=True),
    # extrema and the hierarchy
    claim(
        "P4.19",
        "heads of encoder layer 0 mark minima and maxima",
        EXTREMA,
        at_least=0.5,
        seeds=False,
    ),
    claim("P4.19m", "... and so they do in ours", EXTREMA, at_least=0.5, tested=True),
    claim(
        "P4.19b",
        "... a head of decoder layer 6 marks those of the dimension that is written",
        "correlation of its attention with nearness to an extremum of the dimension that is "
        "written less nearness to one of the other, best head of decoder layer 6",
        at_least=0.3,
        tested=True,
    ),
    claim(
        "P4.19c",
        "... a head of decoder layer 5 marks those of both",
        "correlation of column mass with nearness to an extremum, best head of decoder layer 5",
        at_least=0.5,
        tested=True,
    ),
    claim(
        "P4.19d",
        "... and the answer needs the encoder's head",
        "nats a token lost without it, less those lost without another head of layer 0",
        at_least=0.01,
        kind="ours",
        tested=True,
    ),
    claim(
        "P4.33",
        "heads that trace and mark extrema lie in layer 0, those of the slope in layer 2",
        HIERARCHY,
        at_least=0.9,
        seeds=False,
    ),
    claim("P4.33m", "... and so they do in ours", HIERARCHY, at_least=0.9, tested=True),
    # OV
    claim(
        "P4.21",
        "OV matrices of the encoder have a negative diagonal",
        DIAGONAL,
        at_least=1.0,
        seeds=False,
    ),
    claim("P4.21m", "... and so they have in ours", DIAGONAL, at_least=1.0, tested=True),
    claim(
        "P4.21b",
        "... more so with depth",
        "that ratio of the last encoder layer less that of the first",
        at_least=0.5,
        tested=True,
    ),
    claim(
        "P4.21c",
        "... so that attention subtracts what it attends to",
        "−⟨written, attended⟩/|attended|², both about their means over points, mean over encoder "
        "layers",
        at_least=0.1,
        kind="ours",
        tested=True,
    ),
    claim(
        "P4.21d",
        "... and the answer needs the subtraction",
        "nats a token lost when the part along the attended mean is put back, less those lost "
        "with another system's put back",
        at_least=0.01,
        kind="ours",
        tested=True,
    ),
)


def runs(p: Parameters) -> dict[str, object]:
    """Nothing is trained here: `odeformer.weights` says which file a model's name means."""
    return {}


MISSING = "the released file; with it, “run lenses -p model official” answers"
