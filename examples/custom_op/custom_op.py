"""A custom operator as a Python function, and a model that has it.

usage: custom_op.py MODEL.tflite        (a model with one operator "Sinh" on float32)
"""

from __future__ import annotations

import sys

import numpy as np

import edgert


@edgert.custom_op("Sinh", shape=lambda x: x)
def sinh(x: np.ndarray) -> np.ndarray:
    return np.sinh(x)


def main() -> None:
    it = edgert.Interpreter(model_path=sys.argv[1])
    it.allocate_tensors()
    d = it.get_input_details()[0]
    it.set_tensor(d["index"], np.linspace(-1, 1, int(np.prod(d["shape"])), dtype=np.float32).reshape(d["shape"]))
    it.invoke()
    print(it.get_tensor(it.get_output_details()[0]["index"]))


if __name__ == "__main__":
    main()
