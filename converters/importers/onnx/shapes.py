"""Operators that move elements, and arithmetic of shapes. Semantics: onnx.ai/onnx/operators."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..emit import Emitter, UnsupportedUseError
from .node import Handler, OnnxNode


def constant(e: Emitter, n: OnnxNode) -> str:
    for key, dtype in (
        ("value", None),
        ("value_float", "float32"),
        ("value_int", "int64"),
        ("value_floats", "float32"),
        ("value_ints", "int64"),
    ):
        if key in n.attrs:
            return e.const(n.attrs[key], dtype, "value")
    raise UnsupportedUseError(f"it holds {', '.join(n.attrs) or 'nothing'}, which is not supported")


def constant_of_shape(e: Emitter, n: OnnxNode) -> str:
    value = np.asarray(n.attr("value", np.zeros(1, np.float32))).reshape(-1)[0]
    return e.const(np.full([int(i) for i in n.constant(0, "shape")], value))


def shape(e: Emitter, n: OnnxNode) -> str:
    rank = e.rank(n.get(0))
    start, end = int(n.attr("start", 0)), n.attr("end")
    return e.const(np.array(e.shape(n.get(0))[slice(start, rank if end is None else int(end))], np.int64))


def size(e: Emitter, n: OnnxNode) -> str:
    return e.const(np.array(int(np.prod(e.shape(n.get(0)))), np.int64))


def reshape(e: Emitter, n: OnnxNode) -> str:
    x = n.get(0)
    wanted = n.ints(1, "shape")
    if wanted is None:
        raise UnsupportedUseError("it has no shape")
    if not n.attr("allowzero", 0):
        wanted = [e.shape(x)[i] if s == 0 else s for i, s in enumerate(wanted)]
    return e.reshape(x, wanted)


def flatten(e: Emitter, n: OnnxNode) -> str:
    dims, rank = e.shape(n.get(0)), e.rank(n.get(0))
    axis = int(n.attr("axis", 1))
    axis = axis + rank if axis < 0 else axis
    return e.reshape(n.get(0), (int(np.prod(dims[:axis])), int(np.prod(dims[axis:]))))


def squeeze(e: Emitter, n: OnnxNode) -> str:
    dims, rank = e.shape(n.get(0)), e.rank(n.get(0))
    axes = n.ints(1, "axes")
    drop = {a % rank for a in axes} if axes is not None else {i for i, d in enumerate(dims) if d == 1}
    return e.reshape(n.get(0), [d for i, d in enumerate(dims) if i not in drop])


def unsqueeze(e: Emitter, n: OnnxNode) -> str:
    axes = n.ints(1, "axes") or []
    rank = e.rank(n.get(0)) + len(axes)
    new, rest = {a % rank for a in axes}, iter(e.shape(n.get(0)))
    return e.reshape(n.get(0), [1 if i in new else next(rest) for i in range(rank)])


def transpose(e: Emitter, n: OnnxNode) -> str:
    return e.transpose(n.get(0), n.attr("perm", list(range(e.rank(n.get(0))))[::-1]))


def concat(e: Emitter, n: OnnxNode) -> str:
    parts = [n.get(i) for i in range(len(n.inputs))]
    axis = n.axis(1, e.rank(parts[0]))
    parts = [p for p in parts if e.shape(p)[axis]] or parts[:1]
    return e.concat(parts, axis)


def split(e: Emitter, n: OnnxNode) -> list[str]:
    x = n.get(0)
    axis = n.axis(0, e.rank(x))
    total = e.shape(x)[axis]
    sizes = n.ints(1, "split")
    if sizes is None:
        count = int(n.attr("num_outputs", n.outputs))
        each = -(-total // count)
        sizes = [each] * (count - 1) + [total - each * (count - 1)]
    starts = np.cumsum([0, *sizes[:-1]])
    return [e.slice(x, axis, int(b), s) for b, s in zip(starts, sizes)]


def slice_(e: Emitter, n: OnnxNode) -> str:
    x = n.get(0)
    starts, ends = n.ints(1, "starts"), n.ints(2, "ends")
    assert starts is not None and ends is not None
    axes = n.ints(3, "axes") or list(range(len(starts)))
    steps = n.ints(4, "steps") or [1] * len(starts)
    dims, rank = e.shape(x), e.rank(x)
    begin, stride, count = [0] * rank, [1] * rank, list(dims)
    for a, s, t, step in zip(axes, starts, ends, steps):
        a %= rank
        limit = max(-(2**62), min(2**62, t))
        first, last, step = slice(s, limit, step).indices(dims[a])
        begin[a], stride[a], count[a] = first, step, len(range(first, last, step))
    if all(s == 1 for s in stride):
        if tuple(count) == dims:
            return x
        return e.op("SLICE", [x, e.ints(begin, "begin"), e.ints(count, "size")], shape=count)
    # The end is one step behind the last element; where that is before the first one, the mask says "to the end".
    end, mask = [], 0
    for i in range(rank):
        stop = begin[i] + stride[i] * count[i]
        if stop < 0 or count[i] == 0:
            stop, mask = (0, mask | 1 << i) if count[i] else (begin[i], mask)
        end.append(stop)
    inputs = [x, e.ints(begin, "begin"), e.ints(end, "end"), e.ints(stride, "strides")]
    return e.op("STRIDED_SLICE", inputs, shape=count, end_mask=mask)


def _positive(e: Emitter, indices: str, size: int) -> str:
    """Indices without the negative ones, which count from the end."""
    value = e.value(indices)
    if value is not None:
        return e.const(np.where(value < 0, value + size, value).astype(np.int32), name="indices")
    indices = e.cast(indices, "int32")
    wrapped = e.binary("ADD", indices, size)
    return e.op("SELECT_V2", [e.binary("LESS", indices, 0), wrapped, indices], dtype="int32", shape=e.shape(indices))


def gather(e: Emitter, n: OnnxNode) -> str:
    x = n.get(0)
    axis = n.axis(0, e.rank(x))
    indices = _positive(e, n.get(1), e.shape(x)[axis])
    out = (*e.shape(x)[:axis], *e.shape(indices), *e.shape(x)[axis + 1 :])
    return e.op("GATHER", [x, indices], shape=out, axis=axis)


def _coordinates(e: Emitter, indices: str, axis: int, sizes: tuple[int, ...]) -> str:
    """For GATHER_ND: in each place, the place itself with `indices` along the axis."""
    indices = _positive(e, indices, sizes[axis])
    dims = e.shape(indices)
    parts = []
    for i, grid in enumerate(np.indices(dims)):
        one = indices if i == axis else e.const(grid.astype(np.int32), name="grid")
        parts.append(e.reshape(one, (*dims, 1)))
    return e.concat(parts, len(dims))


def gather_elements(e: Emitter, n: OnnxNode) -> str:
    x = n.get(0)
    axis = n.axis(0, e.rank(x))
    where = _coordinates(e, n.get(1), axis, e.shape(x))
    return e.op("GATHER_ND", [x, where], shape=e.shape(n.get(1)))


def gather_nd(e: Emitter, n: OnnxNode) -> str:
    x, indices = n.get(0), n.get(1)
    batch = int(n.attr("batch_dims", 0))
    dims, depth = e.shape(indices), e.shape(indices)[-1]
    sizes = np.array(e.shape(x)[batch : batch + depth])
    value = e.value(indices)
    if value is not None:
        indices = e.const(np.where(value < 0, value + sizes, value).astype(np.int32), name="indices")
    else:
        indices = e.cast(indices, "int32")
    if batch:
        grids = [e.const(g[..., None].astype(np.int32), name="grid") for g in np.indices(dims[:-1])[:batch]]
        indices = e.concat([*grids, indices], len(dims) - 1)
    return e.op("GATHER_ND", [x, indices], shape=(*dims[:-1], *e.shape(x)[batch + depth :]))


def scatter_elements(e: Emitter, n: OnnxNode) -> str:
    x, updates = n.get(0), n.get(2)
    axis = n.axis(0, e.rank(x))
    where = _coordinates(e, n.get(1), axis, e.shape(x))
    return _scatter(e, n, x, where, updates)


def scatter_nd(e: Emitter, n: OnnxNode) -> str:
    value = n.constant(1, "indices") if e.value(n.get(1)) is not None else None
    sizes = np.array(e.shape(n.get(0))[: e.shape(n.get(1))[-1]])
    if value is None:
        where = e.cast(n.get(1), "int32")
    else:
        where = e.const(np.where(value < 0, value + sizes, value).astype(np.int32), name="indices")
    return _scatter(e, n, n.get(0), where, n.get(2))


def _scatter(e: Emitter, n: OnnxNode, x: str, where: str, updates: str) -> str:
    """SCATTER_ND writes into zeros and adds what meets in one place: so does a count of the places that are written."""
    how = n.attr("reduction", "none")
    if how not in ("none", "add"):
        raise UnsupportedUseError(f'the reduction "{how}" is not supported')
    dims, dtype = e.shape(x), e.dtype(x)
    work = dtype if dtype in ("float32", "int32", "int64", "int8", "uint8") else "int32"
    to = e.ints(dims, "shape")
    new = e.op("SCATTER_ND", [where, e.cast(updates, work), to], dtype=work, shape=dims)
    if how == "add":
        return e.cast(e.binary("ADD", e.cast(x, work), new), dtype)
    value = e.value(where)
    if value is not None and len(np.unique(value.reshape(-1, value.shape[-1]), axis=0)) != value.size // max(1, value.shape[-1]):
        raise UnsupportedUseError("two updates meet in one place")
    ones = e.const(np.ones(e.shape(updates), np.int32), name="ones")
    written = e.op("SCATTER_ND", [where, ones, to], dtype="int32", shape=dims)
    return e.cast(e.op("SELECT_V2", [e.binary("GREATER", written, 0), new, e.cast(x, work)], dtype=work, shape=dims), dtype)


def expand(e: Emitter, n: OnnxNode) -> str:
    x = n.get(0)
    out = np.broadcast_shapes(e.shape(x), tuple(int(i) for i in n.constant(1, "shape")))
    if out == e.shape(x):
        return x
    value = e.value(x)
    if value is not None:
        return e.const(np.broadcast_to(value, out))
    return e.op("BROADCAST_TO", [x, e.ints(out, "shape")], shape=out)


def tile(e: Emitter, n: OnnxNode) -> str:
    repeats = [int(i) for i in n.constant(1, "repeats")]
    return e.op("TILE", [n.get(0), e.ints(repeats, "repeats")], shape=[a * b for a, b in zip(e.shape(n.get(0)), repeats)])


def pad(e: Emitter, n: OnnxNode) -> str:
    x = n.get(0)
    rank = e.rank(x)
    pads = n.ints(1, "pads", "pads")
    if pads is None:
        pads = [int(p) for p in n.attr("paddings", [0] * 2 * rank)]
    axes = n.ints(3, "axes") or list(range(rank))
    before, after = [0] * rank, [0] * rank
    for i, a in enumerate(axes):
        before[a % rank], after[a % rank] = pads[i], pads[i + len(axes)]
    for i in range(rank):  # negative padding cuts
        size, first = e.shape(x)[i], max(0, -before[i])
        x = e.slice(x, i, first, size - first - max(0, -after[i]))
    before, after = [max(0, p) for p in before], [max(0, p) for p in after]
    mode = n.attr("mode", "constant")
    if mode == "constant":
        value = n.constant(2, "value").reshape(-1)[0] if n.has(2) else n.attr("value", 0)
        return e.pad(x, before, after, value)
    if mode == "reflect" and all(max(b, a) < s for b, a, s in zip(before, after, e.shape(x))):
        pads_ = e.const(np.array(list(zip(before, after)), np.int32), name="paddings")
        return e.op("MIRROR_PAD", [x, pads_], shape=[s + b + a for s, b, a in zip(e.shape(x), before, after)], mode=0)
    for i in range(rank):
        if before[i] or after[i]:
            index = np.pad(np.arange(e.shape(x)[i]), (before[i], after[i]), mode)
            x = e.gather(x, index, i)
    return x


def range_(e: Emitter, n: OnnxNode) -> str:
    start, limit, delta = (n.constant(i, w).reshape(()) for i, w in enumerate(("start", "limit", "delta")))
    count = max(0, int(np.ceil((limit - start) / delta)))
    return e.const((start + np.arange(count) * delta).astype(start.dtype))


def one_hot(e: Emitter, n: OnnxNode) -> str:
    depth = int(n.constant(1, "depth").reshape(-1)[0])
    indices, values = n.get(0), n.get(2)
    if e.dtype(indices) not in ("int32", "int64"):
        indices = e.cast(indices, "int64")
    indices = _positive(e, indices, depth)
    rank = e.rank(indices) + 1
    axis = int(n.attr("axis", -1)) % rank
    shape_ = list(e.shape(indices))
    shape_.insert(axis, depth)
    off, on = (e.reshape(e.slice(values, 0, i, 1), ()) for i in (0, 1))
    inputs = [indices, e.const(np.int32(depth)), on, off]
    return e.op("ONE_HOT", inputs, dtype=e.dtype(values), shape=shape_, axis=-1 if axis == rank - 1 else axis)


def top_k(e: Emitter, n: OnnxNode) -> list[str]:
    x = n.get(0)
    rank = e.rank(x)
    axis = n.axis(-1, rank)
    k = int(n.constant(1, "k").reshape(-1)[0]) if n.has(1) else int(n.attr("k"))
    order = [i for i in range(rank) if i != axis] + [axis]
    y = e.transpose(x, order)
    largest = n.attr("largest", 1)
    if not largest:
        y = e.unary("NEG", y)
    dims = (*e.shape(y)[:-1], k)
    values, indices = e.ops("TOPK_V2", [y, e.const(np.int32(k))], [None, "int32"], shapes=[dims, dims])
    if not largest:
        values = e.unary("NEG", values)
    back = list(np.argsort(order))
    return [e.transpose(values, back), e.cast(e.transpose(indices, back), "int64")]


def cum_sum(e: Emitter, n: OnnxNode) -> str:
    axis = e.const(int(n.constant(1, "axis").reshape(-1)[0]), "int32", "axis")
    return e.op("CUMSUM", [n.get(0), axis], exclusive=bool(n.attr("exclusive", 0)), reverse=bool(n.attr("reverse", 0)))


def trilu(e: Emitter, n: OnnxNode) -> str:
    x, upper = n.get(0), bool(n.attr("upper", 1))
    k = int(n.constant(1, "k").reshape(-1)[0]) if n.has(1) else 0
    ones = np.ones(e.shape(x)[-2:], bool)
    mask = e.const(np.triu(ones, k) if upper else np.tril(ones, k), name="mask")
    return e.op("SELECT_V2", [mask, x, e.like(0, x)], dtype=e.dtype(x), shape=e.shape(x))


def eye_like(e: Emitter, n: OnnxNode) -> str:
    rows, columns = e.shape(n.get(0))
    return e.const(np.eye(rows, columns, int(n.attr("k", 0))).astype(n.attrs.get("dtype") or e.dtype(n.get(0))))


def depth_to_space(e: Emitter, n: OnnxNode) -> str:
    x, b = n.get(0), int(n.attr("blocksize"))
    count, c, h, w = e.shape(x)
    if n.attr("mode", "DCR") == "CRD":  # channels ordered [c, b, b] instead of [b, b, c]
        x = e.gather(x, np.arange(c).reshape(c // b**2, b**2).T.reshape(-1), 1)
    y = e.transpose(x, (0, 2, 3, 1))
    return e.transpose(e.op("DEPTH_TO_SPACE", [y], shape=(count, h * b, w * b, c // b**2), block_size=b), (0, 3, 1, 2))


def space_to_depth(e: Emitter, n: OnnxNode) -> str:
    x, b = n.get(0), int(n.attr("blocksize"))
    count, c, h, w = e.shape(x)
    y = e.transpose(x, (0, 2, 3, 1))
    y = e.transpose(e.op("SPACE_TO_DEPTH", [y], shape=(count, h // b, w // b, c * b**2), block_size=b), (0, 3, 1, 2))
    return e.gather(y, np.arange(c * b**2).reshape(b**2, c).T.reshape(-1), 1) if n.attr("mode", "DCR") == "CRD" else y


def reverse_sequence(e: Emitter, n: OnnxNode) -> str:
    lengths = e.cast(n.get(1), "int32")
    attrs: dict[str, Any] = {"seq_dim": int(n.attr("time_axis", 0)), "batch_dim": int(n.attr("batch_axis", 1))}
    return e.op("REVERSE_SEQUENCE", [n.get(0), lengths], shape=e.shape(n.get(0)), **attrs)


def compress(e: Emitter, n: OnnxNode) -> str:
    x = n.get(0)
    if "axis" not in n.attrs:
        x = e.reshape(x, (int(np.prod(e.shape(x))),))
    axis = n.axis(0, e.rank(x))
    return e.gather(x, np.flatnonzero(n.constant(1, "condition")), axis)


def non_zero(e: Emitter, n: OnnxNode) -> str:
    return e.const(np.array(np.nonzero(n.constant(0, "input")), np.int64))


def center_crop_pad(e: Emitter, n: OnnxNode) -> str:
    x = n.get(0)
    rank = e.rank(x)
    target = [int(i) for i in n.constant(1, "shape")]
    before, after = [0] * rank, [0] * rank
    for a, t in zip(n.attr("axes", range(rank)), target):
        a %= rank
        size_ = e.shape(x)[a]
        if t < size_:
            x = e.slice(x, a, (size_ - t) // 2, t)
        else:
            before[a], after[a] = (t - size_) // 2, t - size_ - (t - size_) // 2
    return e.pad(x, before, after)


def einsum(e: Emitter, n: OnnxNode) -> str:
    """One or two operands as transpose, reshape, BATCH_MATMUL: shared letters that survive are the batch, the others sum."""
    equation = str(n.attr("equation")).replace(" ", "")
    terms, out = equation.split("->") if "->" in equation else (equation, None)
    labels = terms.split(",")
    if "." in equation:
        rank = max(e.rank(x) - len(t.replace("...", "")) for x, t in zip(n.inputs, labels) if "..." in t)
        if any("..." in t and e.rank(x) - len(t.replace("...", "")) != rank for x, t in zip(n.inputs, labels)):
            raise UnsupportedUseError("its ellipses stand for different numbers of dimensions")
        extra = "0123456789"[:rank]
        labels = [t.replace("...", extra) for t in labels]
        out = None if out is None else out.replace("...", extra)
    if out is None:
        everything = "".join(labels)
        out = "".join(sorted(c for c in set(everything) if everything.count(c) == 1 or c.isdigit()))
    if len(labels) > 2 or any(len(set(t)) != len(t) for t in labels):
        raise UnsupportedUseError(f'the equation "{equation}" is not supported')
    x, tx = _sum_out(e, n.get(0), labels[0], out + "".join(labels[1:]))
    if len(labels) == 1:
        return e.transpose(x, [tx.index(c) for c in out])
    y, ty = _sum_out(e, n.get(1), labels[1], out + tx)
    batch = [c for c in tx if c in ty and c in out]
    inner = [c for c in tx if c in ty and c not in out]
    left, right = [c for c in tx if c not in ty], [c for c in ty if c not in tx]
    size_of = {**dict(zip(tx, e.shape(x))), **dict(zip(ty, e.shape(y)))}

    def count(letters: list[str]) -> int:
        return int(np.prod([size_of[c] for c in letters]))

    a = e.reshape(e.transpose(x, [tx.index(c) for c in batch + left + inner]), (count(batch), count(left), count(inner)))
    b = e.reshape(e.transpose(y, [ty.index(c) for c in batch + inner + right]), (count(batch), count(inner), count(right)))
    letters = batch + left + right
    product = e.reshape(e.matmul(a, b), [size_of[c] for c in letters])
    return e.transpose(product, [letters.index(c) for c in out])


def _sum_out(e: Emitter, x: str, labels: str, needed: str) -> tuple[str, str]:
    gone = [i for i, c in enumerate(labels) if c not in needed]
    return e.reduce("SUM", x, gone, False), "".join(c for c in labels if c in needed)


HANDLERS: dict[str, Handler] = {
    "Constant": constant, "ConstantOfShape": constant_of_shape, "Shape": shape, "Size": size, "Reshape": reshape,
    "Flatten": flatten, "Squeeze": squeeze, "Unsqueeze": unsqueeze, "Transpose": transpose, "Concat": concat, "Split": split,
    "Slice": slice_, "Gather": gather, "GatherElements": gather_elements, "GatherND": gather_nd, "Scatter": scatter_elements,
    "ScatterElements": scatter_elements, "ScatterND": scatter_nd, "Expand": expand, "Tile": tile, "Pad": pad, "Range": range_,
    "OneHot": one_hot, "TopK": top_k, "CumSum": cum_sum, "Trilu": trilu, "EyeLike": eye_like, "DepthToSpace": depth_to_space,
    "SpaceToDepth": space_to_depth, "ReverseSequence": reverse_sequence, "Compress": compress, "NonZero": non_zero,
    "CenterCropPad": center_crop_pad, "Einsum": einsum,
}  # fmt: skip
