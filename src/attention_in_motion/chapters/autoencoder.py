"""Chapter 5, section on sparse features: what autoencoders find, and what survives an ablation.

What is measured, on whom and where, was fixed before any autoencoder of these models was trained.

- Replicates are the six seeds of the twin, the null at least twenty networks at step 0 of its
  training; each has autoencoders of its own, trained by the same steps.
- The place is the encoder's stream after layer 0, the post's residual1. The post's autoencoder is
  ReLU with L1, 1280 features; TopK has as many, 16 of them live. Beside either stands one whose
  decoder stays as drawn.
- Systems are those of the evaluation; autoencoders are trained on even ones, which also choose
  features, and scored on odd ones. Families are exchanged between systems, never between points.
- Ablations replace the stream itself, so that no path keeps what was there, at every point; means
  are those of even systems.
- Tested claims have one p-value each, corrected by Holm over the page: rank sum of the seeds
  against the null where the null has the number (P4.10b, P4.11m, P4.25m, P4.26m), Student's t over
  seeds for differences within a model (P4.25b, P4.27m, P4.27b).
"""

from __future__ import annotations

from attention_in_motion.chapters.page import claim, rules
from attention_in_motion.chapters.twins import Scored

PAGE = "05_odeformer/autoencoder"


class Parameters(Scored):
    """What the page may be given."""

    page = PAGE


LAYER = 0  # the stream after it is what autoencoders read
WIDTH, LIVE = 1280, 16  # features of an autoencoder, and how many TopK keeps
TOP = 3  # features that the post calls stable: the most active ones
NEIGHBOURS = 10  # in the plane of t-SNE
ONE_FAMILY = 0.9  # share of a feature's firing that lies in its family

RULES = rules(
    PAGE,
    claim(
        "P4.10",
        "features of an autoencoder show no clear mathematical concept",
        "largest size of a feature's correlation with t, x, x′ or x″ at single points, held out",
        at_most=0.5,
        seeds=False,
    ),
    claim(
        "P4.10m",
        "... nor do they in ours",
        "largest size of a feature's correlation with t, x, x′ or x″ at single points, held out",
        at_most=0.5,
    ),
    claim(
        "P4.10b",
        "... they say more of x′ than those of an untrained model",
        "largest size of a TopK feature's correlation with x′ beyond t and x, held out",
        at_least=0.2,
        kind="ours",
        tested=True,
    ),
    claim(
        "P4.10c",
        "... and t-SNE of them shows no structure",
        "share of ten nearest neighbours in its plane that are of a point's family, less the share "
        "with families exchanged",
        at_most=0.05,
    ),
    claim(
        "P4.11",
        "a few top features stay active across parameters and systems",
        "share of the three most active features of damped oscillators that are among those of "
        "constant slopes",
        at_least=0.66,
        seeds=False,
    ),
    claim(
        "P4.11m",
        "... and so they do in ours, more than in an untrained model",
        "share of the three most active features of damped oscillators that are among those of "
        "constant slopes, the post's autoencoder",
        at_least=0.66,
        tested=True,
    ),
    claim(
        "P4.11b",
        "... because they are active everywhere",
        "share of all points of mixed systems at which those three features are active, mean",
        at_least=0.9,
        kind="ours",
    ),
    claim(
        "P4.12",
        "solutions survive severe changes of the residual stream and of MLP activations",
        "R² of greedy answers with the stream after layer 0 at its mean, over that of whole ones",
        at_least=0.9,
        seeds=False,
    ),
    claim(
        "P4.12m",
        "... and so they do in ours, of the stream",
        "R² of greedy answers with the stream after layer 0 at its mean, over that of whole ones",
        at_least=0.9,
    ),
    claim(
        "P4.12b",
        "... and of the feed-forward network",
        "R² of greedy answers with the output of layer 0's network at its mean, over that of whole "
        "ones",
        at_least=0.9,
    ),
    claim(
        "P4.12c",
        "... of what the post's autoencoder leaves of the stream",
        "R² of greedy answers with the stream after layer 0 reconstructed, over that of whole ones",
        at_least=0.9,
        kind="ours",
    ),
    claim(
        "P4.25",
        "some features are active only for certain families of equations",
        "share of live features with nine tenths of their firing in one family, less the share "
        "with families exchanged",
        at_least=0.05,
        seeds=False,
    ),
    claim(
        "P4.25m",
        "... and so they are in ours, more than in an untrained model",
        "share of live TopK features with nine tenths of their firing in one family, less the "
        "share with families exchanged",
        at_least=0.05,
        tested=True,
    ),
    claim(
        "P4.25b",
        "... and they keep what the answer needs",
        "share of the nats between the stream at its mean and the whole one that TopK's "
        "reconstruction recovers, less that of a frozen random decoder",
        at_least=0.05,
        kind="ours",
        tested=True,
    ),
    claim(
        "P4.26",
        "stable features bound the manifold that t-SNE draws",
        "area under the ROC curve of the distance from its centre: points whose most active "
        "feature is one of the three, against others",
        at_least=0.7,
        seeds=False,
    ),
    claim(
        "P4.26m",
        "... and so they do in ours, more than in an untrained model",
        "area under the ROC curve of the distance from its centre: points whose most active "
        "feature is one of the three, against others; the post's autoencoder",
        at_least=0.7,
        tested=True,
    ),
    claim(
        "P4.27",
        "the processing sits in attention or in the decoder",
        "nats a token lost with all attention of the encoder at its mean, less those lost with all "
        "its feed-forward networks so",
        at_least=0.01,
        seeds=False,
    ),
    claim(
        "P4.27m",
        "... in attention rather than in feed-forward networks, in ours",
        "nats a token lost with all attention of the encoder at its mean, less those lost with all "
        "its feed-forward networks so",
        at_least=0.01,
        tested=True,
    ),
    claim(
        "P4.27b",
        "... in the decoder rather than in the encoder",
        "nats a token lost with all feed-forward networks of the decoder at their means, less "
        "those lost with all of the encoder so",
        at_least=0.01,
        tested=True,
    ),
)


def runs(p: Parameters) -> dict[str, object]:
    """Nothing is trained here: `odeformer.weights` says which file a model's name means."""
    return {}


MISSING = "the released file; with it, “run autoencoder -p model official” answers"
READ = ("P4.10b", "P4.11m", "P4.25m", "P4.26m")  # have a null of untrained models
