"""Resize and Upsample: by TFLite's operators where they mean the same, else as a product along each dimension.

Semantics: onnx.ai/onnx/operators/onnx__Resize.html.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..emit import Emitter, UnsupportedUseError
from ..windows import to_first, to_last
from .node import Handler, OnnxNode


def resize(e: Emitter, n: OnnxNode) -> str:
    x = n.get(0)
    rank, shape = e.rank(x), e.shape(x)
    axes = [a % rank for a in n.attr("axes", range(rank))]
    first = 1 if n.opset <= 10 else 2  # opset 11 put the region of interest before the scales
    sizes = [int(s) for s in n.constant(3, "sizes").reshape(-1)] if n.opset > 10 and n.has(3) else []
    scales = [float(s) for s in n.constant(first, "scales").reshape(-1)] if n.has(first) and not sizes else []
    if not sizes and not scales:
        scales = [float(s) for s in n.attr("scales", [])]
    out, factor = list(shape), [1.0] * rank
    policy = n.attr("keep_aspect_ratio_policy", "stretch")
    if sizes and policy != "stretch":
        ratios = [s / shape[a] for a, s in zip(axes, sizes)]
        ratio = min(ratios) if policy == "not_larger" else max(ratios)
        sizes = [int(np.floor(shape[a] * ratio + 0.5)) for a in axes]
    for i, a in enumerate(axes):
        out[a] = sizes[i] if sizes else int(np.floor(shape[a] * scales[i]))
        factor[a] = sizes[i] / shape[a] if sizes else scales[i]
    if sizes and policy != "stretch":
        for a in axes:
            factor[a] = ratio
    mode = n.attr("mode", "nearest")
    # Opset 10 and Upsample measure from the corner.
    coordinates = n.attr("coordinate_transformation_mode", "half_pixel" if n.opset > 10 and n.op == "Resize" else "asymmetric")
    region = n.constant(1, "region of interest").reshape(2, -1) if coordinates == "tf_crop_and_resize" else None
    if tuple(out) == shape and region is None:
        return x
    moved = [a for a in range(rank) if out[a] != shape[a] or (region is not None and a in axes)]
    fast = _builtin(n, mode, coordinates, rank, moved, shape, out, factor)
    if fast is not None:
        op, attrs = fast
        y = to_last(e, x)
        size = (out[0], out[2], out[3], out[1])
        return to_first(e, e.op(op, [y, e.ints((out[2], out[3]), "size")], shape=size, **attrs))
    for a in moved:
        where = _coordinates(coordinates, shape[a], out[a], factor[a], None if region is None else region[:, axes.index(a)])
        if mode == "nearest":
            x = e.gather(
                x,
                np.clip(
                    _round(where, n.attr("nearest_mode", "round_prefer_floor" if n.opset > 10 else "floor")), 0, shape[a] - 1
                ),
                a,
            )
            if region is not None and np.any((where < 0) | (where > shape[a] - 1)):
                raise UnsupportedUseError("a region outside of the picture is not supported with nearest")
            continue
        matrix, outside = _matrix(n, mode, where, shape[a], factor[a]), None
        if region is not None:
            outside = (where < 0) | (where > shape[a] - 1)
            matrix[outside] = 0
        order = [i for i in range(rank) if i != a] + [a]
        y = e.dense(e.transpose(x, order), e.const(matrix.astype(np.float32), name="interpolation"))
        if outside is not None and outside.any():
            y = e.binary("ADD", y, e.const((outside * float(n.attr("extrapolation_value", 0.0))).astype(np.float32)))
        x = e.transpose(y, list(np.argsort(order)))
    return x


def _builtin(
    n: OnnxNode, mode: str, coordinates: str, rank: int, moved: list[int], shape: Any, out: list[int], factor: list[float]
) -> tuple[str, dict[str, Any]] | None:
    """RESIZE_BILINEAR or RESIZE_NEAREST_NEIGHBOR, where all outputs come from the same places with the same weights."""
    if rank != 4 or not set(moved) <= {2, 3} or mode not in ("nearest", "linear") or n.attr("antialias", 0):
        return None
    attrs = {"align_corners": coordinates == "align_corners", "half_pixel_centers": coordinates == "half_pixel"}
    for a in (2, 3):
        where = _coordinates(coordinates, shape[a], out[a], factor[a], None)
        ratio = (shape[a] - 1) / max(1, out[a] - 1) if attrs["align_corners"] else shape[a] / out[a]
        steps = np.arange(out[a])
        there = (steps + 0.5) * ratio - (0.5 if mode == "linear" else 0.0) if attrs["half_pixel_centers"] else steps * ratio
        if mode == "linear":
            if not np.allclose(np.clip(where, 0, shape[a] - 1), np.clip(there, 0, shape[a] - 1), atol=1e-6):
                return None
            continue
        mine = np.clip(_round(where, n.attr("nearest_mode", "round_prefer_floor" if n.opset > 10 else "floor")), 0, shape[a] - 1)
        # TFLite rounds to the nearest with aligned corners, and down otherwise.
        theirs = np.floor(there + 0.5) if attrs["align_corners"] else np.floor(there)
        if not np.array_equal(mine, np.clip(theirs, 0, shape[a] - 1)):
            return None
    return ("RESIZE_BILINEAR" if mode == "linear" else "RESIZE_NEAREST_NEIGHBOR"), attrs


def _coordinates(mode: str, size: int, out: int, factor: float, region: NDArray[Any] | None) -> NDArray[np.float64]:
    """Where each output lies in the input."""
    i = np.arange(out, dtype=np.float64)
    if mode == "half_pixel":
        return np.asarray((i + 0.5) / factor - 0.5)
    if mode == "pytorch_half_pixel":
        return np.asarray((i + 0.5) / factor - 0.5) if out > 1 else np.zeros(1)
    if mode == "half_pixel_symmetric":
        # A scale that does not fill a whole number of pixels leaves equal margins.
        adjust = out / (factor * size)
        return np.asarray(size / 2 * (1 - adjust) + (i + 0.5) / factor - 0.5)
    if mode == "align_corners":
        length = factor * size
        return np.asarray(i * (size - 1) / (length - 1)) if length != 1 else np.zeros(out)
    if mode == "asymmetric":
        return np.asarray(i / factor)
    if mode == "tf_crop_and_resize" and region is not None:
        start, end = (float(v) for v in region)
        if out == 1:
            return np.full(1, 0.5 * (start + end) * (size - 1))
        return np.asarray(start * (size - 1) + i * (end - start) * (size - 1) / (out - 1))
    raise UnsupportedUseError(f'the coordinates "{mode}" are not supported')


def _round(where: NDArray[np.float64], mode: str) -> NDArray[np.int64]:
    if mode == "floor":
        return np.floor(where + 1e-9).astype(np.int64)
    if mode == "ceil":
        return np.ceil(where - 1e-9).astype(np.int64)
    if mode == "round_prefer_ceil":
        return np.floor(where + 0.5 + 1e-9).astype(np.int64)
    return np.ceil(where - 0.5 - 1e-9).astype(np.int64)


def _matrix(n: OnnxNode, mode: str, where: NDArray[np.float64], size: int, factor: float) -> NDArray[np.float64]:
    """Weights of the inputs in each output, [out, in]."""
    shrink = min(1.0, factor) if n.attr("antialias", 0) else 1.0
    support = (2 if mode == "cubic" else 1) / shrink
    a = float(n.attr("cubic_coeff_a", -0.75))
    matrix = np.zeros((len(where), size))
    for row, x in enumerate(where):
        low = int(np.floor(x - support)) + 1
        places = np.arange(low, int(np.floor(x + support)) + 1)
        d = np.abs(x - places) * shrink
        if mode == "cubic":
            weights = np.where(d <= 1, ((a + 2) * d - (a + 3)) * d * d + 1, np.where(d < 2, (((d - 5) * d + 8) * d - 4) * a, 0.0))
        elif mode == "linear":
            weights = np.maximum(0, 1 - d)
        else:
            raise UnsupportedUseError(f'the mode "{mode}" is not supported')
        if n.attr("exclude_outside", 0) or n.attr("antialias", 0):
            weights = weights * ((places >= 0) & (places < size))
        weights = weights / weights.sum()
        np.add.at(matrix[row], np.clip(places, 0, size - 1), weights)
    return matrix


HANDLERS: dict[str, Handler] = {"Resize": resize, "Upsample": resize}
