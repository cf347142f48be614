"""Reductions. Semantics: onnx.ai/onnx/operators."""

from __future__ import annotations

from ...export.tflite import TYPES
from ..emit import Emitter
from .node import Handler, OnnxNode


def _axes(e: Emitter, n: OnnxNode) -> list[int]:
    axes = n.ints(1, "axes")
    if axes:
        return axes
    return [] if n.attr("noop_with_empty_axes", 0) else list(range(e.rank(n.get(0))))


def _reduction(op: str, before: str = "", after: str = "") -> Handler:
    def apply(e: Emitter, n: OnnxNode) -> str:
        x, keep = n.get(0), bool(n.attr("keepdims", 1))
        dtype = e.dtype(x)
        boolean = dtype == "bool"
        if dtype not in ("float32", "int32", "int64") or (before and dtype != "float32"):
            x = e.cast(x, "int32" if not before else "float32")
        if before:
            x = e.unary(before, x)
        y = e.reduce(op, x, _axes(e, n), keep)
        if after:
            y = e.unary(after, y)
        return e.cast(y, "bool" if boolean else dtype)

    return apply


def log_sum_exp(e: Emitter, n: OnnxNode) -> str:
    x, axes, keep = n.get(0), _axes(e, n), bool(n.attr("keepdims", 1))
    top = e.reduce("REDUCE_MAX", x, axes, True)
    total = e.reduce("SUM", e.unary("EXP", e.binary("SUB", x, top)), axes, True)
    y = e.binary("ADD", e.unary("LOG", total), top)
    rank = e.rank(x)
    dropped = {a % rank for a in axes} if rank else set()
    return y if keep else e.reshape(y, [s for i, s in enumerate(e.shape(y)) if i not in dropped])


def _arg(op: str) -> Handler:
    def apply(e: Emitter, n: OnnxNode) -> str:
        x = n.get(0)
        rank = e.rank(x)
        axis, size = n.axis(0, rank), 0
        last = bool(n.attr("select_last_index", 0))
        size = e.shape(x)[axis]
        if last:
            x = e.op("REVERSE_V2", [x, e.ints([axis], "axes")])
        shape = [s for i, s in enumerate(e.shape(x)) if i != axis]
        index = e.const(axis, "int32", "axis")
        y = e.op(op, [x, index], dtype="int64", shape=shape, output_type=TYPES["int64"])
        if last:
            y = e.op("SUB", [e.like(size - 1, y), y], shape=shape)
        return e.reshape(y, [1 if i == axis else s for i, s in enumerate(e.shape(x))]) if n.attr("keepdims", 1) else y

    return apply


HANDLERS: dict[str, Handler] = {
    "ReduceSum": _reduction("SUM"), "ReduceMean": _reduction("MEAN"), "ReduceMax": _reduction("REDUCE_MAX"),
    "ReduceMin": _reduction("REDUCE_MIN"), "ReduceProd": _reduction("REDUCE_PROD"), "ReduceL1": _reduction("SUM", "ABS"),
    "ReduceL2": _reduction("SUM", "SQUARE", "SQRT"), "ReduceSumSquare": _reduction("SUM", "SQUARE"),
    "ReduceLogSum": _reduction("SUM", "", "LOG"), "ReduceLogSumExp": log_sum_exp, "ArgMax": _arg("ARG_MAX"), "ArgMin": _arg("ARG_MIN"),
}  # fmt: skip
