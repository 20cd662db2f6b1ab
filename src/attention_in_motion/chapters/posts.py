"""The four posts: their titles, where they can be read, and the numbers they print.

Source: the posts themselves. "(figure)" marks a number that was read off a figure by eye.
"""

from __future__ import annotations

from dataclasses import dataclass

PHYSICS_CODE = "https://github.com/amarjahin/transformer_harmonic_oscillator"


@dataclass(frozen=True)
class Post:
    """One post: its number, its topic in a word or two, its title, its address, its code's."""

    number: int
    topic: str
    title: str
    url: str | None
    code: str | None


POSTS = (
    Post(
        1,
        "one frequency",
        "Solving the Harmonic oscillator with one-layer attention-only transformer",
        "https://amarjahin.github.io/2026/01/19/hoolt.html",
        PHYSICS_CODE,
    ),
    Post(
        2,
        "forty states",
        "Comparing transformers and linear models for the simple harmonic oscillator",
        "https://amarjahin.github.io/2026/02/17/nla.html",
        PHYSICS_CODE,
    ),
    Post(
        3,
        "uniform motion",
        "Physics 1 – Attention can't exactly simulate uniform linear motion",
        "https://kindxiaoming.github.io/blog/2026/physics-1/",
        None,
    ),
    Post(
        4,
        "ODEFormer",
        "Mechanistic Interpretability Via Learning Differential Equations",
        None,
        "https://github.com/ayoakin/MIVLDE",
    ),
)

# What a post gives for a claim of its own, where it gives a number or a figure.
PRINTED = {
    "P1.1": "a relative error of about 10⁻⁴ over 200 steps, with spikes to 3 × 10⁻⁴ (figure)",
    "P1.2": "about 10⁻⁴ over 200 steps (figure)",
    "P1.3": "a figure, whose spikes do grow",
    "P1.4": "a start of amplitude 5 (figure)",
    "P2.2": "an error mostly below 10⁻⁴ over 200 steps, with spikes to 1.7 × 10⁻³ (Fig. 1)",
    "P2.4": "Fig. 2",
    "P2.5a": "“zeros for all elements”",
    "P2.5b": "“zeros for all elements”",
    "P2.7": "Fig. 3",
    "P2.8": "Fig. 4",
    "P2.9": "Fig. 5",
    "P2.10": "Figs. 5 and 6, which differ in width and depth as well",
    "P2.12": "Fig. 7",
    "P2.12b": "about 1 rad after 50 steps (Fig. 7)",
    "P2.13": "Fig. 8",
    "P2.14": "Fig. 8",
    "P3.6": "one seed of two",
    "P3.7": "“after trying a few”",
    "P3.8": "none of ten seeds",
    "P3.9": "a weight of about 0.08",
    "P3.12": "about 10⁻³; the figure shows 7 × 10⁻⁴ after 10 000 steps",
    "P3.13": "a figure",
    "P3.15": "α₁ ≈ −0.006 x₀ + 0.068 x₁ + 0.300, with R² = 0.996",
    "P3.16": "−0.088 x₀ + 0.171 x₁, a ratio of −1.949",
    "P4.0": "86 million parameters",
    "P4.1": "layer 2, head 7 (Fig. 1)",
    "P4.2": "layer 0, head 8 (a figure)",
    "P4.3": "Fig. 2",
    "P4.4": "Fig. 2",
    "P4.5": "a rank correlation of 0.75, best at layer index 7",
    "P4.6": "40 % of the exponential samples reach R² ≥ 0.5",
    "P4.9": "2 732 of 10 000 systems are kept, at R² ≥ 0.9",
    "P4.10": "figures",
    "P4.11": "features 971, 786 and 595",
    "P4.13": "a figure",
    "P4.14": "decoder layers 6 and 8 (figures)",
    "P4.16": "figures",
    "P4.17": "point 15 of 25",
    "P4.18": "a change above about 0.05",
    "P4.19": "encoder layer 0; decoder layers 6 and 12",
    "P4.20": "the sigmoids 3_20, in part, and 8_25, wholly (a figure)",
    "P4.21": "a figure",
    "P4.28": "hidden dimension 389 (a figure)",
    "P4.30": "a figure",
    "P4.31": "figures",
    "P4.32": "figures",
    "P4.33": "a figure",
}


def post_of(claim: str) -> Post | None:
    """The post that a claim belongs to, P2.15b → post 2; None for one that follows no post."""
    number = claim.removeprefix("P").split(".")[0]
    return next((post for post in POSTS if str(post.number) == number), None)


def links(post: Post) -> str:
    """'[title](address), [code](address)' in Markdown, as far as there are addresses."""
    title = f"[{post.title}]({post.url})" if post.url else f"*{post.title}*"
    return title + (f" ([code]({post.code}))" if post.code else "")


def short_links(post: Post) -> str:
    """'[post](address), [code](address)' in Markdown, as far as there are addresses."""
    addresses = {"post": post.url, "code": post.code}
    return ", ".join(f"[{word}]({address})" for word, address in addresses.items() if address)
