"""PosenetDecoderOp: persons that were drawn are found again, and random maps give what the paper's method gives, written down plainly."""

from __future__ import annotations

import heapq
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgert import Interpreter

from ..build import Builder
from ..support import examples, keep, run
from .test_signal import options_of

K, STRIDE = 17, 16
SKELETON = [(0, 1), (1, 3), (0, 2), (2, 4), (0, 5), (5, 7), (7, 9), (5, 11), (11, 13), (13, 15), (0, 6), (6, 8), (8, 10), (6, 12), (12, 14), (14, 16)]  # fmt: skip
EDGES = [*SKELETON, *((b, a) for a, b in SKELETON)]
Maps = dict[str, np.ndarray]


def decoder(
    maps: Maps, most: int, threshold: float, radius: float, quantization: dict[str, dict[str, Any]] | None = None
) -> bytes:
    b = Builder()
    q = quantization or {}
    ins = [b.main.input(m.shape, str(m.dtype), **q.get(name, {})) for name, m in maps.items()]
    h, w = next(iter(maps.values())).shape[1:3]
    shapes = [(1, most, K, 2), (1, most, K), (1, most), (1,)] + ([(1, most, h, w)] if "longs" in maps else [])
    outs = [b.main.tensor(s, "float32") for s in shapes]
    options: dict[str, Any] = {"max_detections": most, "score_threshold": threshold, "stride": STRIDE, "nms_radius": radius}
    b.main.op("PosenetDecoderOp", ins, outs, custom=options_of(options))
    b.main.outputs(*outs)
    keep(b.bytes())
    return b.bytes()


def drawn_persons(persons: np.ndarray, h: int, w: int) -> Maps:
    """Maps of persons [n, K, 2] in cells: peaks where keypoints are, and offsets of each cell to the person that is nearest to it."""
    ys, xs = np.mgrid[:h, :w]
    cells = np.stack([ys, xs], -1).astype(np.float32)
    nearest = np.argmin(((cells[None] - persons.mean(1)[:, None, None]) ** 2).sum(-1), 0)
    own = persons[nearest]  # [h, w, K, 2]
    to = own - cells[:, :, None]
    distance = np.sqrt((to**2).sum(-1))
    heat = 4 - 2 * distance
    mids = np.zeros((h, w, 2, 2, 16), np.float32)
    for e, (a, c) in enumerate(SKELETON):
        mids[:, :, 0, :, e], mids[:, :, 1, :, e] = own[:, :, c] - own[:, :, a], own[:, :, a] - own[:, :, c]
    split = np.moveaxis(to, -1, 2).reshape(h, w, 2 * K)
    maps = {"heat": heat, "shorts": split * STRIDE, "mids": mids.reshape(h, w, 64) * STRIDE, "longs": split * STRIDE}
    return {k: v[None].astype(np.float32) for k, v in maps.items()}


PERSONS = np.random.default_rng(5).uniform(-3, 3, (2, K, 2)) + np.array([[[5, 5]], [[14, 16]]])


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_finds_persons(dtype: str) -> None:
    maps, q = drawn_persons(PERSONS.astype(np.float32), 20, 22), {}
    if dtype == "uint8":
        for name, m in maps.items():
            low, high = float(m.min()), float(m.max())
            scale = (high - low) / 255
            q[name] = {"scale": scale, "zero": round(-low / scale)}
            maps[name] = np.clip(np.round(m / scale) + q[name]["zero"], 0, 255).astype(np.uint8)
    points, scores, poses, count, masks = run(Interpreter(model_content=decoder(maps, 5, 0.5, 20.0, q)), list(maps.values()))
    assert count[0] == 2 and not poses[0, 2:].any() and not points[0, 2:].any()
    order = np.argsort(points[0, :2].mean((1, 2)))
    np.testing.assert_allclose(points[0, :2][order], PERSONS * STRIDE, atol=0.1 if dtype == "float32" else 8)
    assert (scores[0, :2] > 0.8).all() and (poses[0, :2] > 0.8).all() and poses[0, 0] >= poses[0, 1]
    assert masks[0, :2].sum(0).min() == 1 and masks[0, order[0], 5, 5] == 1 and masks[0, order[1], 14, 16] == 1


# ---- the method once more, plainly


def sample(grid: np.ndarray, y: np.float32, x: np.float32, channels: list[int]) -> np.ndarray:
    h, w, _ = grid.shape
    y0, x0 = int(np.floor(np.clip(y, 0, h - 1))), int(np.floor(np.clip(x, 0, w - 1)))
    y1, x1 = int(np.ceil(np.clip(y, 0, h - 1))), int(np.ceil(np.clip(x, 0, w - 1)))
    dy, dx, one = np.float32(y - y0), np.float32(x - x0), np.float32(1)
    g = grid[:, :, channels]
    return (one - dy) * ((one - dx) * g[y0, x0] + dx * g[y0, x1]) + dy * ((one - dx) * g[y1, x0] + dx * g[y1, x1])


def step(grid: np.ndarray, at: tuple[Any, Any], channels: list[int]) -> tuple[Any, Any]:
    dy, dx = sample(grid, *at, channels)
    return np.float32(np.clip(at[0] + dy, 0, grid.shape[0] - 1)), np.float32(np.clip(at[1] + dx, 0, grid.shape[1] - 1))


def decode(maps: Maps, most: int, threshold: float, radius: float) -> list[tuple[float, np.ndarray, np.ndarray]]:
    heat, shorts, mids = maps["heat"][0], maps["shorts"][0] * np.float32(1 / STRIDE), maps["mids"][0] * np.float32(1 / STRIDE)
    h, w, _ = heat.shape
    logit = -np.log(1 / (np.float32(threshold) + 1e-6) - 1)
    near = (radius / STRIDE) ** 2
    queue: list[Any] = []
    for y, x, k in np.ndindex(h, w, K):
        if heat[y, x, k] >= logit and heat[y, x, k] >= heat[max(0, y - 1) : y + 2, max(0, x - 1) : x + 2, k].max():
            at = (np.float32(np.clip(y + shorts[y, x, k], 0, h - 1)), np.float32(np.clip(x + shorts[y, x, K + k], 0, w - 1)))
            heapq.heappush(queue, (-heat[y, x, k], len(queue), k, at))
    found: list[Any] = []
    while queue and len(found) < most:
        _, _, k, at = heapq.heappop(queue)
        if any(((np.array(at) - p[1][k]) ** 2).sum() <= near for p in found):
            continue
        points, scores = np.zeros((K, 2), np.float32), np.full(K, np.nan, np.float32)
        todo = [(-float(sample(heat, *at, [k])[0]), 0, k, at)]
        while todo:
            s, _, k, at = heapq.heappop(todo)
            if not np.isnan(scores[k]):
                continue
            points[k], scores[k] = at, 1 / (1 + np.exp(s))
            for e, (a, c) in enumerate(EDGES):
                if a == k and np.isnan(scores[c]):
                    first = e if e < 16 else e + 16
                    to = step(mids, at, [first, first + 16])
                    for _ in range(5):
                        to = step(shorts, to, [c, K + c])
                    heapq.heappush(todo, (-float(sample(heat, *to, [c])[0]), e + 1, c, to))
        if scores.mean() >= threshold:
            found.append((scores.mean(), points, scores))
    found.sort(key=lambda p: -p[0])
    rescored = []
    for i, (_, points, scores) in enumerate(found):
        hidden = np.zeros(K, bool)
        for _, other, _ in found[:i]:
            hidden |= ((points - other) ** 2).sum(-1) <= near
        rescored.append((scores[~hidden].sum() / K, points, scores))
    rescored.sort(key=lambda p: -p[0])
    return [p for p in rescored if p[0] >= threshold]


@examples(15)
@given(data=st.data())
def test_random_maps(data: st.DataObject) -> None:
    draw = data.draw
    h, w, most = draw(st.integers(1, 9)), draw(st.integers(1, 9)), draw(st.integers(1, 8))
    threshold, radius = draw(st.sampled_from([0.3, 0.45, 0.55])), draw(st.sampled_from([0.0, 10.0, 30.0]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    maps = {
        "heat": rng.standard_normal((1, h, w, K)),
        "shorts": rng.normal(0, 9, (1, h, w, 2 * K)),
        "mids": rng.normal(0, 20, (1, h, w, 64)),
    }
    maps = {k: v.astype(np.float32) for k, v in maps.items()}
    points, scores, poses, count = run(Interpreter(model_content=decoder(maps, most, threshold, radius)), list(maps.values()))
    expected = decode(maps, most, threshold, radius)
    if any(abs(p[0] - threshold) < 1e-5 for p in expected):
        return
    assert count[0] == len(expected)
    for i, (score, at, each) in enumerate(expected):
        np.testing.assert_allclose(poses[0, i], score, atol=1e-5)
        np.testing.assert_allclose(points[0, i], at * STRIDE, atol=1e-2)
        np.testing.assert_allclose(scores[0, i], each, atol=1e-4)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"most": 0}, "max_detections is 0, expected 1 to 4096"),
        ({"threshold": 1.5}, "score_threshold is 1.5"),
        ({"shorts": (1, 4, 5, 33)}, "input 1 is 1 x 4 x 5 x 33, expected 1 x 4 x 5 x 34"),
        ({"mids": (1, 5, 5, 64)}, "input 2 is 1 x 5 x 5 x 64, expected 1 x 4 x 5 x 64"),
    ],
)
def test_refused(change: dict[str, Any], expected: str) -> None:
    shapes = {"heat": (1, 4, 5, K), "shorts": (1, 4, 5, 2 * K), "mids": (1, 4, 5, 64)}
    maps = {k: np.zeros(change.get(k, s), np.float32) for k, s in shapes.items()}
    content = decoder(maps, change.get("most", 3), change.get("threshold", 0.5), 20.0)
    with pytest.raises(Exception, match=expected):
        Interpreter(model_content=content).allocate_tensors()
