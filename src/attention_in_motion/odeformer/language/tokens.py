"""ODEFormer's words: floats as (sign, mantissa, exponent), equations as prefix sequences.

Everything here is NumPy and Python. With max_dimension = 6 and precision = 3 the ids are those of
the released model: 10 220 float words read by the encoder, 10 293 equation words written by the
decoder. Source: d'Ascoli et al., "ODEFormer" (2023), section 3, and package odeformer 0.1.7.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise, takewhile

import numpy as np
from numpy.typing import ArrayLike, NDArray

Leaf = str | int | float
Equation = list[Leaf]
System = list[Equation]

SPECIALS = (
    *("<EOS>", "<X>", "</X>", "<Y>", "</Y>", "</POINTS>", "<INPUT_PAD>", "<OUTPUT_PAD>"),
    *("<MASK>", "<PAD>", "(", ")", "SPECIAL", "OOD_unary_op", "OOD_binary_op", "OOD_constant"),
)
UNARY = (
    *("abs", "arccos", "arcsin", "arctan", "cos", "exp", "id", "inv", "log"),
    *("pow2", "pow3", "sin", "sqrt", "tan"),
)
BINARY = ("add", "div", "mul", "pow", "sub")
ARITY = dict.fromkeys(UNARY, 1) | dict.fromkeys(BINARY, 2)
OTHER_SYMBOLS = ("CONSTANT", "FLOAT+", "FLOAT-", "e", "euler_gamma", "pi", "rand", "t")
MAX_EXPONENT = 100

FORMS = {
    "variable": r"x_\d+",
    "sign": r"[+-]",
    "mantissa": r"N\d+",
    "exponent": r"E-?\d+",
    "integer": r"INT[+-]|\d",
    "separator": r"\|",
    "end": r"<EOS>",
}
KINDS = ("operator", *FORMS, "other")


@dataclass(frozen=True)
class Vocabulary:
    """The two vocabularies for a largest dimension and a float precision (decimals of mantissa).

    A float word list is 16 specials, then 2 signs, 201 exponents, 10^(precision+1) mantissas and
    NaN; an equation word list is 16 specials, 51 + max_dimension symbols, then the float list once
    more, specials included. A doubled word means its last copy: the first 16 ids are never written.
    Raises ValueError when max_dimension or precision is below 1.
    """

    max_dimension: int = 6
    precision: int = 3

    def __post_init__(self) -> None:
        for name in ("max_dimension", "precision"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} = {getattr(self, name)}: must be at least 1")

    @cached_property
    def float_words(self) -> tuple[str, ...]:
        """The words of points, by their float ids."""
        mantissas = [f"N{m:0{self.precision + 1}d}" for m in range(10 ** (self.precision + 1))]
        exponents = [f"E{e}" for e in range(-MAX_EXPONENT, MAX_EXPONENT + 1)]
        return (*SPECIALS, *sorted(["+", "-", "NaN", *mantissas, *exponents]))

    @cached_property
    def words(self) -> tuple[str, ...]:
        """The words of equations, by their ids."""
        integers = [str(n) for n in range(-10, 11)]
        variables = [f"x_{i}" for i in range(self.max_dimension)]
        symbols = [*ARITY, *OTHER_SYMBOLS, *integers, *variables, "INT+", "INT-", "|"]
        return (*SPECIALS, *sorted(symbols), *self.float_words)

    @cached_property
    def float_ids(self) -> dict[str, int]:
        """The float id of every word of points."""
        return {word: i for i, word in enumerate(self.float_words)}

    @cached_property
    def ids(self) -> dict[str, int]:
        """The id of every word of equations; a doubled word has its last."""
        return {word: i for i, word in enumerate(self.words)}

    @property
    def float_offset(self) -> int:
        """What turns a float word's id into its id as an equation word."""
        return len(self.words) - len(self.float_words)

    @property
    def float_pad(self) -> int:
        """The float id that fills up points and, as in the official package, targets."""
        return self.float_ids["<PAD>"]

    @property
    def pad(self) -> int:
        """The id of <PAD> among the words of equations."""
        return self.ids["<PAD>"]

    @property
    def eos(self) -> int:
        """The id of <EOS>, which begins and ends a target."""
        return self.ids["<EOS>"]

    @cached_property
    def exponent_ids(self) -> NDArray[np.int64]:
        """Float id of exponent e at index e + 100 (the words are in string order)."""
        exponents = range(-MAX_EXPONENT, MAX_EXPONENT + 1)
        return np.array([self.float_ids[f"E{e}"] for e in exponents])  # (201,)

    @cached_property
    def mantissa_ids(self) -> NDArray[np.int64]:
        """Float id of mantissa m at index m."""
        n = 10 ** (self.precision + 1)
        return np.arange(n) + self.float_ids["N" + "0" * (self.precision + 1)]  # (n,)

    @cached_property
    def kinds(self) -> NDArray[np.int64]:
        """For each equation id the index in KINDS of what it is in a target sequence."""
        return np.array([KINDS.index(kind_of(word)) for word in self.words])  # (n_words,)

    def encode_floats(self, values: ArrayLike) -> NDArray[np.int64]:
        """(...) floats → (..., 3) float ids of sign, mantissa m and exponent e, v ≈ ±m·10^e.

        m has precision + 1 digits, correctly rounded as in "%.{precision}e". Zero is + 0 with
        e = −precision, |v| < 10^(precision−100) is ± 0 with e = 0, NaN is three times NaN.
        Raises ValueError for |v| too large for the exponent words (≥ 10^104 at precision 3).
        """
        values = np.asarray(values, dtype=np.float64)
        size = np.abs(np.where(np.isnan(values), 0.0, values))
        mantissa, exponent = self.round_to_precision(size)
        if exponent.size and exponent.max() > MAX_EXPONENT:
            limit = f"1e{MAX_EXPONENT + self.precision + 1}"
            raise ValueError(f"values has {size.max():g}: floats must be below {limit} in size")
        tiny = exponent < -MAX_EXPONENT
        mantissa, exponent = np.where(tiny, 0, mantissa), np.where(tiny, 0, exponent)
        sign = np.where(values < 0, self.float_ids["-"], self.float_ids["+"])
        mantissa = self.mantissa_ids[mantissa]
        exponent = self.exponent_ids[exponent + MAX_EXPONENT]
        ids = np.stack([sign, mantissa, exponent], axis=-1)  # (..., 3)
        return np.where(np.isnan(values)[..., None], self.float_ids["NaN"], ids)  # (..., 3)

    def round_to_precision(self, size: NDArray) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Integers (m, e) with size ≈ m·10^e, m of precision + 1 digits, for size ≥ 0.

        A product with a power of ten is off by an ulp, so mantissas within 1e-6 of a rounding tie
        are left to Python's exact formatting. An infinite size gets an exponent out of range.
        """
        positive = np.clip(size, 1e-250, 1e250)
        power = np.floor(np.log10(positive)).astype(np.int64) - self.precision
        exact = positive / 10.0**power
        mantissa = np.rint(exact).astype(np.int64)
        carry = mantissa == 10 ** (self.precision + 1)
        mantissa = np.where(carry, mantissa // 10, mantissa)
        power = np.asarray(power + carry)  # stays an array for a single float
        for i in map(tuple, np.argwhere(np.abs(exact % 1 - 0.5) < 1e-6)):
            digits, e = f"{positive[i]:.{self.precision}e}".split("e")
            mantissa[i], power[i] = int(digits.replace(".", "")), int(e) - self.precision
        zero = size == 0
        return np.where(zero, 0, mantissa), np.where(zero, -self.precision, power)

    def decode_floats(self, ids: ArrayLike) -> NDArray[np.float64]:
        """(..., 3) float ids → (...) values ±m·10^e, the inverse of `encode_floats`.

        Three NaN words give NaN. Raises ValueError when a triple is not sign, mantissa, exponent.
        """
        ids = np.asarray(ids)
        sign, mantissa, exponent = np.moveaxis(ids, -1, 0)  # 3 × (...)
        missing = (ids == self.float_ids["NaN"]).all(axis=-1)
        kinds = self.kinds[ids + self.float_offset]  # (..., 3)
        expected = [KINDS.index(kind) for kind in ("sign", "mantissa", "exponent")]
        if not ((kinds == expected).all(axis=-1) | missing).all():
            raise ValueError("ids hold a triple that is not (sign, mantissa, exponent)")
        exponents = np.zeros(len(self.float_words), dtype=np.int64)
        exponents[self.exponent_ids] = np.arange(-MAX_EXPONENT, MAX_EXPONENT + 1)
        m = (mantissa - self.mantissa_ids[0]).astype(np.float64)
        e = exponents[exponent]
        value = np.where(e < 0, m / 10.0 ** -np.minimum(e, 0), m * 10.0 ** np.maximum(e, 0))
        return np.where(missing, np.nan, np.where(sign == self.float_ids["-"], -value, value))

    def encode_points(self, times: ArrayLike, values: ArrayLike) -> NDArray[np.int64]:
        """Times (n,) and states (n, dimension) → (n, 3·(1 + max_dimension)) float ids.

        Each row is the time, the variables, then <OUTPUT_PAD> up to max_dimension. As in the
        official encoder, a state with a NaN anywhere is three NaN words, whatever its dimension.
        Raises ValueError for mismatched lengths or a dimension outside 1…max_dimension.
        """
        times, values = np.asarray(times, dtype=np.float64), np.asarray(values, dtype=np.float64)
        if values.ndim != 2 or len(times) != len(values):
            raise ValueError(f"values has shape {values.shape}: must be ({len(times)}, dimension)")
        n, dimension = values.shape
        if not 1 <= dimension <= self.max_dimension:
            raise ValueError(f"dimension = {dimension}: must be in 1…{self.max_dimension}")
        rows = np.full((n, 1 + self.max_dimension, 3), self.float_ids["<OUTPUT_PAD>"])
        rows[:, 0] = self.encode_floats(times)
        rows[:, 1 : 1 + dimension] = self.encode_floats(values)
        broken = np.isnan(values).any(axis=1)
        rows[broken, 1] = self.float_ids["NaN"]
        rows[broken, 2:] = self.float_ids["<OUTPUT_PAD>"]
        return rows.reshape(n, -1)  # (n, 3 (1 + max_dimension))

    def encode_system(self, system: System) -> NDArray[np.int64]:
        """Prefix lists, one per dimension → ids (length,): <EOS>, equations joined by |, <EOS>.

        Integers are INT± and base-10 digits, floats three words. Raises ValueError for an unknown
        word.
        """
        ids = [self.eos]
        for equation in system:
            for leaf in equation:
                ids.extend(self.encode_leaf(leaf))
            ids.append(self.ids["|"])
        return np.array([*ids[:-1], self.eos])  # (length,)

    def encode_leaf(self, leaf: Leaf) -> list[int]:
        """Ids of one leaf: see `encode_system`."""
        if isinstance(leaf, float):
            return [int(i) + self.float_offset for i in self.encode_floats(leaf)]
        if isinstance(leaf, int):
            return [self.ids[word] for word in ("INT-" if leaf < 0 else "INT+", *str(abs(leaf)))]
        if leaf not in self.ids:
            raise ValueError(f"{leaf!r} is not a word for max_dimension = {self.max_dimension}")
        return [self.ids[leaf]]

    def decode_system(self, ids: Sequence[int] | NDArray[np.int64]) -> System:
        """Inverse of `encode_system`; what follows the second <EOS> is ignored.

        Tokens after a complete tree are ignored too, as in the official decoder. Raises ValueError
        when an <EOS> is missing or a tree is incomplete.
        """
        words = [self.words[i] for i in ids]
        if not words or words[0] != "<EOS>" or "<EOS>" not in words[1:]:
            raise ValueError("ids must start with <EOS> and hold a second <EOS>")
        body = words[1 : words.index("<EOS>", 1)]
        cuts = [-1, *(i for i, word in enumerate(body) if word == "|"), len(body)]
        return [self.parse(body[a + 1 : b]) for a, b in pairwise(cuts)]

    def parse(self, words: Sequence[str]) -> Equation:
        """The first complete prefix tree in `words`, with floats and integers as numbers."""
        equation: Equation = []
        position, missing = 0, 1
        while missing:
            leaf, length = self.parse_leaf(words[position:])
            equation.append(leaf)
            position += length
            missing += ARITY.get(leaf, 0) - 1
        return equation

    def parse_leaf(self, words: Sequence[str]) -> tuple[Leaf, int]:
        """The number or word that `words` starts with, and how many words it takes."""
        if not words:
            raise ValueError("an equation ends before its tree is complete")
        head = words[0]
        if head in ("+", "-"):
            ids = [self.float_ids.get(word, 0) for word in words[:3]]
            return float(self.decode_floats([*ids, 0, 0][:3])), 3
        if head in ("INT+", "INT-"):
            digits = "".join(takewhile(lambda word: re.fullmatch(r"\d", word), words[1:]))
            if not digits:
                raise ValueError(f"{head} is not followed by a digit")
            return int(head[-1] + digits), 1 + len(digits)
        if kind_of(head) not in ("operator", "variable"):
            raise ValueError(f"{head!r} cannot stand in an equation")
        return head, 1


def kind_of(word: str) -> str:
    """The kind of an equation word: one of KINDS."""
    if word in ARITY:
        return "operator"
    return next((kind for kind, form in FORMS.items() if re.fullmatch(form, word)), "other")
