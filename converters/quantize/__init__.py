from .reconstruction import Rounded, reconstruct, run_samples, with_weights
from .static import quantize_static
from .weights import quantize_weights

__all__ = ["Rounded", "quantize_static", "quantize_weights", "reconstruct", "run_samples", "with_weights"]
