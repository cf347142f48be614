"""edgert: a runtime for quantized neural networks on edge devices.

`from edgert import Interpreter` replaces tflite_runtime's; `edgert.load(path)` is the short way.
"""

from __future__ import annotations

import os.path

if not os.path.exists(os.path.join(os.path.dirname(__file__), "binding", "_edgert_cffi.py")):
    # The source tree: what is built (the library, cffi's description of it) and edgert.converters come from where edgert
    # is installed, so that Python also works with the checkout as current folder.
    from pkgutil import extend_path

    __path__ = extend_path(__path__, __name__)

from .custom import custom_op
from .errors import (
    ConversionError,
    DataError,
    EdgertError,
    MissingExtraError,
    ModelError,
    UnsupportedError,
)
from .interpreter import Interpreter, SignatureRunner
from .model import Model, load

__version__ = "0.1.0"

__all__ = [
    "ConversionError",
    "DataError",
    "EdgertError",
    "Interpreter",
    "MissingExtraError",
    "Model",
    "ModelError",
    "SignatureRunner",
    "UnsupportedError",
    "custom_op",
    "load",
]
