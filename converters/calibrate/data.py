"""Where calibration data comes from: arrays in files, or folders of pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgert.errors import DataError

PICTURES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif"}


@dataclass(frozen=True)
class Samples:
    """Samples for a model with one input, or with several: `arrays` has one array an input, samples along axis 0."""

    arrays: tuple[NDArray[Any], ...] = ()
    pictures: tuple[Path, ...] = ()
    shape: tuple[int, ...] = ()
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)

    def __len__(self) -> int:
        return len(self.pictures) if self.pictures else len(self.arrays[0]) if self.arrays else 0

    def __iter__(self) -> Iterator[tuple[NDArray[np.float32], ...]]:
        mean, std = np.array(self.mean, np.float32), np.array(self.std, np.float32)
        if self.pictures:
            from edgert.preprocess import load_image, resize_to

            _, h, w, c = self.shape
            for path in self.pictures:
                image = resize_to(load_image(path, channels=c), (h, w))
                yield ((image.astype(np.float32)[None] - mean) / std,)
            return
        for i in range(len(self)):
            yield tuple((a[i : i + 1].astype(np.float32) - mean) / std for a in self.arrays)


def load_samples(
    spec: str,
    shapes: list[tuple[int, ...]],
    *,
    mean: tuple[float, ...] = (0.0,),
    std: tuple[float, ...] = (1.0,),
    limit: int | None = None,
    channels_first: Sequence[bool] = (),
) -> Samples:
    """Samples from a file or folder.

    Args:
      spec: `FILE.npy`, `FILE.npz:KEY` (several inputs: `FILE.npz:KEY1,KEY2`), or a folder of pictures.
      shapes: the shapes of the model's inputs, batch of 1 in front.
      mean, std: the model's normalization, (value - mean) / std; one number, or one a channel.
      limit: at most so many samples, spread evenly.
      channels_first: for each input, whether it was [batch, channels, ...] in the original model: arrays of that shape are
        taken for what they are.

    Raises:
      DataError: there is no such file or key, or the arrays do not have the inputs' shapes behind axis 0.
    """
    name, keys = _split(spec)
    path = Path(name)
    if path.is_dir():
        found = tuple(sorted(p for p in path.iterdir() if p.suffix.lower() in PICTURES))
        if not found:
            raise DataError(f"{path}: there are no pictures in this folder")
        if len(shapes) != 1 or len(shapes[0]) != 4:
            raise DataError(f"{path}: pictures are for models with one input of shape [1, height, width, channels], not {shapes}")
        return Samples(pictures=tuple(np.array(found, object)[_spread(len(found), limit)]), shape=shapes[0], mean=mean, std=std)
    arrays = _arrays(path, keys)
    if len(arrays) != len(shapes):
        raise DataError(
            f"{spec}: gives {len(arrays)} arrays, the model has {len(shapes)} inputs; name them as FILE.npz:KEY1,KEY2"
        )
    fitted = []
    for i, (a, shape) in enumerate(zip(arrays, shapes)):
        if (
            a.shape[1:] != shape[1:]
            and i < len(channels_first)
            and channels_first[i]
            and (a.shape[1], *a.shape[2:]) == (shape[-1], *shape[1:-1])
        ):
            a = np.moveaxis(a, 1, -1)
        # Dimensions of size 1 may be missing, or too many; anything else that only happens to have as many values is an error.
        if a.shape[1:] != shape[1:] and [n for n in a.shape[1:] if n != 1] == [n for n in shape[1:] if n != 1]:
            a = a.reshape(len(a), *shape[1:])
        if a.shape[1:] != shape[1:]:
            raise DataError(f"{spec}: has samples of shape {list(a.shape[1:])}, the model expects {list(shape[1:])}")
        if not len(a) or len(a) != len(arrays[0]):
            raise DataError(f"{spec}: has no samples, or arrays of different length")
        fitted.append(a[_spread(len(a), limit)])
    return Samples(tuple(fitted), mean=mean, std=std)


def _split(spec: str) -> tuple[str, list[str]]:
    if Path(spec).exists() or ":" not in spec[2:]:
        return spec, []
    name, keys = spec.rsplit(":", 1)
    return name, keys.split(",")


def _arrays(path: Path, keys: list[str]) -> list[NDArray[Any]]:
    if not path.exists():
        raise DataError(f"{path}: there is no such file or folder")
    if path.suffix not in (".npy", ".npz"):
        raise DataError(f"{path}: not a .npy file, a .npz file or a folder of pictures")
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return [loaded]
        missing = [k for k in keys if k not in loaded]
        if missing or (not keys and len(loaded.files) != 1):
            raise DataError(
                f"{path}: {'has no array ' + repr(missing[0]) if missing else 'say which array'}; it has {', '.join(loaded.files)}"
            )
        return [loaded[k] for k in keys or loaded.files]
    except (OSError, ValueError, EOFError) as e:
        if isinstance(e, DataError):
            raise
        raise DataError(f"{path}: not a numpy file, or a damaged one ({e})") from None


def _spread(n: int, limit: int | None) -> NDArray[np.intp] | slice:
    """What selects at most `limit` of n samples, evenly spread; all of them as a slice, which copies nothing."""
    return slice(None) if limit is None or n <= limit else np.linspace(0, n - 1, limit).astype(np.intp)
