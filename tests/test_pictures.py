"""Pictures in, classes out: preprocessing, `edgert.load`, labels, metadata."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import edgert
from edgert import DataError, MissingExtraError
from edgert.metadata import read_metadata
from edgert.postprocess import load_labels, top_k
from edgert.preprocess import ImageOptions, dequantize, image_to_input, load_image, prepare_image, quantize

MODELS = Path(__file__).resolve().parent.parent / "native/tests/data"


def detail(dtype: type, shape: tuple[int, ...] = (1, 8, 8, 3), scale: float = 0.0, zero: int = 0) -> dict:
    return {"name": "x", "shape": np.array(shape), "dtype": dtype, "quantization": (scale, zero)}


def picture(h: int, w: int, c: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (h, w, c)).astype(np.uint8)


def test_file_pil_and_array_are_the_same(tmp_path: Path) -> None:
    pixels = picture(20, 30)
    Image.fromarray(pixels).save(tmp_path / "p.png")
    for source in (tmp_path / "p.png", str(tmp_path / "p.png"), Image.fromarray(pixels), pixels):
        np.testing.assert_array_equal(load_image(source), pixels)
    np.testing.assert_array_equal(load_image(pixels, 1)[..., 0], np.asarray(Image.fromarray(pixels).convert("L")))
    np.testing.assert_array_equal(load_image(pixels[..., :1], 3)[..., 2], pixels[..., 0])
    np.testing.assert_array_equal(load_image(np.dstack([pixels, pixels[..., 0]])), pixels)


def test_camera_orientation(tmp_path: Path) -> None:
    image = Image.fromarray(picture(10, 20))
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(tmp_path / "p.jpg", exif=exif, quality=95)
    assert load_image(tmp_path / "p.jpg").shape == (20, 10, 3)


def test_resize_has_antialiasing() -> None:
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    small = prepare_image(stripes, (8, 8), ImageOptions(crop=None))
    assert abs(int(small[4, 4, 0]) - 127) < 3
    assert set(np.unique(prepare_image(stripes, (8, 8), ImageOptions(crop=None, resampling="nearest")))) <= {0, 255}


def test_crop_keeps_the_middle_and_the_aspect() -> None:
    pixels = np.zeros((10, 30, 3), np.uint8)
    pixels[:, 10:20] = 200
    np.testing.assert_array_equal(prepare_image(pixels, (10, 10), ImageOptions(crop=1.0)), np.full((10, 10, 3), 200))
    assert prepare_image(pixels, (10, 10), ImageOptions(crop=None)).min() == 0


def test_rotate_and_bgr() -> None:
    pixels = picture(8, 8)
    np.testing.assert_array_equal(prepare_image(pixels, (8, 8), ImageOptions(crop=None, rotate=90)), np.rot90(pixels))
    np.testing.assert_array_equal(prepare_image(pixels, (8, 8), ImageOptions(crop=None, bgr=True)), pixels[..., ::-1])


@pytest.mark.parametrize(("dtype", "scale", "zero"), [(np.uint8, 0.02, 110), (np.int8, 0.017, -5), (np.float32, 0.0, 0)])
@pytest.mark.parametrize("stats", [((127.5,), (64.0,)), ((123.7, 116.3, 103.5), (58.4, 57.1, 57.4))])
def test_quantizing_by_table_is_quantizing(dtype: type, scale: float, zero: int, stats: tuple) -> None:
    pixels, d = picture(8, 8), detail(dtype, scale=scale, zero=zero)
    mean, std = stats
    got = image_to_input(pixels, d, ImageOptions(mean=mean, std=std, crop=None))
    real = (pixels.astype(np.float32)[None] - np.array(mean, np.float32)) / np.array(std, np.float32)
    np.testing.assert_array_equal(got, quantize(real, d))
    assert got.dtype == dtype and got.shape == (1, 8, 8, 3)


def test_without_normalization_pixels_go_in_raw() -> None:
    pixels = picture(8, 8)
    options = ImageOptions(crop=None)
    np.testing.assert_array_equal(image_to_input(pixels, detail(np.uint8, scale=0.1), options)[0], pixels)
    np.testing.assert_array_equal(
        image_to_input(pixels, detail(np.int8, scale=0.1), options)[0].astype(int), pixels.astype(int) - 128
    )
    np.testing.assert_allclose(image_to_input(pixels, detail(np.float32), options)[0], (pixels - 127.5) / 127.5, atol=1e-6)


def test_quantize_clips_and_comes_back() -> None:
    d = detail(np.int8, (5,), 0.5, 10)
    q = quantize([-1000.0, 0.0, 0.25, 3.0, np.nan], d)
    assert q.dtype == np.int8 and q[:4].tolist() == [-128, 10, 10, 16]
    np.testing.assert_array_equal(dequantize(q[1:4], d), [0, 0, 3.0])


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        ("nothing.png", {}, "nothing.png: there is no such file"),
        (np.zeros((4, 4, 3), np.float32), {}, "uint8"),
        (np.zeros((4, 4, 7), np.uint8), {}, "uint8"),
        (42, {}, "not int"),
        (np.zeros((4, 4, 3), np.uint8), {"rotate": 45}, "multiples of 90"),
        (np.zeros((4, 4, 3), np.uint8), {"crop": 1.5}, "above 0 and up to 1"),
        (np.zeros((4, 4, 3), np.uint8), {"resampling": "best"}, 'no resampling "best"'),
        (np.zeros((4, 4, 3), np.uint8), {"mean": (1.0, 2.0), "std": (1.0,)}, "mean has 2 and std 1 numbers"),
    ],
)
def test_bad_pictures_and_options(source: object, options: dict, message: str) -> None:
    with pytest.raises(DataError, match=message):
        image_to_input(source, detail(np.uint8, scale=0.1), ImageOptions(**options))


def test_unreadable_picture(tmp_path: Path) -> None:
    (tmp_path / "p.jpg").write_bytes(b"\xff\xd8\xff\xe0 nonsense")
    with pytest.raises(DataError, match=r"p\.jpg: not a picture"):
        load_image(tmp_path / "p.jpg")


def test_missing_pillow(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(MissingExtraError, match=r'Pillow.*pip install "edgert\[image\]"'):
        load_image("p.png")


def test_load_takes_what_people_have() -> None:
    model = edgert.load(MODELS / "int8.tflite")
    x = np.random.default_rng(0).standard_normal((12, 12, 3)).astype(np.float32)
    one = model(x)
    assert [o.shape for o in one] == [(7,), (1,), (1, 10)] and one[0].dtype == np.float32
    batch = model(np.stack([x, -x]))
    np.testing.assert_array_equal(batch[2][0], one[2][0])
    assert batch[2].shape == (2, 10)
    raw = quantize(x, model.inputs[0])
    np.testing.assert_array_equal(model(raw[None])[0], one[0])
    times = model.profile(3)
    assert len(times) == len(model.interpreter._get_ops_details()) and all(t.microseconds >= 0 for t in times)
    for wrong in (np.zeros((5, 5), np.float32), np.zeros((12, 12, 3), complex), np.zeros((0, 12, 12, 3), np.float32)):
        with pytest.raises(DataError):
            model(wrong)
    with pytest.raises(DataError, match="1 inputs, 2 were given"):
        model(x, x)


def test_top_k() -> None:
    best = top_k(np.array([[0.1, 0.5, 0.5, 0.2]]), 3, ["a", "b"])
    assert [(c.id, c.label) for c in best] == [(1, "b"), (2, "2"), (3, "3")] and best[0].score == 0.5


def test_labels(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("cat\ndog house\n")
    (tmp_path / "b.txt").write_text("0 cat\n2: dog house\n")
    assert load_labels(tmp_path / "a.txt") == ("cat", "dog house")
    assert load_labels(tmp_path / "b.txt") == ("cat", "1", "dog house")
    (tmp_path / "c.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError):
        load_labels(tmp_path / "c.txt")


def test_damaged_metadata() -> None:
    from edgert.converters.export.metadata import build_metadata

    good = build_metadata("m", ["x"], ["y"], [1.0, 2.0, 3.0], [4.0], True)
    assert read_metadata(good, None).normalization == edgert.metadata.Normalization((1.0, 2.0, 3.0), (4.0,))
    for mean, std in ([np.nan], [1.0]), ([1.0], [np.inf]), ([1.0], [0.0]):  # no normalization
        assert read_metadata(build_metadata("m", ["x"], ["y"], mean, std, True), None).normalization is None
    rng = np.random.default_rng(0)
    for _ in range(2000):
        data = bytearray(good[: int(rng.integers(0, len(good) + 1))])
        for _ in range(int(rng.integers(0, 4))):
            if data:
                data[int(rng.integers(0, len(data)))] = int(rng.integers(0, 256))
        try:
            read_metadata(bytes(data), None)
        except DataError as e:
            assert "metadata is damaged" in str(e)
