from .data import Samples, load_classes, load_samples, samples_from, spread
from .observers import OBSERVERS, MinMax, Observer, Several
from .run import Ranges, calibrate

__all__ = [
    "OBSERVERS",
    "MinMax",
    "Observer",
    "Ranges",
    "Samples",
    "Several",
    "calibrate",
    "load_classes",
    "load_samples",
    "samples_from",
    "spread",
]
