"""Converts networks and single functions with TensorFlow's own converter, in every way it knows, and compares edgert's answers with LiteRT's.

usage: converted.py FOLDER [--only NAME ...]        (needs tensorflow, ai-edge-litert; models are kept in FOLDER and converted once)

Networks are those of keras.applications with drawn weights, and some more; functions are TensorFlow's. Prints what differs from the reference
kernels (where they lack an operator, from LiteRT's other ones, which round otherwise in places), and what only one of the two runs. Exit status 1
where integers differ from the reference kernels', or floats by more than 1e-5 of the largest; what docs/numerics.md explains is among that. The
converter and LiteRT crash now and then: each model has a process of its own.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np
from answers import answers, difference

WAYS = ("float32", "float16", "dynamic", "int8", "int8 in and out", "uint8 in and out", "int8 per tensor", "16x8")
APPLICATIONS = {
    "ConvNeXtTiny": 64, "DenseNet121": 64, "EfficientNetB0": 96, "EfficientNetV2B0": 96, "InceptionV3": 96, "MobileNet": 96, "MobileNetV2": 96,
    "MobileNetV3Large": 96, "MobileNetV3Small": 96, "NASNetMobile": 96, "ResNet50V2": 64, "VGG16": 32, "Xception": 96,
}  # fmt: skip
SECONDS = 120  # for one model in LiteRT's reference kernels


# ---- networks


def encoder(x: Any, size: int, heads: int) -> Any:
    from keras import layers

    y = layers.LayerNormalization()(x)
    x = layers.Add()([x, layers.MultiHeadAttention(heads, size // heads)(y, y)])
    y = layers.Dense(4 * size, activation="gelu")(layers.LayerNormalization()(x))
    return layers.Add()([x, layers.Dense(size)(y)])


def vision_transformer() -> Any:
    from keras import Input, Model, layers

    x = Input((96, 96, 3))
    y = layers.Reshape((36, 96))(layers.Conv2D(96, 16, strides=16)(x))
    for _ in range(2):
        y = encoder(y, 96, 3)
    return Model(x, layers.Dense(10, activation="softmax")(layers.GlobalAveragePooling1D()(y)))


def resnext() -> Any:
    from keras import Input, Model, layers

    x = Input((64, 64, 3))
    y = layers.Conv2D(64, 7, strides=4, padding="same", activation="relu")(x)
    for channels, stride in ((128, 1), (256, 2)):
        z = layers.Conv2D(channels, 1, activation="relu")(y)
        z = layers.Conv2D(channels, 3, strides=stride, padding="same", groups=32, activation="relu")(z)
        y = layers.ReLU()(layers.Add()([layers.Conv2D(2 * channels, 1, strides=stride)(y), layers.Conv2D(2 * channels, 1)(z)]))
    return Model(x, layers.Dense(10)(layers.GlobalAveragePooling2D()(y)))


def shufflenet() -> Any:
    from keras import Input, Model, layers, ops

    x = y = Input((28, 28, 24), batch_size=1)
    for _ in range(2):
        a, b = ops.split(y, 2, -1)
        b = layers.Conv2D(12, 1, activation="relu")(layers.DepthwiseConv2D(3, padding="same")(b))
        y = ops.reshape(layers.Concatenate()([a, b]), (1, 28, 28, 2, 12))
        y = ops.reshape(ops.transpose(y, (0, 1, 2, 4, 3)), (1, 28, 28, 24))
    return Model(x, y)


def segmentation() -> Any:
    from keras import Input, Model, layers

    x = Input((48, 64, 3))
    a = layers.Conv2D(16, 3, padding="same", activation="relu")(x)
    b = layers.Conv2D(24, 3, padding="same", activation="swish")(layers.MaxPool2D()(a))
    y = layers.SeparableConv2D(40, 5, padding="same", activation="tanh")(layers.AveragePooling2D()(b))
    y = layers.Concatenate()([layers.Conv2DTranspose(24, 3, strides=2, padding="same")(y), b])
    y = layers.Concatenate()([layers.UpSampling2D(interpolation="bilinear")(y), a])
    y = layers.PReLU(shared_axes=[1, 2])(layers.Conv2DTranspose(12, 4, padding="same", activation="leaky_relu")(y))
    return Model(x, layers.Conv2D(5, 1, activation="softmax")(y))


def signal_in_time() -> Any:
    from keras import Input, Model, layers

    x = Input((200, 16))
    y = layers.Conv1D(16, 3, padding="causal", dilation_rate=4, activation="relu6")(x)
    y = layers.SeparableConv1D(16, 5, dilation_rate=2, padding="same", activation="tanh")(y)
    y = layers.Conv1DTranspose(8, 4, strides=2)(layers.MaxPool1D(3)(y))
    y = layers.Flatten()(layers.Conv1D(12, 3, groups=2, activation="sigmoid")(y))
    return Model(x, layers.Dense(6)(y))


def networks() -> dict[str, Callable[[], Any]]:
    def application(name: str, size: int) -> Callable[[], Any]:
        def make() -> Any:
            import keras

            return getattr(keras.applications, name)(input_shape=(size, size, 3), weights=None)

        return make

    own = (vision_transformer, resnext, shufflenet, segmentation, signal_in_time)
    return {**{name: application(name, size) for name, size in APPLICATIONS.items()}, **{f.__name__: f for f in own}}


def draw_statistics(model: Any) -> None:
    """Batch normalizations that do something, so that values stay apart from layer to layer."""
    import keras

    rng = np.random.default_rng(2)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            *others, variance = layer.get_weights()
            layer.set_weights(
                [*(w + rng.uniform(-0.3, 0.3, w.shape) for w in others), variance * rng.uniform(0.3, 1.5, variance.shape)]
            )


# ---- functions: of tensors of the given shapes


def functions() -> dict[str, tuple[Callable[..., Any], list[tuple[int, ...]]]]:
    import tensorflow as tf

    x, m, nn = (1, 8, 10, 6), tf.math, tf.nn
    rng = np.random.default_rng(0)

    def chain(f: Callable[..., Any], g: Callable[..., Any]) -> Callable[..., Any]:
        return lambda a: g(f(a))

    def chosen_by(f: Callable[..., Any]) -> Callable[..., Any]:
        return lambda a, b: tf.where(f(a, b), a, b)

    def w(*shape: int) -> np.ndarray:  # no tensor, which would start threads
        return rng.standard_normal(shape).astype(np.float32)

    filters, few, taps, matrix = w(3, 3, 6, 16), w(3, 3, 2, 12), w(3, 3, 6, 2), w(24, 40)
    of: dict[str, tuple[Callable[..., Any], list[tuple[int, ...]]]] = {}
    for f in ("abs", "negative", "square", "exp", "sin", "cos", "sign", "floor", "ceil", "tanh", "sigmoid", "erf"):
        of[f] = getattr(m, f), [x]
    for f in ("sqrt", "rsqrt", "log"):
        of[f] = chain(lambda a: tf.abs(a) + 0.5, getattr(m, f)), [x]
    for f in ("relu", "relu6", "elu", "selu", "leaky_relu", "gelu", "softplus", "swish", "softmax", "log_softmax"):
        of[f] = getattr(nn, f), [x]
    for f in ("add", "subtract", "multiply", "maximum", "minimum", "squared_difference"):
        of[f] = getattr(m, f), [x, (10, 1)]
        of[f"{f} of rank 5"] = getattr(m, f), [(2, 1, 3, 1, 4), (1, 5, 1, 2, 4)]
    for f in ("less", "greater_equal", "equal"):
        of[f] = chosen_by(getattr(m, f)), [x, (10, 6)]
    for f in ("mean", "max", "min", "prod", "logsumexp", "variance"):
        for axes in ((1, 2), (-1,), (0, 1, 2, 3)):
            of[f"{f} {axes}"] = partial(getattr(m, f"reduce_{f}"), axis=axes), [x]
    of |= {
        "argmax": (lambda a: tf.argmax(a, -1), [x]), "top_k": (lambda a: m.top_k(a, 3), [(4, 20)]), "cumsum": (lambda a: tf.cumsum(a, 1, exclusive=True, reverse=True), [x]),
        "concat": (lambda a, b: tf.concat([a, b, a], 2), [x, (1, 8, 3, 6)]), "stack": (lambda a, b: tf.stack([a, b], 1), [x, x]), "split": (lambda a: tf.split(a, [1, 2, 3], -1), [x]),
        "tile": (lambda a: tf.tile(a, [2, 1, 3, 1]), [x]), "slice": (lambda a: a[:, 1:-1, ::2, ::-1], [x]), "gather": (lambda a: tf.gather(a, [3, 1, 1, 7], axis=1), [x]),
        "gather_nd": (lambda a: tf.gather_nd(a, [[0, 1], [0, 7]]), [x]), "scatter_nd": (lambda a: tf.scatter_nd([[1], [4], [1]], a, [6, 4]), [(3, 4)]),
        "transpose": (lambda a: tf.transpose(a, [5, 0, 2, 1, 4, 3]), [(2, 3, 1, 2, 3, 2)]), "reverse": (lambda a: tf.reverse(a, [1]), [x]), "roll": (lambda a: tf.roll(a, 2, 1), [x]),
        "pad": (lambda a: tf.pad(a, [[0, 0], [1, 2], [0, 3], [1, 0]], constant_values=1.5), [x]), "mirror": (lambda a: tf.pad(a, [[0, 0], [1, 2], [3, 3], [0, 0]], mode="REFLECT"), [x]),
        "space_to_batch": (lambda a: tf.space_to_batch(a, [2, 2], [[0, 0], [1, 1]]), [x]), "space_to_depth": (lambda a: nn.space_to_depth(a, 2), [x]), "depth_to_space": (lambda a: nn.depth_to_space(a, 2), [(1, 4, 5, 12)]),
        "bilinear": (lambda a: tf.image.resize(a, (13, 17)), [x]), "nearest": (lambda a: tf.image.resize(a, (13, 17), method="nearest"), [x]), "crop": (lambda a: tf.image.crop_and_resize(a, [[0.1, 0.1, 0.8, 0.9]], [0], (5, 5)), [x]),
        "max_pool": (lambda a: nn.max_pool2d(a, 3, 2, "SAME"), [x]), "avg_pool": (lambda a: nn.avg_pool2d(a, (2, 3), (1, 2), "VALID"), [x]), "lrn": (lambda a: nn.lrn(a, 2), [x]), "l2": (lambda a: nn.l2_normalize(a, -1), [x]),
        "conv": (lambda a: nn.relu(nn.conv2d(a, filters, 2, "SAME") + 0.5), [x]), "dilated": (lambda a: nn.conv2d(a, filters, 1, "VALID", dilations=2), [x]), "grouped": (lambda a: nn.conv2d(a, few, 1, "SAME"), [x]),
        "depthwise": (lambda a: nn.relu6(nn.depthwise_conv2d(a, taps, [1, 2, 2, 1], "SAME")), [x]), "conv_3d": (lambda a: nn.conv3d(a, w(2, 3, 3, 2, 4), [1, 1, 2, 1, 1], "SAME"), [(1, 4, 8, 8, 2)]),
        "conv_transpose": (lambda a: nn.conv2d_transpose(a, w(3, 3, 16, 6), [1, 16, 20, 16], 2), [x]), "matmul": (lambda a: tf.matmul(a, matrix), [(5, 24)]), "tensordot": (lambda a: tf.tensordot(a, matrix, 1) + 1.0, [(2, 5, 24)]),
        "batch_matmul": (lambda a, b: tf.matmul(a, b, transpose_b=True), [(2, 3, 5, 8), (2, 3, 7, 8)]), "einsum": (lambda a, b: tf.einsum("bqhd,bkhd->bhqk", a, b), [(1, 6, 2, 4), (1, 5, 2, 4)]),
        "attention": (lambda q, k, v: tf.matmul(nn.softmax(tf.matmul(q, k, transpose_b=True) / 4.0), v), [(1, 2, 5, 16), (1, 2, 7, 16), (1, 2, 7, 16)]),
        "where": (lambda a: tf.where(a > 0), [(5, 6)]), "mask": (lambda a: tf.boolean_mask(a, a[:, 0] > 0), [(5, 6)]), "segments": (lambda a: m.unsorted_segment_sum(a, [0, 2, 1, 2], 4), [(4, 3)]),
        "diag": (lambda a, b: tf.linalg.set_diag(tf.linalg.diag(b) + a, b), [(2, 4, 4), (2, 4)]), "rfft": (lambda a: tf.abs(tf.signal.rfft(a)), [(2, 64)]), "stft": (lambda a: tf.abs(tf.signal.stft(a, 64, 32)), [(1, 256)]),
        "nms": (lambda a, b: tf.image.non_max_suppression(tf.sort(a, -1), b, 5, 0.4), [(12, 4), (12,)]), "cast": (lambda a: tf.cast(tf.cast(a, tf.int32), tf.float32) * 0.5, [x]), "clip": (lambda a: tf.clip_by_value(a, -0.5, 0.7), [x]),
        "cond": (lambda a: tf.cond(tf.reduce_sum(a) > 0, lambda: a * 2.0, lambda: tf.abs(a) - 1.0), [(2, 20)]), "while": (lambda a: tf.while_loop(lambda i, v: i < 5, lambda i, v: (i + 1, tf.tanh(v)), [tf.constant(0), a])[1], [(2, 20)]),
        "map": (lambda a: tf.map_fn(lambda r: r * tf.reduce_max(r), a), [(6, 4)]), "hard_swish": (lambda a: a * nn.relu6(a + 3) / 6, [x]), "normalize": (lambda a: (a - tf.reduce_mean(a, -1, keepdims=True)) * m.rsqrt(m.reduce_variance(a, -1, keepdims=True) + 1e-5), [(4, 32)]),
    }  # fmt: skip
    return of


# ---- conversion


def converted(converter: Any, way: str, samples: Callable[[], Iterator[list[np.ndarray]]]) -> bytes:
    import tensorflow as tf

    if way != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if way == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if way.startswith(("int8", "uint8", "16x8")):
        converter.representative_dataset = samples
    if way.startswith(("int8 ", "uint8")):
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.uint8 if way.startswith("uint8") else tf.int8
    if way == "int8 per tensor":
        converter._experimental_disable_per_channel = True
    if way == "16x8":
        both = tf.lite.OpsSet
        converter.target_spec.supported_ops = [
            both.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8,
            both.TFLITE_BUILTINS,
        ]
    return bytes(converter.convert())


def convert(name: str, path: Path, way: str) -> None:
    import tensorflow as tf

    if name in networks():
        import keras

        keras.utils.set_random_seed(1)
        model = networks()[name]()
        draw_statistics(model)
        shapes = [tuple(1 if n is None else n for n in i.shape) for i in model.inputs]
        converter = tf.lite.TFLiteConverter.from_keras_model(model)
    else:
        function, shapes = functions()[name]
        graph = tf.function(lambda *a: function(*a)).get_concrete_function(*(tf.TensorSpec(s, tf.float32) for s in shapes))
        converter = tf.lite.TFLiteConverter.from_concrete_functions([graph])
    rng = np.random.default_rng(3)
    size = 255 if pictures(name) else 1  # of networks that normalize pictures themselves

    def samples() -> Iterator[list[np.ndarray]]:
        for _ in range(4):
            yield [(rng.uniform(0, size, s) if name in networks() else rng.standard_normal(s)).astype(np.float32) for s in shapes]

    content = converted(converter, way, samples)
    part = path.with_suffix(".part")
    part.write_bytes(content)
    part.rename(path)


def pictures(name: str) -> bool:
    return name.startswith(("ConvNeXt", "EfficientNet", "MobileNetV3"))


# ---- comparison


def run(interpreter: Any, name: str) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    interpreter.allocate_tensors()
    inputs = []
    for d in interpreter.get_input_details():
        dtype = np.dtype(d["dtype"])
        if dtype.kind != "f":
            drawn = rng.integers(np.iinfo(dtype).min, np.iinfo(dtype).max + 1, d["shape"])
        elif name in APPLICATIONS:
            drawn = rng.uniform(0, 255 if pictures(name) else 1, d["shape"])
        else:
            drawn = rng.standard_normal(d["shape"])
        inputs.append(drawn.astype(dtype))
    return answers(interpreter, inputs)


def compare(name: str, path: Path, way: str) -> None:
    from ai_edge_litert.interpreter import Interpreter as LiteRT
    from ai_edge_litert.interpreter import OpResolverType

    from edgert import Interpreter

    signal.alarm(SECONDS)
    got, fault, sums = None, "", False
    try:
        ours = Interpreter(model_path=path, num_threads=2)
        sums = any(o["op_name"] == "SUM" and o["operand_types"][0] in (np.int8, np.int16) for o in ours._get_ops_details())
        got = run(ours, name)
    except (ValueError, RuntimeError) as e:
        fault = str(e).replace(f"{path}: ", "")[:160]
    kernels = {"reference": OpResolverType.BUILTIN_REF, "other kernels": OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES}
    if sums:  # which the reference has wrong
        del kernels["reference"]
    for label, resolver in kernels.items():
        try:
            expected = run(LiteRT(model_path=str(path), experimental_op_resolver_type=resolver), name)
        except (ValueError, RuntimeError):
            continue
        if got is None:
            print(f"only LiteRT: {name}, {way}: {fault}", flush=True)
            return
        what = difference(got, expected, 0, 1e-5, 1e-6)
        print(f"{'differs from the ' + label if what else 'same'}: {name}, {way}{': ' + what if what else ''}", flush=True)
        return
    print(f"{'neither' if got is None else 'only edgert'}: {name}, {way}{': ' + fault if fault else ''}", flush=True)


def apart(work: Callable[[str, Path, str], None], name: str, path: Path, way: str) -> str:
    """What the work prints, in a process of its own that may crash; without what the libraries print."""
    read, write = os.pipe()
    if os.fork() == 0:
        with contextlib.suppress(BaseException):
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            os.close(read)
            os.dup2(write, 1)
            work(name, path, way)
            sys.stdout.flush()
        os._exit(0)
    os.close(write)
    with os.fdopen(read, errors="replace") as f:
        said = f.read()
    os.wait()
    return said


def main() -> int:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("folder", type=Path)
    p.add_argument("--only", nargs="+", metavar="NAME")
    a = p.parse_args()
    a.folder.mkdir(parents=True, exist_ok=True)
    for module in ("ai_edge_litert.interpreter", "edgert", "keras", "tensorflow"):  # once, for all processes
        importlib.import_module(module)
    names = a.only or [*networks(), *functions()]
    count: Counter[str] = Counter()
    for name in names:
        for way in WAYS:
            path = a.folder / f"{name}.{way}.tflite".replace(" ", "_")
            if not path.exists():
                apart(convert, name, path, way)
            if not path.exists():
                count["not converted"] += 1
                continue
            lines = [s for s in apart(compare, name, path, way).splitlines() if ": " in s]
            result = lines[-1] if lines else f"LiteRT crashed: {name}, {way}"
            kind = result.split(":")[0]
            count[kind] += 1
            if kind != "same":
                print(result, flush=True)
    print(", ".join(f"{n} {kind}" for kind, n in count.most_common()))
    return 1 if count["differs from the reference"] or count["only LiteRT"] else 0


if __name__ == "__main__":
    sys.exit(main())
