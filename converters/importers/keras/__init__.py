from .build import LAYERS, read_keras

__all__ = ["LAYERS", "read_keras"]
