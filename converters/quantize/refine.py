"""Ranges of activations by what the integer graph itself makes of them: one tensor after the other is given each of some ranges, and keeps the
one with which the outputs are closest to the float ones (coordinate search).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ..calibrate import Ranges

Range = tuple[float, float]
# Of a range as it is: clipped more, and less.
FACTORS = (0.8, 0.9, 1.1)
# How far a range is moved, as a share of its width.
SHIFTS = (0.05, 0.1, 0.2)
# In decibels: less is noise of the few samples that it is measured on.
_WORTH = 0.02


def scaled(ranges: Ranges) -> dict[str, list[Range]]:
    """Each range, smaller and larger."""
    return {name: [(low * f, high * f) for f in FACTORS] for name, (low, high) in ranges.items() if low < high}


def shifted(ranges: Ranges, seen: Ranges) -> dict[str, list[Range]]:
    """Ranges that clip, moved towards what they clip, as far as zero stays within.

    Args:
      seen: the smallest and largest values that there were.
    """
    moved: dict[str, list[Range]] = {}
    for name, (low, high) in ranges.items():
        least, most = seen.get(name, (low, high))
        for beyond, room, sign in ((most - high, -low, 1), (low - least, high, -1)):
            for share in SHIFTS:
                by = share * (high - low)
                if 0 < by <= min(room, 2 * beyond):
                    moved.setdefault(name, []).append((low + sign * by, high + sign * by))
    return moved


def refine(
    ranges: Ranges,
    candidates: Mapping[str, Sequence[Range]],
    score: Callable[[Ranges], Sequence[float]],
    progress: Callable[[int, int], None] | None = None,
) -> Ranges:
    """The best of the candidates for each tensor, those of the tensors before it being chosen already.

    Args:
      ranges: to begin with; not changed.
      candidates: other ranges, by tensor.
      score: how close the outputs are with such ranges, in decibels, on each of some parts of the samples. Every part must gain: what a few samples
        gain alone is chance.
      progress: called with (tensors done, tensors in all).
    """
    best = dict(ranges)
    most = score(best)
    names = [n for n in ranges if n in candidates]
    for i, name in enumerate(names):
        for candidate in dict.fromkeys(candidates[name]):
            if candidate in (best[name], ranges[name]):
                continue
            now = score({**best, name: candidate})
            gains = [a - b for a, b in zip(now, most)]
            gain, error = float(np.mean(gains)), float(np.std(gains) / max(1, len(gains) - 1) ** 0.5)
            if gain > max(_WORTH, error):
                best[name], most = candidate, now
        if progress:
            progress(i + 1, len(names))
    return best
