"""How far weighted sums of noise reach: what intervals are made of.

Noise on whole numbers is treated as continuous here, which serves where its scale is far above 1.
"""

import math
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from strongroom.engines.privacy.dp.mechanisms import Noise

if TYPE_CHECKING:
    from numpy.typing import NDArray

_APART = 1e-3
"""Weights that are closer than this share are moved apart, upward: the sum reaches farther."""
_STEPS = 6


def reach(
    noise: Noise, scale: float, weights: "NDArray[np.float64]", miss: float
) -> "NDArray[np.float64]":
    """What `|sum of weight * noise|` exceeds with chance `miss`.

    Args:
        weights: of shape (sums, terms), three terms at most; each has noise of its own.

    Returns: one number for each sum.
    """
    sizes = np.abs(weights)
    if noise is Noise.GAUSSIAN:
        return np.asarray(
            scale * NormalDist().inv_cdf(1 - miss / 2) * np.sqrt((sizes**2).sum(axis=1))
        )
    return scale * _laplace_reach(sizes, miss)


def _laplace_reach(sizes: "NDArray[np.float64]", miss: float) -> "NDArray[np.float64]":
    """The same for Laplace noise of scale 1.

    A sum of Laplace variables with different scales is a mixture of such variables by partial
    fractions of its characteristic function, the product of `1 / (1 + (weight * t)**2)`; so its
    tail is a sum of exponentials (Kotz, Kozubowski & Podgorski 2001, section 2.2).
    """
    largest = np.maximum(sizes.max(axis=1, keepdims=True), 1e-300)
    ordered = np.sort(sizes / largest, axis=1)
    ordered[:, 0] = np.maximum(ordered[:, 0], _APART)
    ordered[:, -1] = 1  # as it is, unless all weights are 0
    for at in range(1, ordered.shape[1]):
        ordered[:, at] = np.maximum(ordered[:, at], ordered[:, at - 1] * (1 + _APART))
    squares = ordered**2
    shares = np.ones_like(squares)
    for at in range(squares.shape[1]):
        for other in range(squares.shape[1]):
            if other != at:
                shares[:, at] *= squares[:, at] / (squares[:, at] - squares[:, other])
    # The largest term alone reaches -log(miss). From there on Newton's steps, on the logarithm of
    # the tail, which is nearly straight.
    found = np.full((len(sizes), 1), -math.log(miss))
    for _ in range(_STEPS):
        parts = shares * np.exp(-found / ordered)
        tail = parts.sum(axis=1, keepdims=True)
        found += np.log(tail / miss) * tail / (parts / ordered).sum(axis=1, keepdims=True)
    return np.asarray((found * largest)[:, 0])


def many_reach(noise: Noise, scale: float, weight: float, terms: int, miss: float) -> float:
    """What a sum of noises, none weighted by more than `weight`, exceeds with chance `miss`.

    One side only. For Laplace noise by Chernoff's bound, whose moment generating function is
    `1 / (1 - (weight * scale * x)**2)` for each term.
    """
    if noise is Noise.GAUSSIAN:
        return scale * weight * math.sqrt(terms) * NormalDist().inv_cdf(1 - miss)
    points = np.linspace(0.001, 0.999, 999)
    bounds = (-math.log(miss) - terms * np.log1p(-(points**2))) / points
    return scale * weight * float(bounds.min())
