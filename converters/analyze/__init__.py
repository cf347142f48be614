"""What a conversion lost, where, and what would help. `compare` is for two models; `measure` for a graph while it is made."""

from .compare import Comparison, LayerReport, by_harm, compare
from .measure import Quality, quality

__all__ = ["Comparison", "LayerReport", "Quality", "by_harm", "compare", "quality"]
