from .single import single_operator
from .tflite import to_tflite

__all__ = ["single_operator", "to_tflite"]
