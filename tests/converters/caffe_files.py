"""Caffe networks of random weights: a `.prototxt` by hand, and the `.caffemodel` that goes with it."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def _varint(n: int) -> bytes:
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def field(number: int, payload: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(payload)) + payload


def blob(a: np.ndarray, legacy: bool = False) -> bytes:
    data = field(5, a.astype("<f4").tobytes())
    if legacy:
        shape = [1] * (4 - a.ndim) + list(a.shape)
        return b"".join(_varint(i << 3) + _varint(n) for i, n in enumerate(shape, 1)) + data
    return field(7, field(1, b"".join(_varint(n) for n in a.shape))) + data


def write(folder: Path, text: str, blobs: dict[str, list[np.ndarray]], legacy: bool = False, name: str = "net") -> Path:
    """The two files; gives the `.prototxt`. `legacy`: as before 2015."""
    model = field(1, b"net")
    for layer, arrays in blobs.items():
        parts = [blob(np.asarray(a, np.float32), legacy) for a in arrays]
        if legacy:
            model += field(2, field(4, layer.encode()) + _varint(5 << 3) + _varint(4) + b"".join(field(6, p) for p in parts))
        else:
            model += field(
                100,
                field(1, layer.encode())
                + field(2, b"Any")
                + _varint(10 << 3)
                + _varint(1)
                + b"".join(field(7, p) for p in parts),
            )
    (folder / f"{name}.caffemodel").write_bytes(model)
    path = folder / f"{name}.prototxt"
    path.write_text(text)
    return path


def classifier(rng: np.random.Generator) -> tuple[str, dict[str, list[np.ndarray]]]:
    """What classic networks are made of, the old names of inputs included."""
    text = """
name: "small"   # a comment
input: "data"
input_dim: 10 input_dim: 3 input_dim: 29 input_dim: 27
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  convolution_param { num_output: 8 kernel_size: 5 stride: 2 pad: 1 weight_filler { type: "xavier" } } }
layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
layer { name: "norm1" type: "LRN" bottom: "conv1" top: "norm1" lrn_param { local_size: 5 alpha: 0.5 beta: 0.75 } }
layer { name: "pool1" type: "Pooling" bottom: "norm1" top: "pool1" pooling_param { pool: MAX kernel_size: 3 stride: 2 } }
layer { name: "conv2" type: "Convolution" bottom: "pool1" top: "conv2"
  convolution_param { num_output: 12 kernel_h: 3 kernel_w: 1 pad_h: 1 pad_w: 0 group: 2 bias_term: false } }
layer { name: "bn" type: "BatchNorm" bottom: "conv2" top: "bn" batch_norm_param { use_global_stats: true eps: 1e-4 } }
layer { name: "scale" type: "Scale" bottom: "bn" top: "bn" scale_param { bias_term: true } }
layer { name: "prelu" type: "PReLU" bottom: "bn" top: "bn" }
layer { name: "left" type: "Convolution" bottom: "bn" top: "left" convolution_param { num_output: 4 kernel_size: 1 } }
layer { name: "right" type: "Pooling" bottom: "bn" top: "right" pooling_param { pool: AVE kernel_size: 3 stride: 1 pad: 1 } }
layer { name: "concat" type: "Concat" bottom: "left" bottom: "right" top: "concat" }
layer { name: "up" type: "Deconvolution" bottom: "concat" top: "up"
  convolution_param { num_output: 6 kernel_size: 4 stride: 2 pad: 1 } }
layer { name: "slice" type: "Slice" bottom: "up" top: "a" top: "b" slice_param { axis: 1 slice_point: 3 } }
layer { name: "sum" type: "Eltwise" bottom: "a" bottom: "b" top: "sum" eltwise_param { operation: SUM coeff: 1 coeff: 0.5 } }
layer { name: "power" type: "Power" bottom: "sum" top: "power" power_param { scale: 0.5 shift: 1 } }
layer { name: "pool2" type: "Pooling" bottom: "power" top: "pool2" pooling_param { pool: AVE kernel_size: 3 stride: 2 } }
layer { name: "drop" type: "Dropout" bottom: "pool2" top: "pool2" dropout_param { dropout_ratio: 0.5 } }
layer { name: "fc" type: "InnerProduct" bottom: "pool2" top: "fc" inner_product_param { num_output: 7 } }
layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }
"""

    def normal(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape) / np.sqrt(max(1, np.prod(shape[1:])))

    blobs = {
        "conv1": [normal(8, 3, 5, 5), normal(8)],
        "conv2": [normal(12, 4, 3, 1)],
        "bn": [normal(12) * 3, rng.uniform(1, 5, 12), np.array([2.5])],
        "scale": [rng.uniform(0.5, 1.5, 12), normal(12)],
        "prelu": [rng.uniform(0, 0.5, 12)],
        "left": [normal(4, 12, 1, 1), normal(4)],
        "up": [normal(16, 6, 4, 4), normal(6)],
        "fc": [normal(7, 126), normal(7)],
    }
    return text, blobs
