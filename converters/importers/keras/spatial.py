"""Layers that work on the dimensions between batch and channels: pooling, padding, cropping, scaling. All have the channels last here.

Semantics: keras.io/api/layers/pooling_layers and reshaping_layers.
"""

from __future__ import annotations

from typing import Any

from .. import windows
from ..emit import UnsupportedUseError
from ..functions import choose
from .layer import Handler, Layer


def _pool(average: bool) -> Handler:
    def apply(layer: Layer) -> str:
        e, dims = layer.emitter, layer.emitter.rank(layer.x) - 2
        kernel, one = layer.spatial("pool_size", dims, 2), [1] * dims
        strides = layer.spatial("strides", dims, kernel)
        sizes = e.shape(layer.x)[1:-1]
        same = str(layer.get("padding", "valid")).lower() == "same"
        pads = windows.same(sizes, kernel, strides, one) if same else [(0, 0)] * dims
        out = windows.outputs(sizes, kernel, strides, one, pads)
        if any(n < 1 for n in out):
            raise UnsupportedUseError(f"windows of {kernel} do not fit into {list(sizes)}")
        pool = windows.average_pool if average else windows.max_pool
        return pool(e, layer.x, kernel, strides, one, pads, out)

    return apply


def _global(op: str) -> Handler:
    def apply(layer: Layer) -> str:
        axes = list(range(1, layer.emitter.rank(layer.x) - 1))
        return layer.emitter.reduce(op, layer.x, axes, bool(layer.get("keepdims", False)))

    return apply


def average_of_steps(layer: Layer) -> str:
    """The mean over time, of the steps that count."""
    if not layer.mask:
        result = _global("MEAN")(layer)
        assert isinstance(result, str)
        return result
    e, keep = layer.emitter, bool(layer.get("keepdims", False))
    steps = e.reshape(layer.mask, (*e.shape(layer.mask), 1))
    total = e.reduce("SUM", choose(e, steps, layer.x, e.like(0, layer.x)), [1], keep)
    count = e.reduce("SUM", e.cast(steps, "float32"), [1], keep)
    return e.binary("MUL", total, e.op("DIV", [e.like(1, count), count], shape=e.shape(count)))


def _pairs(value: Any, dims: int) -> list[tuple[int, int]]:
    """What padding and cropping take: a number, one for each dimension, or two."""
    if isinstance(value, int):
        return [(value, value)] * dims
    if dims == 1 and len(value) == 2 and all(isinstance(v, int) for v in value):
        return [(int(value[0]), int(value[1]))]
    pairs = [(int(v), int(v)) if isinstance(v, int) else (int(v[0]), int(v[1])) for v in value]
    if len(pairs) != dims or any(p < 0 for both in pairs for p in both):
        raise UnsupportedUseError(f"{value} are no sizes for {dims} dimensions")
    return pairs


def zero_padding(layer: Layer) -> str:
    e = layer.emitter
    pairs = _pairs(layer.get("padding", 1), e.rank(layer.x) - 2)
    return e.pad(layer.x, [0, *(p[0] for p in pairs), 0], [0, *(p[1] for p in pairs), 0])


def cropping(layer: Layer) -> str:
    e, x = layer.emitter, layer.x
    for i, (before, after) in enumerate(_pairs(layer.get("cropping", 1), e.rank(x) - 2), 1):
        left = e.shape(x)[i] - before - after
        if left < 1:
            raise UnsupportedUseError(f"cropping {before} and {after} of {e.shape(x)[i]} leaves nothing")
        x = e.slice(x, i, before, left)
    return x


def _resize(layer: Layer, x: str, size: list[int], mode: str) -> str:
    known = {"nearest": "RESIZE_NEAREST_NEIGHBOR", "bilinear": "RESIZE_BILINEAR"}
    if mode not in known:
        raise UnsupportedUseError(f'interpolation "{mode}" is not supported')
    e = layer.emitter
    shape = (e.shape(x)[0], *size, e.shape(x)[3])
    return e.op(known[mode], [x, e.ints(size, "size")], shape=shape, align_corners=False, half_pixel_centers=True)


def up_sampling(layer: Layer) -> str:
    """Nearest neighbours one dimension after the other: two of them are a picture."""
    e, x = layer.emitter, layer.x
    dims = e.rank(x) - 2
    size = layer.spatial("size", dims, 2)
    mode = str(layer.get("interpolation", "nearest"))
    if dims == 2:
        return _resize(layer, x, [n * f for n, f in zip(e.shape(x)[1:3], size)], mode)
    if mode != "nearest":
        raise UnsupportedUseError(f'interpolation "{mode}" in {dims} dimensions is not supported')
    for i, f in enumerate(size, 1):
        if f == 1:
            continue
        shape = e.shape(x)
        before, after = shape[: i + 1], shape[i + 1 :]
        wide = e.op(
            "TILE",
            [e.reshape(x, (*before, 1, *after)), e.ints([1] * (i + 1) + [f] + [1] * len(after))],
            shape=(*before, f, *after),
        )
        x = e.reshape(wide, (*shape[:i], shape[i] * f, *after))
    return x


def resizing(layer: Layer) -> str:
    if layer.get("crop_to_aspect_ratio", False) or layer.get("pad_to_aspect_ratio", False) or layer.get("antialias", False):
        raise UnsupportedUseError("keeping the aspect ratio, and antialiasing, are not supported")
    return _resize(
        layer, layer.x, [int(layer.config["height"]), int(layer.config["width"])], str(layer.get("interpolation", "bilinear"))
    )


def center_crop(layer: Layer) -> str:
    e, x = layer.emitter, layer.x
    for i, wanted in ((1, int(layer.config["height"])), (2, int(layer.config["width"]))):
        size = e.shape(x)[i]
        if wanted > size:
            raise UnsupportedUseError(f"a crop of {wanted} of {size} would have to be enlarged")
        x = e.slice(x, i, (size - wanted) // 2, wanted)
    return x


# Those that have an attribute data_format, with what is done for channels_first around them.
HANDLERS: dict[str, Handler] = {
    **{f"{kind}Pooling{d}D": _pool(kind == "Average") for kind in ("Max", "Average") for d in (1, 2, 3)},
    **{f"GlobalAveragePooling{d}D": _global("MEAN") for d in (2, 3)},
    "GlobalAveragePooling1D": average_of_steps,
    **{f"GlobalMaxPooling{d}D": _global("REDUCE_MAX") for d in (1, 2, 3)},
    **{f"ZeroPadding{d}D": zero_padding for d in (1, 2, 3)},
    **{f"Cropping{d}D": cropping for d in (1, 2, 3)},
    **{f"UpSampling{d}D": up_sampling for d in (1, 2, 3)},
    "Resizing": resizing, "CenterCrop": center_crop,
}  # fmt: skip
