"""Pictures to model input: load, turn, crop, resize, and quantize by table, without a float copy of the picture."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, MissingExtraError
from ..files import reading
from .quantize import quantize

_RESAMPLING = {"nearest": 0, "bilinear": 2, "bicubic": 3, "lanczos": 1}  # Pillow's numbers


@dataclass(frozen=True)
class ImageOptions:
    """How a picture becomes an input.

    mean, std: (value - mean) / std on 0..255, one number or one a channel; None: what the model's metadata says, else
      raw pixels for integer inputs, and 127.5 and 127.5 for float ones.
    crop: share of the picture that is kept, from its centre, 0 < crop <= 1, after cutting it to the input's aspect
      ratio; None: the whole picture is squeezed.
    rotate: degrees counterclockwise, a multiple of 90.
    bgr: the model wants blue first.
    resampling: nearest, bilinear, bicubic or lanczos; all but nearest with antialiasing.
    """

    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    crop: float | None = 0.875
    rotate: int = 0
    bgr: bool = False
    resampling: str = "bilinear"


def _pillow() -> Any:
    try:
        from PIL import Image
    except ImportError:
        raise MissingExtraError("Pillow", "image", "reading or resizing a picture") from None
    return Image


def load_image(source: Any, channels: int = 3) -> NDArray[np.uint8]:
    """A picture as uint8 [height, width, channels].

    Args:
      source: a file name, a PIL image, or an array of uint8: [height, width] or [height, width, 1, 3 or 4].
      channels: 1 (grey) or 3 (RGB).

    Raises:
      DataError: the file is no picture, or the array has no such shape.
    """
    if channels not in (1, 3):
        raise DataError(f"pictures have 1 or 3 channels, the model's input has {channels}")
    if isinstance(source, np.ndarray):
        return _array_image(source, channels)
    image_module = _pillow()
    if isinstance(source, (str, os.PathLike)):
        from PIL import ImageOps

        with reading(source, "a picture"), image_module.open(source) as opened:
            # The orientation that the camera noted.
            source = ImageOps.exif_transpose(opened).convert("L" if channels == 1 else "RGB")
    elif not hasattr(source, "convert"):
        raise DataError(f"a picture is a file name, a PIL image or a uint8 array, not {type(source).__name__}")
    pixels = np.asarray(source.convert("L" if channels == 1 else "RGB"), np.uint8)
    return pixels[..., None] if channels == 1 else pixels


def _array_image(array: NDArray[Any], channels: int) -> NDArray[np.uint8]:
    if array.ndim == 2:
        array = array[..., None]
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] not in (1, 3, 4) or not array.size:
        raise DataError(f"a picture as an array is uint8 [height, width, channels], not {array.dtype} {list(array.shape)}")
    pixels = array[..., :3]
    if pixels.shape[2] == channels:
        return pixels
    if channels == 3:
        return np.repeat(pixels, 3, axis=2)
    # ITU-R 601 luma with 16-bit weights, as Pillow's convert("L").
    r, g, b = (pixels[..., i].astype(np.uint32) for i in range(3))
    return ((r * 19595 + g * 38470 + b * 7471 + 0x8000) >> 16).astype(np.uint8)[..., None]


def resize_to(pixels: NDArray[np.uint8], size: tuple[int, int], resampling: str = "bilinear") -> NDArray[np.uint8]:
    """The picture resized to (height, width), with antialiasing when it shrinks."""
    if pixels.shape[:2] == size:
        return pixels
    if resampling not in _RESAMPLING:
        raise DataError(f'there is no resampling "{resampling}"; known are {", ".join(_RESAMPLING)}')
    image_module = _pillow()
    image = image_module.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    resized = np.asarray(image.resize((size[1], size[0]), _RESAMPLING[resampling]))
    return resized[..., None] if resized.ndim == 2 else resized


def prepare_image(pixels: NDArray[np.uint8], size: tuple[int, int], options: ImageOptions) -> NDArray[np.uint8]:
    """Turned, cropped, resized to (height, width), channels in the model's order; still uint8."""
    if options.rotate % 90:
        raise DataError(f"pictures can be rotated by multiples of 90 degrees, not by {options.rotate}")
    pixels = np.rot90(pixels, options.rotate // 90 % 4)
    if options.crop is not None:
        if not 0 < options.crop <= 1:
            raise DataError(f"crop is the share of the picture to keep, above 0 and up to 1, not {options.crop}")
        h, w = pixels.shape[:2]
        scale = min(h / size[0], w / size[1]) * options.crop
        ch, cw = max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
        top, left = (h - ch) // 2, (w - cw) // 2
        pixels = pixels[top : top + ch, left : left + cw]
    pixels = resize_to(np.ascontiguousarray(pixels), size, options.resampling)
    return pixels[..., ::-1] if options.bgr and pixels.shape[2] == 3 else pixels


def image_to_input(source: Any, detail: dict[str, Any], options: ImageOptions | None = None) -> NDArray[Any]:
    """A picture in the type and shape of an input.

    Each of the 256 values of a channel is normalized and quantized once; the picture itself only goes through that table.

    Args:
      source: as `load_image` takes it.
      detail: the input, as `get_input_details` describes it: shape [1, height, width, 1 or 3].
      options: see there. The caller fills in mean and std of the model's metadata.
    """
    options = options or ImageOptions()
    shape = tuple(int(n) for n in detail["shape"])
    if len(shape) != 4 or shape[0] != 1:
        raise DataError(
            f'input "{detail["name"]}" has the shape {list(shape)}, which is not that of one picture, [1, height, width, channels]'
        )
    pixels = prepare_image(load_image(source, shape[3]), shape[1:3], options)
    table = _tables(detail, options, shape[3])
    if len(table) == 1:
        looked_up: NDArray[Any] = table[0][pixels][None]
        return looked_up
    return np.stack([table[c][pixels[..., c]] for c in range(shape[3])], axis=-1)[None]


def _tables(detail: dict[str, Any], options: ImageOptions, channels: int) -> NDArray[Any]:
    """What each raw value becomes: [1 or channels, 256]."""
    raw = np.arange(256, dtype=np.float32)
    dtype = np.dtype(detail["dtype"])
    mean, std = options.mean, options.std
    if mean is None or std is None:
        if dtype == np.uint8:
            return raw.astype(np.uint8)[None]
        if dtype == np.int8:
            return (raw - 128).astype(np.int8)[None]
        mean, std = (127.5,), (127.5,)
    if len(mean) not in (1, channels) or len(std) not in (1, channels):
        raise DataError(f"mean has {len(mean)} and std {len(std)} numbers, the input has {channels} channels")
    real = (raw[None] - np.array(mean, np.float32)[:, None]) / np.array(std, np.float32)[:, None]
    return quantize(real, detail)
