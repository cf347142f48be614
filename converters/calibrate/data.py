"""Where calibration data comes from: arrays in files, tables, sound, folders of pictures, or a function of the user's own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgert.errors import DataError
from edgert.files import reading

PICTURES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif"}


@dataclass(frozen=True)
class Samples:
    """Samples for a model with one input, or with several: `arrays` has one array an input, samples along axis 0; `make` is called
    for each time that they are gone through.
    """

    arrays: tuple[NDArray[Any], ...] = ()
    pictures: tuple[Path, ...] = ()
    shape: tuple[int, ...] = ()
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    make: Callable[[], Iterator[tuple[NDArray[Any], ...]]] | None = None
    count: int = 0

    def __len__(self) -> int:
        if self.make is not None:
            return self.count
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
        if self.make is not None:
            for sample, _ in zip(self.make(), range(self.count)):
                yield tuple((a.astype(np.float32) - mean) / std for a in sample)
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
      spec: `FILE.npy`, `FILE.npz:KEY` (several inputs: `FILE.npz:KEY1,KEY2`), `FILE.csv` (a row a sample), `FILE.wav` or a folder of such
        (cut into pieces as long as the input), or a folder of pictures.
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
    sounds = (
        [path]
        if path.suffix.lower() == ".wav"
        else sorted(p for p in path.iterdir() if p.suffix.lower() == ".wav")
        if path.is_dir()
        else []
    )
    if sounds and path.exists():
        return load_sounds(sounds, shapes, mean=mean, std=std, limit=limit)
    if path.is_dir():
        found = tuple(sorted(p for p in path.iterdir() if p.suffix.lower() in PICTURES))
        if not found:
            raise DataError(f"{path}: there are no pictures in this folder, nor .wav files")
        if len(shapes) != 1 or len(shapes[0]) != 4:
            raise DataError(f"{path}: pictures are for models with one input of shape [1, height, width, channels], not {shapes}")
        return Samples(pictures=tuple(np.array(found, object)[spread(len(found), limit)]), shape=shapes[0], mean=mean, std=std)
    arrays = _arrays(path, keys)
    if len(arrays) != len(shapes):
        raise DataError(
            f"{spec}: gives {len(arrays)} arrays, the model has {len(shapes)} inputs; name them as FILE.npz:KEY1,KEY2"
        )
    fitted = []
    for i, (a, shape) in enumerate(zip(arrays, shapes)):
        _check_values(spec, a)
        if not any(b.any() for b in arrays):
            raise DataError(f"{spec}: all values are zero; calibration needs typical inputs")
        if path.suffix.lower() == ".csv" and int(np.prod(a.shape[1:])) == int(np.prod(shape[1:])):
            a = a.reshape(len(a), *shape[1:])
        if (
            a.shape[1:] != shape[1:]
            and i < len(channels_first)
            and channels_first[i]
            and a.shape[1:] == (shape[-1], *shape[1:-1])
        ):
            a = np.moveaxis(a, 1, -1)
        # Dimensions of size 1 may be missing, or too many; anything else that only happens to have as many values is an error.
        if a.shape[1:] != shape[1:] and [n for n in a.shape[1:] if n != 1] == [n for n in shape[1:] if n != 1]:
            a = a.reshape(len(a), *shape[1:])
        if a.shape[1:] != shape[1:]:
            raise DataError(f"{spec}: has samples of shape {list(a.shape[1:])}, the model expects {list(shape[1:])}")
        if not len(a) or len(a) != len(arrays[0]):
            raise DataError(f"{spec}: has no samples, or arrays of different length")
        fitted.append(a[spread(len(a), limit)])
    return Samples(tuple(fitted), mean=mean, std=std)


def _check_values(spec: str, a: NDArray[Any]) -> None:
    """Numbers, and finite."""
    if a.dtype.kind not in "iufb":
        raise DataError(f"{spec}: has values of type {a.dtype}, expected numbers")
    if a.ndim == 0 or not a.size:
        raise DataError(f"{spec}: has no samples")
    if a.dtype.kind == "f":
        for i in range(len(a)):  # sample by sample: a copy of all would be large
            if not np.isfinite(a[i]).all():
                raise DataError(f"{spec}: sample {i} has values that are not finite (NaN or infinite)")


def _read_csv(path: Path) -> NDArray[np.float32]:
    """A row a sample; a first row that is no numbers is headings."""
    try:
        with open(path, encoding="utf-8") as f:
            lines = [line for line in f if line.strip()]
    except (OSError, UnicodeDecodeError) as e:
        raise DataError(f"{path}: not a text file ({e})") from None
    if not lines:
        raise DataError(f"{path}: has no samples")
    separator = next((c for c in (",", ";", "\t") if c in lines[0]), None)

    def numbers(line: str) -> list[float]:
        return [float(v) for v in line.split(separator)]

    rows = []
    for i, line in enumerate(lines):
        try:
            rows.append(numbers(line))
        except ValueError:
            if i == 0 and len(lines) > 1:
                continue
            raise DataError(f'{path}: line {i + 1} has something that is no number: "{line.strip()[:60]}"') from None
        if len(rows[-1]) != len(rows[0]):
            raise DataError(f"{path}: line {i + 1} has {len(rows[-1])} values, those before it {len(rows[0])}")
    return np.array(rows, np.float32)


def load_sounds(
    paths: Sequence[Path], shapes: list[tuple[int, ...]], *, mean: tuple[float, ...], std: tuple[float, ...], limit: int | None
) -> Samples:
    """Pieces of sound, mono and within [-1, 1], each as long as the model's input.

    Raises:
      DataError: the model does not take sound as it is, or a file is no PCM.
    """
    shape = shapes[0] if len(shapes) == 1 else ()
    if len([n for n in shape if n != 1]) != 1:
        raise DataError(
            f"{paths[0]}: sound is for models with one input that is a row of samples, not {shapes}; compute its features and give them as .npy"
        )
    length = int(np.prod(shape))
    pieces = []
    for path in paths:
        wave = _read_wav(path)
        pieces += [wave[i : i + length] for i in range(0, len(wave) - length + 1, length)]
    if not pieces:
        raise DataError(f"{paths[0]}: is shorter than the {length} samples that the model takes")
    every = np.stack(pieces).reshape(-1, *shape[1:])[spread(len(pieces), limit)]
    _check_values(str(paths[0]), every)
    return Samples((every,), mean=mean, std=std)


def _read_wav(path: Path) -> NDArray[np.float32]:
    import wave

    with reading(path, "a .wav file of PCM"), wave.open(str(path), "rb") as f:
        width, channels, raw = f.getsampwidth(), f.getnchannels(), f.readframes(f.getnframes())
    if width > 4:
        raise DataError(f"{path}: has samples of {8 * width} bits, expected 8, 16, 24 or 32")
    raw = raw[: len(raw) // (width * channels) * width * channels]
    if width == 1:  # unsigned
        values = np.frombuffer(raw, np.uint8).astype(np.float32) / 128 - 1
    elif width == 3:
        wide = np.zeros((len(raw) // 3, 4), np.uint8)
        wide[:, 1:] = np.frombuffer(raw, np.uint8).reshape(-1, 3)
        values = wide.view("<i4").reshape(-1).astype(np.float32) / 2**31
    else:
        values = np.frombuffer(raw, f"<i{width}").astype(np.float32) / 2 ** (8 * width - 1)
    return np.asarray(values.reshape(-1, channels).mean(1), np.float32)


def samples_from(
    source: Callable[[], Iterable[Any]] | Iterable[Any],
    names: Sequence[str],
    shapes: Sequence[tuple[int, ...]],
    *,
    mean: tuple[float, ...] = (0.0,),
    std: tuple[float, ...] = (1.0,),
    limit: int | None = None,
) -> Samples:
    """Samples from Python: an iterable, or a function that gives one each time it is called, so that not all must be in memory at once.

    Args:
      source: each item is an array, a sequence of arrays, or arrays by input name; with or without the batch of 1 in front.
      names, shapes: of the model's inputs.
      mean, std, limit: as in `load_samples`; the first `limit` are taken.

    Raises:
      DataError: there are none, or one does not fit.
    """
    again = source if callable(source) else (lambda kept=list(source): kept)

    def make() -> Iterator[tuple[NDArray[Any], ...]]:
        for i, item in enumerate(again()):
            if limit is not None and i >= limit:
                return
            yield _fit_item(i, item, names, shapes)

    count = sum(1 for _ in make())
    if not count:
        raise DataError("the calibration data has no samples")
    return Samples(mean=mean, std=std, make=make, count=count)


def _fit_item(i: int, item: Any, names: Sequence[str], shapes: Sequence[tuple[int, ...]]) -> tuple[NDArray[Any], ...]:
    if isinstance(item, Mapping):
        missing = [n for n in names if n not in item]
        if missing:
            raise DataError(f'sample {i} has no value for the input "{missing[0]}"; it has {", ".join(map(str, item))}')
        parts = [item[n] for n in names]
    elif isinstance(item, (list, tuple)) and len(item) == len(shapes):
        parts = list(item)
    else:
        parts = [item]
    if len(parts) != len(shapes):
        raise DataError(f"sample {i} has {len(parts)} arrays, the model has {len(shapes)} inputs")
    fitted = []
    for part, shape in zip(parts, shapes):
        a = np.asarray(part)
        if a.shape not in (tuple(shape), tuple(shape[1:])):
            raise DataError(f"sample {i} has the shape {list(a.shape)}, the model expects {list(shape)}")
        if a.dtype.kind not in "iufb" or (a.dtype.kind == "f" and not np.isfinite(a).all()):
            raise DataError(f"sample {i} has values that are no finite numbers")
        fitted.append(a.reshape(shape))
    return tuple(fitted)


def load_classes(spec: str, limit: int | None = None) -> NDArray[np.int64]:
    """The right class of each sample, from `FILE.npy` or `FILE.npz:KEY`; of as many as `load_samples` takes.

    Raises:
      DataError: there is no such file or key, or it has no whole numbers.
    """
    name, keys = _split(spec)
    (a,) = _arrays(Path(name), keys)
    if a.dtype.kind not in "iu" or a.size != len(a):
        raise DataError(f"{spec}: has {a.dtype} of shape {list(a.shape)}, expected one whole number a sample")
    return a.reshape(-1).astype(np.int64)[spread(len(a), limit)]


def _split(spec: str) -> tuple[str, list[str]]:
    if Path(spec).exists() or ":" not in spec[2:]:
        return spec, []
    name, keys = spec.rsplit(":", 1)
    return name, keys.split(",")


def _arrays(path: Path, keys: list[str]) -> list[NDArray[Any]]:
    if not path.exists():
        raise DataError(f"{path}: there is no such file or folder")
    if path.suffix.lower() == ".csv":
        return [_read_csv(path)]
    if path.suffix not in (".npy", ".npz"):
        raise DataError(f"{path}: not a .npy, .npz, .csv or .wav file, nor a folder of pictures")
    with reading(path, "a numpy file"):
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return [loaded]
        missing = [k for k in keys if k not in loaded]
        if missing or (not keys and len(loaded.files) != 1):
            raise DataError(
                f"{path}: {'has no array ' + repr(missing[0]) if missing else 'say which array'}; it has {', '.join(loaded.files)}"
            )
        return [loaded[k] for k in keys or loaded.files]


def spread(n: int, limit: int | None) -> NDArray[np.intp] | slice:
    """What selects at most `limit` of n samples, evenly spread; all of them as a slice, which copies nothing."""
    return slice(None) if limit is None or n <= limit else np.linspace(0, n - 1, limit).astype(np.intp)
