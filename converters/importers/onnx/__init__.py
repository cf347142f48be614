from .read import OPERATORS, read_onnx

__all__ = ["OPERATORS", "read_onnx"]
