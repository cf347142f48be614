"""What differential.py and converted.py have in common: an interpreter's answers, and how far two of them are apart."""

from __future__ import annotations

from typing import Any

import numpy as np


def answers(interpreter: Any, inputs: list[np.ndarray]) -> list[np.ndarray]:
    """Of edgert's interpreter or LiteRT's, allocated."""
    for d, x in zip(interpreter.get_input_details(), inputs):
        interpreter.set_tensor(d["index"], x)
    interpreter.invoke()
    return [interpreter.get_tensor(d["index"]) for d in interpreter.get_output_details()]


def difference(
    got: list[np.ndarray], expected: list[np.ndarray], relative: float, absolute: float, least: float, most: float = np.inf
) -> str:
    """How they differ; "" where integers are equal, and floats close: by `relative` of the number, or `absolute` of the largest, which counts as `least`
    where it is less. From a largest of `most` on floats are not compared."""
    for a, b in zip(got, expected):
        if a.shape != b.shape or a.dtype != b.dtype:
            return f"{a.dtype} {list(a.shape)}, not {b.dtype} {list(b.shape)}"
        if b.dtype.kind in "fc":
            largest = float(np.abs(b).max(initial=least, where=np.isfinite(b)))
            if largest < most and not np.allclose(a, b, rtol=relative, atol=absolute * largest, equal_nan=True):
                return f"up to {np.nanmax(np.abs(a - b)):.3g} of {largest:.3g}"
        elif not np.array_equal(a, b):
            return f"{np.count_nonzero(a != b)} of {a.size} values"
    return ""
