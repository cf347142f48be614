"""A small Keras model for every layer that the importer knows, and for the ways in which its arguments matter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .keras_models import keras, layers


def of(shape: tuple[int, ...], *stack: Callable[[], Any], dtype: str = "float32") -> Callable[[], Any]:
    """A functional model of layers one after the other; the layers are made anew each time."""

    def make() -> Any:
        x = inp = layers.Input(shape, dtype=dtype)
        for layer in stack:
            x = layer()(x)
        return keras.Model(inp, x)

    return make


def joined(shape: tuple[int, ...], other: tuple[int, ...], layer: Callable[[], Any], **named: Any) -> Callable[[], Any]:
    """A model with two inputs that meet in one layer."""

    def make() -> Any:
        a, b = layers.Input(shape, name="a"), layers.Input(other, name="b")
        return keras.Model([a, b], layer()([a, b], **named))

    return make


def states() -> Any:
    """An encoder whose states begin a decoder: all outputs, and states in and out."""
    a, b = layers.Input((5, 3), name="a"), layers.Input((4, 2), name="b")
    _, h, c = layers.LSTM(6, return_state=True, name="encoder")(a)
    y, h2, c2 = layers.LSTM(6, return_sequences=True, return_state=True, name="decoder")(b, initial_state=[h, c])
    g, s = layers.GRU(6, return_state=True, name="gru")(b, initial_state=h)
    return keras.Model([a, b], [y, h2, c2, layers.Add()([g, s])])


def nested() -> Any:
    """Models within models, one of them used twice, with batch normalization in it."""
    block_in = layers.Input((8, 8, 4))
    block = keras.Model(
        block_in, layers.BatchNormalization()(layers.Conv2D(4, 3, padding="same", name="deep")(block_in)), name="block"
    )
    stem = keras.Sequential(
        [layers.Input((16, 16, 3)), layers.Conv2D(4, 3, strides=2, padding="same"), layers.BatchNormalization(), layers.ReLU()],
        name="stem",
    )
    outer_in = layers.Input((8, 8, 4))
    outer = keras.Model(outer_in, layers.Add()([block(block(outer_in)), outer_in]), name="outer")
    x = inp = layers.Input((16, 16, 3))
    x = outer(stem(x))
    head = keras.Sequential([layers.Input((8, 8, 4)), layers.GlobalAveragePooling2D(), layers.Dense(3)], name="head")
    return keras.Model(inp, head(x))


def heads() -> Any:
    x = inp = layers.Input((6, 8))
    y = layers.MultiHeadAttention(2, 5, value_dim=3)(x, x)
    z, scores = layers.MultiHeadAttention(3, 4, use_bias=False, output_shape=7)(y, x, return_attention_scores=True)
    w = layers.MultiHeadAttention(2, 4)(query=z, value=x, key=y, use_causal_mask=True)
    return keras.Model(inp, [w, scores])


def wrapped() -> Any:
    """TimeDistributed around layers and a model."""
    cnn = keras.Sequential(
        [layers.Input((6, 6, 2)), layers.Conv2D(3, 3), layers.BatchNormalization(), layers.Flatten()], name="cnn"
    )
    x = inp = layers.Input((4, 6, 6, 2))
    x = layers.TimeDistributed(cnn)(x)
    x = layers.TimeDistributed(layers.Dense(5, activation="relu"))(x)
    return keras.Model(inp, layers.LSTM(4)(x))


def holes(x: Any) -> Any:
    """Some steps of an input made zeros, by operations between layers."""
    return x * keras.ops.cast(x[..., :1] > 0, "float32")


def masked_recurrent() -> Any:
    """Texts of different lengths: what Embedding masks goes through layers that hand it on, both ways, and into states."""
    ids, x = layers.Input((7,), dtype="int32", name="ids"), layers.Input((7, 3), name="x")
    text = layers.Embedding(11, 5, mask_zero=True)(ids)
    y = layers.Bidirectional(layers.LSTM(4, return_sequences=True))(layers.Dropout(0.2)(text))
    y = layers.LayerNormalization()(layers.Dense(6, activation="relu")(y))
    z = layers.GRU(3, return_sequences=True, zero_output_for_mask=True)(y)
    masked = layers.Masking()(holes(x))
    s = layers.SimpleRNN(5, return_sequences=True, go_backwards=True)(masked)
    _, h, c = layers.LSTM(4, return_state=True)(masked)
    w = layers.LSTM(4, return_sequences=True)(text, initial_state=[h, c])
    return keras.Model(
        [ids, x], [layers.GRU(2, reset_after=False)(z), s, w, layers.Bidirectional(layers.GRU(3), merge_mode="sum")(y)]
    )


def masked_merges() -> Any:
    ids, x = layers.Input((7,), dtype="int32", name="ids"), layers.Input((7, 5), name="x")
    text, masked = layers.Embedding(11, 5, mask_zero=True)(ids), layers.Masking(mask_value=0.0)(holes(x))
    either, both = layers.Add()([text, masked]), layers.Concatenate()([text, masked])
    plain, long = layers.Multiply()([text, x]), layers.Concatenate(axis=1)([text, x])
    extremes = [layers.Maximum()([masked, text]), layers.Minimum()([text, x]), layers.Multiply()([masked, text])]
    pooled = [layers.GlobalAveragePooling1D(keepdims=k)(v) for k, v in ((False, either), (True, both), (False, plain))]
    return keras.Model([ids, x], [*extremes, *pooled, layers.LSTM(3)(long), layers.TimeDistributed(layers.Dense(2))(both)])


def masked_attention() -> Any:
    ids, x = layers.Input((6,), dtype="int32", name="ids"), layers.Input((5, 4), name="x")

    def text() -> Any:  # each its own: MultiHeadAttention takes masks away from its inputs while a model runs
        return layers.Embedding(11, 4, mask_zero=True)(ids)

    query, own = layers.Masking()(holes(x)), text()
    y, scores = layers.MultiHeadAttention(2, 3)(x, text(), return_attention_scores=True)
    seen = layers.Attention()([query, text()])
    added = layers.AdditiveAttention()([query, text()], use_causal_mask=True)
    allowed = keras.ops.logical_and(x[:, :, :1] < 1, ids[:, None, :] < 5)
    given = layers.MultiHeadAttention(1, 3)(x, text(), attention_mask=allowed)
    mean = layers.GlobalAveragePooling1D()(layers.MultiHeadAttention(2, 3)(own, own, use_causal_mask=True))
    return keras.Model([ids, x], [y, scores, mean, seen, added, given])


def operations() -> Any:
    """What is written between layers."""
    ops = keras.ops
    a, b = layers.Input((4, 6), name="a"), layers.Input((4, 6), name="b")
    mean = ops.mean(a, axis=-1, keepdims=True)
    outputs = [
        (1.0 - a) * b + 2,
        a / (ops.abs(b) + 1) - ops.maximum(b, 0.5) ** 2,
        ops.where(a > b, a, ops.clip(b, -0.5, 0.7)),
        ops.concatenate([a[:, 1:3], b[:, ::2, :], mean[:, -1:] + ops.zeros_like(b[:, :1])], axis=1),
        ops.reshape(ops.transpose(ops.stack([a, b], axis=1), (0, 2, 1, 3)), (1, -1, 3)),
        ops.cast(ops.argmax(a, axis=1), "float32") + ops.sum(b, axis=1),
        ops.squeeze(ops.expand_dims(ops.sqrt(ops.square(a) + 1e-3), 1), 1) @ ops.swapaxes(b, 1, 2),
        ops.softmax(a, axis=1) + ops.leaky_relu(b, 0.3) + ops.gelu(a) + ops.elu(b, 0.5),
        ops.std(a, axis=[1, 2]) * ops.exp(-mean[..., 0]),
        ops.flip(ops.pad(a, [[0, 0], [1, 0], [0, 2]], constant_values=0.5), axis=1),
        ops.cast(ops.logical_and(ops.any(a > 1.5, axis=-1), ops.logical_not(ops.all(b < 0, axis=-1))), "float32"),
        *ops.split(a, 3, axis=-1),
        *ops.split(b, [1, 3], axis=1),
    ]
    return keras.Model([a, b], outputs)


L = layers
CASES: dict[str, Callable[[], Any]] = {
    "conv1d": of((9, 3), lambda: L.Conv1D(4, 3, padding="causal", dilation_rate=2, activation="gelu")),
    "conv1d_same": of((9, 3), lambda: L.Conv1D(4, 4, strides=2, padding="same")),
    "conv3d": of((5, 6, 7, 2), lambda: L.Conv3D(3, (2, 3, 3), strides=(1, 2, 1), padding="same")),
    "grouped": of((8, 8, 6), lambda: L.Conv2D(4, 3, groups=2)),
    "depthwise1d": of((9, 4), lambda: L.DepthwiseConv1D(3, depth_multiplier=2, padding="same")),
    "separable1d": of((9, 4), lambda: L.SeparableConv1D(5, 3, strides=2, padding="same", depth_multiplier=2)),
    "transposed1d": of((6, 3), lambda: L.Conv1DTranspose(4, 3, strides=2, padding="same")),
    "transposed2d_same": of((5, 6, 3), lambda: L.Conv2DTranspose(4, 3, strides=2, padding="same", activation="relu")),
    "transposed2d_even": of((5, 6, 3), lambda: L.Conv2DTranspose(4, 4, strides=(2, 1), padding="same", use_bias=False)),
    "transposed2d_valid": of((5, 6, 3), lambda: L.Conv2DTranspose(2, 2, strides=3)),
    "transposed2d_extra": of((5, 6, 3), lambda: L.Conv2DTranspose(2, 3, strides=2, padding="same", output_padding=1)),
    "transposed3d": of((3, 4, 4, 2), lambda: L.Conv3DTranspose(3, 3, strides=2, padding="same")),
    "pools1d": of((9, 4), lambda: L.MaxPooling1D(3, strides=2, padding="same"), lambda: L.AveragePooling1D(2)),
    "pools3d": of((6, 6, 6, 2), lambda: L.MaxPooling3D(2), lambda: L.AveragePooling3D(2, strides=1, padding="same")),
    "global1d": of((9, 4), lambda: L.Conv1D(3, 2), lambda: L.GlobalAveragePooling1D()),
    "global_max1d": of((9, 4), lambda: L.GlobalMaxPooling1D(keepdims=True)),
    "global3d": of((4, 5, 6, 2), lambda: L.GlobalMaxPooling3D()),
    "padding_cropping": of((8, 8, 2), lambda: L.ZeroPadding2D((1, 2)), lambda: L.Cropping2D(((2, 1), (0, 3)))),
    "padding_cropping1d": of((8, 2), lambda: L.ZeroPadding1D((1, 2)), lambda: L.Cropping1D(2)),
    "padding_cropping3d": of((4, 4, 4, 2), lambda: L.ZeroPadding3D(1), lambda: L.Cropping3D(((1, 0), (1, 1), (0, 2)))),
    "upsampling": of((3, 4, 2), lambda: L.UpSampling2D((3, 2)), lambda: L.UpSampling2D(2, interpolation="bilinear")),
    "upsampling1d": of((3, 2), lambda: L.UpSampling1D(3)),
    "upsampling3d": of((2, 3, 2, 2), lambda: L.UpSampling3D((2, 1, 2))),
    "resizing": of((7, 9, 3), lambda: L.Resizing(12, 5), lambda: L.CenterCrop(6, 4)),
    "shapes": of((4, 6), lambda: L.Permute((2, 1)), lambda: L.Reshape((-1, 8)), lambda: L.Flatten(), lambda: L.RepeatVector(3)),
    "embedding": of((7,), lambda: L.Embedding(11, 5), lambda: L.LSTM(4), dtype="int32"),
    "lstm": of((6, 3), lambda: L.LSTM(5, return_sequences=True), lambda: L.LSTM(4, go_backwards=True, use_bias=False)),
    "lstm_unusual": of((6, 3), lambda: L.LSTM(5, activation="relu", recurrent_activation="hard_sigmoid")),
    "gru": of((6, 3), lambda: L.GRU(5, return_sequences=True), lambda: L.GRU(4, reset_after=False, use_bias=False)),
    "rnn": of((6, 3), lambda: L.SimpleRNN(5, return_sequences=True), lambda: L.RNN(L.GRUCell(3))),
    "bidirectional": of((6, 3), lambda: L.Bidirectional(L.LSTM(4, return_sequences=True)), lambda: L.Bidirectional(L.GRU(3), merge_mode="ave")),
    "states": states,
    "masked_recurrent": masked_recurrent,
    "masked_merges": masked_merges,
    "masked_attention": masked_attention,
    "operations": operations,
    "time_distributed": wrapped,
    "nested": nested,
    "heads": heads,
    "attention": joined((5, 4), (6, 4), lambda: L.Attention(use_scale=True)),
    "additive_attention": joined((5, 4), (6, 4), lambda: L.AdditiveAttention()),
    "layer_norm": of((6, 8), lambda: L.LayerNormalization(epsilon=1e-5), lambda: L.LayerNormalization(axis=1, center=False)),
    "norms": of((4, 4, 8), lambda: L.GroupNormalization(4), lambda: L.UnitNormalization(), lambda: L.RMSNormalization()),
    "batch_norm_axis": of((6, 8), lambda: L.BatchNormalization(axis=1)),
    "normalization": of((4, 4, 3), lambda: L.Normalization(mean=[1.0, 2.0, 3.0], variance=[4.0, 1.0, 9.0]), lambda: L.Normalization(axis=None, mean=2.0, variance=3.0, invert=True)),
    "softmax_axis": of((4, 5, 3), lambda: L.Softmax(axis=1)),
    "activations": of((4, 6), lambda: L.PReLU(shared_axes=[1]), lambda: L.ELU(0.7), lambda: L.ReLU(max_value=3.0, threshold=0.2), lambda: L.ReLU(threshold=0.1)),
    **{f"activation_{n}": of((4, 6), lambda n=n: L.Activation(n)) for n in (
        "elu", "selu", "celu", "gelu", "softplus", "softsign", "exponential", "mish", "log_sigmoid", "hard_tanh", "hard_sigmoid", "log_softmax")},
    "einsum": of((5, 6), lambda: L.EinsumDense("abc,cde->abde", output_shape=(None, 3, 2), bias_axes="de", activation="tanh")),
    "average": joined((4, 3), (4, 3), lambda: L.Average()),
    "extremes": joined((4, 3), (4, 3), lambda: L.Maximum()),
    "minimum": joined((4, 3), (4, 3), lambda: L.Minimum()),
    "dot": joined((4, 3), (5, 3), lambda: L.Dot(axes=2)),
    "dot_unit": joined((4,), (4,), lambda: L.Dot(axes=1, normalize=True)),
    "training_only": of((4, 4, 3), lambda: L.SpatialDropout2D(0.3), lambda: L.RandomFlip(), lambda: L.GaussianNoise(0.1), lambda: L.AlphaDropout(0.2), lambda: L.Conv2D(2, 1)),
}  # fmt: skip


def inputs_of(model: Any, seed: int = 3) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [
        rng.integers(-5, 11, (1, *i.shape[1:])).clip(0).astype(np.int32) if "int" in str(i.dtype)
        else rng.uniform(-2, 2, (1, *i.shape[1:])).astype(np.float32)
        for i in model.inputs
    ]  # fmt: skip
