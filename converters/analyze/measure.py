"""How close the outputs of a graph are to those of its float original."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..calibrate import spread
from ..ir import Graph
from ..quantize.reconstruction import Sample, run_samples

# Decibels that stand for "no difference".
PERFECT = 200.0


@dataclass(frozen=True)
class Quality:
    """Of the outputs: the signal to quantization noise ratio in decibels, that of the worst output; the share of samples (of places, where
    the first output is a map or a sequence) whose largest value of the first output stays where it was; and with labels the share of samples that is
    right, before and after.
    """

    sqnr: float
    agreement: float
    accuracy: float | None = None
    float_accuracy: float | None = None

    @property
    def accuracies(self) -> str:
        """Both accuracies as the end of a sentence, nothing where there are no labels."""
        return "" if self.accuracy is None else f", accuracy {self.accuracy:.4f} (float {self.float_accuracy:.4f})"

    @property
    def drop(self) -> float:
        """What was lost, in points of a hundred: of accuracy, or where there are no labels of agreement."""
        if self.accuracy is None or self.float_accuracy is None:
            return 100 * (1 - self.agreement)
        return 100 * (self.float_accuracy - self.accuracy)


def decibels(signal: float, noise: float) -> float:
    """10 log10(signal / noise), within what can be told."""
    if noise <= 0:
        return PERFECT
    if not np.isfinite(noise):
        return -PERFECT
    return float(np.clip(10 * np.log10(max(signal, 1e-300) / noise), -PERFECT, PERFECT))


class Reference:
    """The outputs of the float graph, computed once; compares graphs with the same outputs in the same order."""

    def __init__(self, graph: Graph, samples: Iterable[Sample], labels: NDArray[np.int64] | None = None) -> None:
        self.samples = list(samples)
        self.labels = labels
        self.outputs = self._run(graph)

    def _run(self, graph: Graph) -> list[list[NDArray[np.float32]]]:
        return [[v.copy() for v in values] for values in run_samples(graph, self.samples, graph.outputs)]

    def quality(self, graph: Graph) -> Quality:
        return self._of(self._run(graph))

    def parts(self, graph: Graph, count: int) -> list[float]:
        """The signal to noise ratio on every count-th sample, beginning with each of the first."""
        found = self._run(graph)
        return [_ratio(self.outputs[i::count], found[i::count]) for i in range(min(count, len(found)))]

    def _of(self, found: Sequence[Sequence[NDArray[np.float32]]]) -> Quality:
        worst = _ratio(self.outputs, found)
        expected, got = (
            np.array([int(np.argmax(s[0])) if s[0].size else -1 for s in outputs]) for outputs in (self.outputs, found)
        )
        places = [
            (np.argmax(s[0], -1), np.argmax(f[0].reshape(s[0].shape), -1))
            for s, f in zip(self.outputs, found)
            if s[0].ndim and s[0].size and s[0].size == f[0].size
        ]
        agreement = float(np.mean([np.mean(a == b) for a, b in places])) if places else 1.0
        if self.labels is None or len(self.labels) != len(got):
            return Quality(worst, agreement)
        return Quality(worst, agreement, float(np.mean(got == self.labels)), float(np.mean(expected == self.labels)))


def _ratio(expected: Sequence[Sequence[NDArray[np.float32]]], found: Sequence[Sequence[NDArray[np.float32]]]) -> float:
    """Signal to noise in decibels, of the output that has the least. An output with another number of values than expected, as a WHERE can
    have, is all noise."""
    worst = PERFECT
    for i in range(len(expected[0]) if expected else 0):
        signal = noise = 0.0
        for s, f in zip(expected, found):
            power = float(np.sum(np.square(s[i], dtype=np.float64)))
            signal += power
            same = s[i].size == f[i].size
            noise += float(np.sum(np.square(s[i].astype(np.float64) - f[i].reshape(s[i].shape)))) if same else power
        worst = min(worst, decibels(signal, noise))
    return worst


def quality(float_graph: Graph, graph: Graph, samples: Iterable[Sample], labels: NDArray[np.int64] | None = None) -> Quality:
    """How close `graph` is to `float_graph` on some samples."""
    return Reference(float_graph, samples, labels).quality(graph)


def some(samples: Iterable[Sample], most: int) -> list[Sample]:
    """At most so many of the samples, from all over."""
    every = list(samples)
    return [every[i] for i in np.arange(len(every))[spread(len(every), most)]]
