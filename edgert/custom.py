"""`custom_op`: operators of your own, as functions on numpy arrays."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .binding import check, ffi, lib, new_error
from .element_types import DTYPES, NAMES

Shape = Sequence[int]
_kept: list[Any] = []  # what C refers to for as long as the process lives


def custom_op(name: str, shape: Callable[..., Any] | None = None) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Registers a function as the custom operator `name`, for models that are opened from then on.

    The function gets the operator's inputs as arrays (None for one that is left out) and returns its output, or a tuple of them. They must have
    the types that the model declares. A parameter called `options` gets the operator's custom options, bytes.

    Args:
      name: the operator's custom code in the model.
      shape: gets the shapes of the inputs, tuples, and returns the shape of the output, or a list of shapes. None: outputs have the shapes
        that the model declares.

    Raises:
      ValueError: no name.

    An exception of the function ends the invoke with a RuntimeError that quotes it.
    """

    def register(fn: Callable[..., Any]) -> Callable[..., Any]:
        wants_options = "options" in inspect.signature(fn).parameters

        def shield(work: Callable[[Any], None]) -> Callable[[Any, Any], int]:
            def guarded(call: Any, user: Any) -> int:
                try:
                    work(call)
                except Exception as e:
                    return int(lib.edgert_call_fail(call, f"{type(e).__name__}: {e}".encode()))
                return 0

            return guarded

        def prepare(call: Any) -> None:
            if shape is None:
                return
            found = shape(*(_shape(lib.edgert_call_input(call, i)) for i in range(lib.edgert_call_inputs(call))))
            n = lib.edgert_call_outputs(call)
            shapes = [found] if n == 1 and all(isinstance(d, (int, np.integer)) for d in found) else list(found)
            if len(shapes) != n:
                raise ValueError(f"shape gives {len(shapes)} shapes, the model has {n} outputs")
            for i, dims in enumerate(shapes):
                if lib.edgert_call_set_shape(call, i, ffi.new("int32_t[]", [int(d) for d in dims]), len(dims)):
                    raise ValueError(f"shape {tuple(dims)} for output {i} is not possible")

        def invoke(call: Any) -> None:
            inputs = [_array(lib.edgert_call_input(call, i), False) for i in range(lib.edgert_call_inputs(call))]
            extra = {}
            if wants_options:
                size = ffi.new("size_t *")
                data = lib.edgert_call_options(call, size)
                extra["options"] = bytes(ffi.buffer(data, size[0])) if size[0] else b""
            result = fn(*inputs, **extra)
            outputs = result if isinstance(result, tuple) else (result,)
            n = lib.edgert_call_outputs(call)
            if len(outputs) != n:
                raise ValueError(f"it returned {len(outputs)} arrays, the model has {n} outputs")
            for i, value in enumerate(outputs):
                to = _array(lib.edgert_call_output(call, i), True)
                value = np.asarray(value)
                if to is None:
                    raise ValueError(f"there is no output {i}")
                if value.shape != to.shape or value.dtype != to.dtype:
                    raise ValueError(f"output {i} is {value.dtype}{list(value.shape)}, expected {to.dtype}{list(to.shape)}")
                to[...] = value

        signature = "edgert_status(edgert_op_call *, void *)"
        callbacks = [ffi.callback(signature, shield(work), error=2) for work in (prepare, invoke)]
        definition = ffi.new("edgert_op_definition *")
        text = ffi.new("char[]", name.encode())
        definition.name, definition.prepare, definition.invoke = text, callbacks[0], callbacks[1]
        _kept.append((callbacks, definition, text))
        error = new_error()
        check(lib.edgert_register_op(definition, error), error)
        return fn

    return register


def _shape(t: Any) -> tuple[int, ...] | None:
    return None if t.rank < 0 else tuple(ffi.unpack(t.dims, t.rank)) if t.rank else ()


def _array(t: Any, writable: bool) -> NDArray[Any] | None:
    shape = _shape(t)
    if shape is None:
        return None
    dtype = DTYPES.get(t.type)
    if dtype is None:
        raise ValueError(f"a tensor is of type {NAMES[t.type]}, which numpy arrays do not have")
    array = np.frombuffer(ffi.buffer(t.data, t.bytes), dtype).reshape(shape) if t.bytes else np.empty(shape, dtype)
    array.flags.writeable = writable
    return array
