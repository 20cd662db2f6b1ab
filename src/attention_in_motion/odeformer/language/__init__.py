"""Equations as lists of words: their vocabulary, and the algebra on them."""
