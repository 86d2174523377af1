"""Detectors for streams of single numbers, such as an error or a share a minute.

They keep a few numbers and no stream. Feed each value to `update`, which says whether the level has
changed; after it has, the detector goes on from the new level.
"""

import math
from dataclasses import dataclass


class PageHinkley:
    """Sums how far values lie above or below their mean, less a tolerance; alarms on a long climb.

    Source: Page, Biometrika 41, 1954; Hinkley, Biometrika 58, 1971; in the form of Gama et al.,
    "A survey on concept drift adaptation", 2014, section 3.2.1.
    """

    def __init__(
        self, *, tolerance: float = 0.005, threshold: float = 50.0, least: int = 30,
        alpha: float = 0.9999,
    ) -> None:  # fmt: skip
        """How sensitive it is.

        Args:
            tolerance: change of a value that is no drift, in its unit.
            threshold: sum of changes from which it alarms.
            least: values before it may.
            alpha: how much of the sum stays at each value, in (0, 1].
        """
        self._tolerance, self._threshold = tolerance, threshold
        self._least, self._alpha = least, alpha
        self.age = 0
        """Of the change that was found last: values since it began, the alarming one included."""
        self._begin()

    def _begin(self) -> None:
        self._count, self._mean = 0, 0.0
        self._up = self._lowest = self._down = self._highest = 0.0
        self._since_lowest = self._since_highest = 0

    def update(self, value: float) -> bool:
        """Whether the level has changed with this value. A value that is no number is left out."""
        if not math.isfinite(value):
            return False
        self._count += 1
        self._mean += (value - self._mean) / self._count
        apart = value - self._mean
        self._up = self._alpha * self._up + apart - self._tolerance
        self._down = self._alpha * self._down + apart + self._tolerance
        self._since_lowest += 1
        self._since_highest += 1
        if self._up < self._lowest:
            self._lowest, self._since_lowest = self._up, 0
        if self._down > self._highest:
            self._highest, self._since_highest = self._down, 0
        climbed, fallen = self._up - self._lowest, self._highest - self._down
        if self._count < self._least or max(climbed, fallen) <= self._threshold:
            return False
        # The sum turned where the level did: the usual estimate of the beginning (Hinkley 1971).
        self.age = self._since_lowest if climbed >= fallen else self._since_highest
        self._begin()
        return True


@dataclass(slots=True)
class _Bucket:
    """Sum and spread of 2^row values."""

    total: float
    variance: float


class Adwin:
    """A window that grows while the level holds, and drops its older part when it does not.

    Values lie in rows of buckets of 1, 2, 4 … values, a few a row, so that memory and time grow
    with the logarithm of the window. Every few values it looks for a cut of which the means of
    both sides differ by more than chance allows.

    Source: Bifet & Gavaldà, "Learning from time-changing data with adaptive windowing", SDM 2007:
    ADWIN2 with the bound of section 4.2 and the buckets of section 4.3.
    """

    def __init__(
        self, *, delta: float = 0.002, clock: int = 32, most: int = 5, least: int = 5,
        grace: int = 10,
    ) -> None:  # fmt: skip
        """How sensitive it is.

        Args:
            delta: chance of a false alarm at each look, in (0, 1).
            clock: values between two looks.
            most: buckets a row.
            least: values on each side of a cut.
            grace: values before the first look.
        """
        self._delta, self._clock, self._most = delta, clock, most
        self._least, self._grace = least, grace
        self._rows: list[list[_Bucket]] = [[]]
        self._width, self._total, self._variance, self._seen = 0, 0.0, 0.0, 0

    @property
    def width(self) -> int:
        """Values in the window."""
        return self._width

    @property
    def mean(self) -> float:
        """Their mean."""
        return self._total / self._width if self._width else 0.0

    def update(self, value: float) -> bool:
        """Whether the level has changed with this value. A value that is no number is left out."""
        if not math.isfinite(value):
            return False
        self._seen += 1
        if self._width:
            apart = value - self.mean
            self._variance += self._width * apart * apart / (self._width + 1)
        self._width += 1
        self._total += value
        self._rows[0].append(_Bucket(value, 0.0))
        self._compress()
        if self._seen % self._clock or self._width <= self._grace:
            return False
        changed = False
        while self._cut():
            changed = True
        return changed

    def _compress(self) -> None:
        """Two buckets of a full row become one of the next."""
        at = 0
        while len(self._rows[at]) > self._most:
            first, second = self._rows[at].pop(0), self._rows[at].pop(0)
            size = 1 << at
            apart = first.total / size - second.total / size
            spread = first.variance + second.variance + apart * apart * size / 2
            if at + 1 == len(self._rows):
                self._rows.append([])
            self._rows[at + 1].append(_Bucket(first.total + second.total, spread))
            at += 1

    def _cut(self) -> bool:
        """Look for a cut, from the oldest values on; drop the oldest bucket where there is one."""
        old_size, old_total = 0, 0.0
        for at in range(len(self._rows) - 1, -1, -1):
            for bucket in self._rows[at]:
                old_size += 1 << at
                old_total += bucket.total
                new_size = self._width - old_size
                if new_size < self._least:
                    return False
                apart = old_total / old_size - (self._total - old_total) / new_size
                if old_size >= self._least and abs(apart) > self._bound(old_size, new_size):
                    self._drop_oldest()
                    return True
        return False

    def _bound(self, old_size: int, new_size: int) -> float:
        """How far means may lie apart: the bound of the paper with the window's variance."""
        confidence = math.log(2 * math.log(self._width) / self._delta)
        harmonic = 1 / (old_size - self._least + 1) + 1 / (new_size - self._least + 1)
        variance = self._variance / self._width
        return math.sqrt(2 * harmonic * variance * confidence) + 2 / 3 * confidence * harmonic

    def _drop_oldest(self) -> None:
        row = self._rows[-1]
        bucket, size = row.pop(0), 1 << (len(self._rows) - 1)
        self._width -= size
        self._total -= bucket.total
        apart = bucket.total / size - self.mean
        self._variance -= bucket.variance + size * self._width * apart * apart / (
            self._width + size
        )
        self._variance = max(self._variance, 0.0)
        while len(self._rows) > 1 and not self._rows[-1]:
            self._rows.pop()
