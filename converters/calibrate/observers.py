"""Observers: what a tensor's values were, and the range that its integers should cover."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


class Observer(Protocol):
    """Sees every value that a tensor takes during calibration. Needs the same memory for any number of values."""

    def update(self, values: NDArray[Any]) -> None: ...

    def range(self) -> tuple[float, float]:
        """(lowest, highest) real value to represent."""
        ...


class MinMax:
    """The smallest and largest value seen."""

    def __init__(self) -> None:
        self._low, self._high = np.inf, -np.inf

    def update(self, values: NDArray[Any]) -> None:
        if values.size:
            self._low = min(self._low, float(values.min()))
            self._high = max(self._high, float(values.max()))

    def range(self) -> tuple[float, float]:
        return (self._low, self._high) if self._low <= self._high else (0.0, 0.0)


class MovingAverage:
    """Smallest and largest value of a sample, averaged with weights that halve about every seven samples.

    Method: Jacob et al., "Quantization and Training of Neural Networks", 2018, section 3.1.
    """

    _KEEP = 0.9

    def __init__(self) -> None:
        self._range: tuple[float, float] | None = None

    def update(self, values: NDArray[Any]) -> None:
        if not values.size:
            return
        now = float(values.min()), float(values.max())
        if self._range is None:
            self._range = now
        self._range = tuple(self._KEEP * old + (1 - self._KEEP) * new for old, new in zip(self._range, now))  # type: ignore[assignment]

    def range(self) -> tuple[float, float]:
        return self._range or (0.0, 0.0)


class Histogram:
    """How often values fell into each of a fixed number of bins, whose width doubles as larger values come."""

    BINS = 8192  # over [-reach, reach)

    def __init__(self) -> None:
        self._counts = np.zeros(self.BINS, np.int64)
        self._reach = 0.0
        self._ends = MinMax()

    def update(self, values: NDArray[Any]) -> None:
        if not values.size:
            return
        self._ends.update(values)
        low, high = self._ends.range()
        largest = max(abs(low), abs(high))
        if largest > 0 and self._reach == 0:
            self._reach = float(2.0 ** np.ceil(np.log2(largest) + 1e-9))
        while largest >= self._reach > 0:
            half = self.BINS // 2
            merged = self._counts.reshape(half, 2).sum(1)
            self._counts = np.zeros(self.BINS, np.int64)
            self._counts[half // 2 : half // 2 + half] = merged
            self._reach *= 2
        scale = self.BINS / (2 * self._reach) if self._reach else 0.0
        index = np.clip((values.reshape(-1) * np.float32(scale) + np.float32(self.BINS / 2)).astype(np.int64), 0, self.BINS - 1)
        self._counts += np.bincount(index, minlength=self.BINS)

    def _bins(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Centres and counts of the bins that are not empty."""
        used = np.flatnonzero(self._counts)
        width = 2 * self._reach / self.BINS
        centres = (used.astype(np.float64) + 0.5) * width - self._reach
        return centres, self._counts[used].astype(np.float64)

    def range(self) -> tuple[float, float]:
        return self._ends.range()


class Percentile(Histogram):
    """All but the outermost 0.01% of values at either end."""

    _SHARE = 1e-4

    def range(self) -> tuple[float, float]:
        low, high = self._ends.range()
        centres, counts = self._bins()
        if not counts.size:
            return low, high
        total = np.cumsum(counts)
        first = int(np.searchsorted(total, self._SHARE * total[-1]))
        last = int(np.searchsorted(total, (1 - self._SHARE) * total[-1]))
        return max(low, float(centres[first])), min(high, float(centres[min(last, len(centres) - 1)]))


class Mse(Histogram):
    """The range with the least mean squared error of 8-bit values: clipping against rounding.

    Method: Sung et al., "Resiliency of Deep Neural Networks under Quantization", 2015. A range of values of both signs is cut
    at either end separately.
    """

    _CUTS = np.linspace(0.3, 1.0, 36)

    def range(self) -> tuple[float, float]:
        low, high = self._ends.range()
        centres, counts = self._bins()
        low, high = min(low, 0.0), max(high, 0.0)
        if not counts.size or low == high:
            return self._ends.range()
        for _ in range(2):
            if high > 0:
                high = min((self._error(centres, counts, low, h), h) for h in self._CUTS * max(high, 0.0))[1]
            if low < 0:
                low = min((self._error(centres, counts, l, high), l) for l in self._CUTS * low)[1]
        return float(low), float(high)

    @staticmethod
    def _error(centres: NDArray[np.float64], counts: NDArray[np.float64], low: float, high: float) -> float:
        clipped = np.maximum(np.maximum(low - centres, centres - high), 0)
        rounding = ((high - low) / 255) ** 2 / 12
        return float(np.sum(counts * (clipped**2 + np.where(clipped > 0, 0, rounding))))


class Entropy(Histogram):
    """The symmetric cut whose 8-bit histogram is closest to that of the values, by Kullback and Leibler's divergence.

    Method: Migacz, "8-bit Inference with TensorRT", 2017.
    """

    _GROUPS, _LEVELS = 2048, 128

    def range(self) -> tuple[float, float]:
        low, high = self._ends.range()
        if self._reach == 0:
            return low, high
        half = self.BINS // 2
        sizes = self._counts[half:] + self._counts[half - 1 :: -1]
        sizes = sizes.reshape(self._GROUPS, -1).sum(1).astype(np.float64)
        sizes[0] = sizes[1]  # zeros, which every range has, would decide alone
        if not sizes.any():
            return low, high
        last = int(np.flatnonzero(sizes)[-1]) + 1
        best, cut = np.inf, last
        for bins in range(self._LEVELS, last + 1, max(1, last // 128)):
            p = sizes[:bins].copy()
            p[-1] += sizes[bins:].sum()
            edges = np.linspace(0, bins, self._LEVELS + 1).astype(int)
            filled = sizes[:bins] > 0
            level = np.add.reduceat(sizes[:bins], edges[:-1])
            used = np.maximum(np.add.reduceat(filled.astype(np.float64), edges[:-1]), 1)
            q = np.repeat(level / used, np.diff(edges)) * filled
            p, q = p / p.sum(), q / max(q.sum(), 1e-12)
            here = p > 0
            divergence = float(np.sum(p[here] * np.log(p[here] / np.maximum(q[here], 1e-12))))
            if divergence < best:
                best, cut = divergence, bins
        reach = cut * self._reach / self._GROUPS
        return max(low, -reach), min(high, reach)


OBSERVERS: dict[str, type[Observer]] = {
    "min-max": MinMax,
    "moving-average": MovingAverage,
    "percentile": Percentile,
    "mse": Mse,
    "entropy": Entropy,
}


class Several:
    """All of them at once, for a search that tries each: `range` is that of the least mean squared error."""

    def __init__(self) -> None:
        self._all = {name: observer() for name, observer in OBSERVERS.items()}

    def update(self, values: NDArray[Any]) -> None:
        for o in self._all.values():
            o.update(values)

    def range(self) -> tuple[float, float]:
        return self._all["mse"].range()

    def ranges(self) -> list[tuple[float, float]]:
        """Those of all observers."""
        return [o.range() for o in self._all.values()]
