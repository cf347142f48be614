"""What programs for tflite_runtime import besides `Interpreter`: edgert has one set of kernels, with the reference's results, and no delegates."""

from __future__ import annotations

import enum
from typing import Any, NoReturn


class OpResolverType(enum.Enum):
    """The kernels to run, as tflite_runtime numbers them. All give the same results here: those of BUILTIN_REF."""

    AUTO = 0
    BUILTIN = 1
    BUILTIN_REF = 2
    BUILTIN_WITHOUT_DEFAULT_DELEGATES = 3


def check_resolver(resolver: Any) -> None:
    """Raises ValueError unless `resolver` is an OpResolverType: ours, or the one of tflite_runtime, LiteRT or TensorFlow."""
    if not (isinstance(resolver, enum.Enum) and resolver.name in OpResolverType.__members__):
        raise ValueError(f"experimental_op_resolver_type is {resolver!r}, expected a member of OpResolverType")


def load_delegate(library: str, options: dict[Any, Any] | None = None) -> NoReturn:
    """Says that there are no delegates.

    Raises:
      ValueError: always; it is what tflite_runtime documents for a delegate that cannot be loaded, upon which programs run on the CPU.
    """
    raise ValueError(f"Failed to load delegate from {library}: edgert runs models on the CPU and has no delegates")
