"""`Interpreter`: the methods, argument names, results and exceptions of `tflite_runtime.interpreter.Interpreter`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .binding import check, exception, ffi, lib, new_error, text
from .delegates import OpResolverType as OpResolverType
from .delegates import check_resolver
from .delegates import load_delegate as load_delegate
from .element_types import DETAILS_DTYPES, DTYPES, NAMES
from .errors import ModelError
from .signature import SignatureRunner as SignatureRunner

_invoke = lib.edgert_invoke  # cffi looks a function up each time: a tenth of what an invoke of nothing takes


class _Model:
    """A model file that is open; shared by the interpreters made from it."""

    def __init__(
        self, path: str | os.PathLike[str] | None, content: bytes | None, weight_cache: str | os.PathLike[str] | None = None
    ) -> None:
        error = new_error()
        if path is not None:
            name = os.fsencode(path)
            if b"\0" in name:
                raise ModelError(f"{os.fspath(path)!r}: not a file name")
            handle = lib.edgert_model_open(name, error)
        else:
            # Kept, not copied, where it cannot change and lies as C needs it.
            self._content = np.frombuffer(content or b"", np.uint8)
            if not isinstance(content, bytes) or self._content.ctypes.data % 8:
                self._content = self._content.copy()
            handle = lib.edgert_model_from_memory(ffi.from_buffer(self._content), len(self._content), error)
        if handle == ffi.NULL:
            raise exception(error)
        self.handle = ffi.gc(handle, lib.edgert_model_close)
        self.name = os.fspath(path) if path is not None else "model in memory"
        self._weight_cache = os.fsencode(weight_cache) if weight_cache is not None else None
        if self._weight_cache is not None:
            lib.edgert_model_load_weights(self.handle, self._weight_cache)

    def keep_weights(self) -> None:
        """Writes the file of packed weights, where there is to be one and it has not all of them."""
        if self._weight_cache is None:
            return
        error = new_error()
        if lib.edgert_model_save_weights(self.handle, self._weight_cache, error):
            raise OSError(str(exception(error)))

    def metadata(self, name: str) -> bytes | None:
        """The metadata buffer of that name, None where there is none."""
        size = ffi.new("size_t *")
        data = lib.edgert_model_metadata(self.handle, name.encode(), size)
        return None if data == ffi.NULL else bytes(ffi.buffer(data, size[0]))

    def description(self) -> str:
        return text(lib.edgert_model_description(self.handle))


class Interpreter:
    """Runs a `.tflite` model on the CPU, with the bytes of TFLite's reference kernels.

    Args:
      model_path: the model file.
      model_content: the model as bytes, instead of a path.
      experimental_delegates: must be None or empty; edgert has none.
      num_threads: threads for one inference, the caller's included; None: 1.
      experimental_op_resolver_type: an OpResolverType; results are always those of the reference kernels.
      experimental_preserve_all_tensors: middle tensors keep their values and can be read by `get_tensor`.
      The other experimental arguments are about delegates, or how zero points are stored: accepted, and without effect.
      memory_limit: bytes that all tensors together may take; None: what the environment variable EDGERT_MEMORY_LIMIT says, or what the
        machine has. A model that needs more is refused by `allocate_tensors`, or `invoke` where shapes depend on data, naming the tensor.
      time_limit: seconds that one `invoke`, or `allocate_tensors`, may take, looked at between operators and in their long loops; None: any time.
      max_iterations: how often one WHILE may turn; None: any number.
      max_depth: how deep subgraphs may call each other; None: 32.
      weight_cache: a file for the weights as kernels read them. `allocate_tensors` writes it where it is missing, or of another model, library
        or instruction set; from then on it is mapped: weights need not be packed again, and processes share the memory. It is trusted as the
        library is: keep it where nobody else can write.

    Raises:
      ModelError: (a ValueError) the model cannot be read, or needs what edgert does not have.
      ValueError: an argument is wrong.
    """

    def __init__(
        self,
        model_path: str | os.PathLike[str] | None = None,
        model_content: bytes | None = None,
        experimental_delegates: Sequence[Any] | None = None,
        num_threads: int | None = None,
        experimental_op_resolver_type: Any = OpResolverType.AUTO,
        experimental_preserve_all_tensors: bool = False,
        experimental_disable_delegate_clustering: bool = False,
        experimental_default_delegate_latest_features: bool = False,
        experimental_compress_quantization_zero_points: bool = False,
        experimental_disable_delegate_node_fusion: bool = False,
        experimental_force_delegate_node_profiling: bool = False,
        *,
        memory_limit: int | None = None,
        time_limit: float | None = None,
        max_iterations: int | None = None,
        max_depth: int | None = None,
        weight_cache: str | os.PathLike[str] | None = None,
    ) -> None:
        if (model_path is None) == (model_content is None):
            raise ValueError("`model_path` or `model_content` must be specified, and not both.")
        if experimental_delegates:
            raise ValueError("edgert has no delegates: leave experimental_delegates out")
        check_resolver(experimental_op_resolver_type)
        if num_threads is not None:
            if not isinstance(num_threads, int):
                raise ValueError("type of num_threads should be int")
            if num_threads < 1:
                raise ValueError("num_threads should >= 1")
        for name, value in (
            ("memory_limit", memory_limit),
            ("time_limit", time_limit),
            ("max_iterations", max_iterations),
            ("max_depth", max_depth),
        ):
            if value is not None and not value > 0:
                raise ValueError(f"{name} is {value}, expected a positive number")
        options = {
            "num_threads": num_threads or 1,
            "preserve_all_tensors": int(experimental_preserve_all_tensors),
            "memory_limit": memory_limit or 0,
            "max_iterations": max_iterations or 0,
            "max_depth": max_depth or 0,
        }
        self._open(_Model(model_path, model_content, weight_cache), options, time_limit)

    def clone(self, num_threads: int | None = None) -> Interpreter:
        """Another interpreter of the same model, not yet allocated: for another thread, or with other input shapes. The two share the file
        and the packed weights. num_threads as for a new one."""
        if num_threads is not None and (not isinstance(num_threads, int) or num_threads < 1):
            raise ValueError("num_threads should >= 1")
        other = Interpreter.__new__(Interpreter)
        other._open(self._model, dict(self._options, num_threads=num_threads or 1, preserve_all_tensors=0), self._time_limit)
        return other

    def _open(self, model: _Model, options: dict[str, int], time_limit: float | None) -> None:
        error = new_error()
        handle = lib.edgert_interpreter_new(model.handle, ffi.new("edgert_options *", options), error)
        if handle == ffi.NULL:
            raise exception(error)
        self._model = model
        self._options = options
        self._time_limit = time_limit
        self._handle = ffi.gc(handle, lib.edgert_interpreter_close)
        if time_limit is not None:
            lib.edgert_set_time_limit(self._handle, max(1, int(time_limit * 1e9)))
        self._subgraphs: dict[int, Interpreter] = {}
        self._error = error
        self._allocated = False
        self._safe_references = 0

    # ---- planning and running

    def allocate_tensors(self) -> None:
        """Plans the model for the present input shapes. Does nothing where that is done; a resize undoes it.

        Raises:
          ModelError: the model cannot be run with these shapes, or needs more memory than its limit.
          RuntimeError: it took longer than its time limit, or a live view of a tensor (from `tensor`) is still held.
          OSError: the file of `weight_cache` cannot be written. The tensors are allocated all the same.
        """
        self._ensure_safe()
        self._allocated = False
        try:
            check(lib.edgert_allocate(self._handle, self._error), self._error)
        except ModelError as e:
            raise type(e)(f"{self._model.name}: {e}") from None
        self._allocated = True
        self._model.keep_weights()

    def invoke(self) -> None:
        """One inference. Other Python threads run meanwhile.

        Raises:
          RuntimeError: tensors are not allocated, or a live view of one (from `tensor`) is still held.
        """
        if self._safe_references:
            self._ensure_safe()
        if _invoke(self._handle, self._error):
            raise RuntimeError(str(exception(self._error)))

    def cancel(self) -> None:
        """From another thread: the `invoke` that is running raises RuntimeError when its present operator is done. Else it does nothing."""
        lib.edgert_cancel(self._handle)

    def _subgraph(self, index: int) -> Interpreter:
        """The interpreter of another subgraph, which shares this one's variables, threads and limits."""
        if index == 0:
            return self
        if index not in self._subgraphs:
            error = new_error()
            handle = lib.edgert_interpreter_subgraph(self._handle, index, error)
            if handle == ffi.NULL:
                raise exception(error)
            other = Interpreter.__new__(Interpreter)
            other._model, other._options, other._time_limit = self._model, self._options, self._time_limit
            other._handle, other._error, other._allocated, other._safe_references, other._subgraphs = handle, error, False, 0, {}
            other._owner = self  # type: ignore[attr-defined]
            self._subgraphs[index] = other
        return self._subgraphs[index]

    def reset_all_variables(self) -> None:
        """Sets variable tensors to their initial value, zero. Before `allocate_tensors` there is nothing to do."""
        if self._allocated:
            check(lib.edgert_reset_variables(self._handle, self._error), self._error)

    def resize_tensor_input(self, input_index: int, tensor_size: ArrayLike, strict: bool = False) -> None:
        """Gives an input a new shape; `allocate_tensors` must follow.

        Args:
          input_index: tensor index of the input.
          tensor_size: the shape, integers.
          strict: only dimensions that the model declares open (-1) may change.

        Raises:
          RuntimeError: there is no such input, or it cannot have that shape.
        """
        self._ensure_safe()
        shape = np.asarray(tensor_size, np.int64).reshape(-1)
        if shape.size and (shape.min() < 0 or shape.max() > 0x7FFFFFFF):
            raise RuntimeError(f"shape {shape.tolist()} for tensor {input_index} has a size that is negative or too large")
        dims = ffi.new("int32_t[]", shape.tolist()) if shape.size else ffi.NULL
        if lib.edgert_resize_input(self._handle, self._index(input_index), dims, shape.size, int(strict), self._error):
            raise RuntimeError(str(exception(self._error)))

    # ---- tensors

    def set_tensor(self, tensor_index: int, value: ArrayLike) -> None:
        """Copies `value` into an input. It must have the tensor's type and exactly its shape.

        Raises:
          ValueError: wrong index, type or shape; tensors are not allocated.
        """
        array = np.asarray(value)
        info = self._info(tensor_index)
        dtype = DTYPES.get(info.type)
        if dtype is None or array.dtype != dtype:
            raise ValueError(
                f"Cannot set tensor: Got value of type {array.dtype} but expected type {NAMES[info.type]} "
                f"for input {tensor_index}, name: {text(info.name)}"
            )
        shape = tuple(ffi.unpack(info.dims, info.rank)) if info.rank else ()
        if array.ndim != len(shape):
            raise ValueError(
                f"Cannot set tensor: Dimension mismatch. Got {array.ndim} but expected {len(shape)} for input {tensor_index}."
            )
        for i, (got, expected) in enumerate(zip(array.shape, shape)):
            if got != expected:
                raise ValueError(
                    f"Cannot set tensor: Dimension mismatch. Got {got} but expected {expected} for dimension {i} of input {tensor_index}."
                )
        array = np.ascontiguousarray(array)
        status = lib.edgert_tensor_set(self._handle, tensor_index, ffi.from_buffer(array), array.nbytes, self._error)
        check(status, self._error)

    def get_tensor(self, tensor_index: int, subgraph_index: int = 0) -> NDArray[Any]:
        """A copy of a tensor's value; of another subgraph than the first where `subgraph_index` says so."""
        value: NDArray[Any] = self._subgraph(subgraph_index)._view(tensor_index).copy()
        return value

    def tensor(self, tensor_index: int) -> Callable[[], NDArray[Any]]:
        """A function that gives a live view of the tensor: no copy, always the present value.

        Do not keep what the function returns across `allocate_tensors`, `resize_tensor_input` or `invoke`: they
        refuse to run (RuntimeError) while such a view lives.
        """
        return lambda: self._view(tensor_index)

    def _view(self, tensor_index: int) -> NDArray[Any]:
        info = self._info(tensor_index)
        data = lib.edgert_tensor_data(self._handle, tensor_index, self._error)
        if data == ffi.NULL:
            raise exception(self._error)
        dtype = DTYPES.get(info.type)
        if dtype is None:
            raise ValueError(f"tensor {tensor_index} is of type {NAMES[info.type]}, which numpy arrays do not have")
        shape = tuple(ffi.unpack(info.dims, info.rank)) if info.rank else ()
        # The base owns a reference to this interpreter, so the memory outlives the view; see _ensure_safe.
        base = _TensorMemory(self, ffi.buffer(data, max(info.bytes, 1)), dtype, shape)
        array = np.asarray(base)
        if info.is_constant:
            array.flags.writeable = False
        return array

    def _ensure_safe(self) -> None:
        if self._safe_references > 0:
            raise RuntimeError(
                "There is at least 1 reference to internal data in the interpreter in the form of a numpy array or slice. "
                "Be sure to only hold the function returned from tensor() if you are using raw data access."
            )

    # ---- what there is

    def num_subgraphs(self) -> int:
        """How many subgraphs the model has."""
        return int(lib.edgert_model_subgraphs(self._model.handle))

    def get_input_details(self) -> list[dict[str, Any]]:
        """For each input: `name`, `index`, `shape`, `shape_signature`, `dtype`, `quantization`, `quantization_parameters`, `sparsity_parameters`."""
        return [self._get_tensor_details(lib.edgert_input(self._handle, i)) for i in range(lib.edgert_inputs(self._handle))]

    def get_output_details(self) -> list[dict[str, Any]]:
        """The same for each output."""
        return [self._get_tensor_details(lib.edgert_output(self._handle, i)) for i in range(lib.edgert_outputs(self._handle))]

    def get_tensor_details(self, subgraph_index: int = 0) -> list[dict[str, Any]]:
        """The same for every tensor of a subgraph.

        Raises:
          ValueError: there is no such subgraph.
        """
        if not 0 <= subgraph_index < self.num_subgraphs():
            raise ValueError(f"subgraph_index is out of range: {subgraph_index} for a model of {self.num_subgraphs()} subgraphs")
        it = self._subgraph(subgraph_index)
        return [it._get_tensor_details(i) for i in range(lib.edgert_tensors(it._handle))]

    def _get_tensor_details(self, tensor_index: int, subgraph_index: int = 0) -> dict[str, Any]:
        info = self._subgraph(subgraph_index)._info(tensor_index)
        scales = np.array(ffi.unpack(info.scale, info.scales) if info.scales else [], np.float32)
        zeros = np.array(ffi.unpack(info.zero_point, info.zero_points) if info.zero_points else [], np.int32)
        if len(scales) and not len(zeros):
            zeros = np.zeros(len(scales), np.int32)
        shape = np.array(ffi.unpack(info.dims, info.rank) if info.rank else [], np.int32)
        declared = info.signature_rank > 0
        single = len(scales) == 1
        return {
            "name": text(info.name),
            "index": int(tensor_index),
            "shape": shape,
            "shape_signature": np.array(ffi.unpack(info.signature, info.signature_rank), np.int32) if declared else shape,
            "dtype": DETAILS_DTYPES[info.type],
            "quantization": (float(scales[0]), int(zeros[0])) if single else (0.0, 0),
            "quantization_parameters": {
                "scales": scales,
                "zero_points": zeros,
                "quantized_dimension": int(info.quantized_dimension),
            },
            "sparsity_parameters": {},
        }

    def _get_ops_details(self) -> list[dict[str, Any]]:
        """For each operator: `index`, `op_name`, `inputs`, `outputs`, and the types of those that are there; as tflite_runtime's."""
        return [self._get_op_details(i) for i in range(lib.edgert_ops(self._handle))]

    def _get_op_details(self, op_index: int) -> dict[str, Any]:
        info = ffi.new("edgert_op_info *")
        check(lib.edgert_op(self._handle, op_index, info, self._error), self._error)
        inputs = np.array(ffi.unpack(info.inputs, info.n_inputs) if info.n_inputs else [], np.int32)
        outputs = np.array(ffi.unpack(info.outputs, info.n_outputs) if info.n_outputs else [], np.int32)

        def types(tensors: NDArray[np.int32]) -> list[Any]:
            return [DETAILS_DTYPES[self._info(i).type] for i in tensors if i >= 0]

        return {
            "index": int(op_index),
            "op_name": text(info.name),
            "inputs": inputs,
            "outputs": outputs,
            "operand_types": types(inputs),
            "result_types": types(outputs),
        }

    def _type_name(self, tensor_index: int) -> str:
        """The type of a tensor's elements, which says more than the `dtype` of its details: "int4", "bfloat16", "resource"."""
        return NAMES[self._info(tensor_index).type]

    # ---- signatures

    def get_signature_list(self) -> dict[str, dict[str, list[str]]]:
        """Signature keys, each with the names of its `inputs` and `outputs`."""
        return {key: {kind: list(names) for kind, names in d.items()} for key, d in self._get_full_signature_list().items()}

    def _get_full_signature_list(self) -> dict[str, dict[str, dict[str, int]]]:
        """Signature keys, each with the tensor indices of its `inputs` and `outputs` by name."""
        return {key: {"inputs": inputs, "outputs": outputs} for key, (inputs, outputs, _) in self._signatures().items()}

    def get_signature_runner(self, signature_key: str | None = None) -> SignatureRunner:
        """A function of the signature's named inputs that gives its named outputs.

        Args:
          signature_key: may be left out where the model has exactly one signature.
        """
        signatures = self._signatures()
        if signature_key is None:
            if len(signatures) != 1:
                raise ValueError(
                    f"SignatureDef signature_key is None and model has {len(signatures)} Signatures. None is only allowed when the "
                    "model has 1 SignatureDef"
                )
            signature_key = next(iter(signatures))
        if signature_key not in signatures:
            raise ValueError(f"Invalid signature_key provided: '{signature_key}'; the model has {sorted(signatures)}.")
        inputs, outputs, subgraph = signatures[signature_key]
        return SignatureRunner(self._subgraph(subgraph), inputs, outputs)

    def _signatures(self) -> dict[str, tuple[dict[str, int], dict[str, int], int]]:
        """For each signature: name → tensor index of its inputs and of its outputs, and its subgraph."""
        model, tensor = self._model.handle, ffi.new("int32_t *")

        def names(fn: Any, signature: int, n: int) -> dict[str, int]:
            result = {}
            for i in range(n):
                name = text(fn(model, signature, i, tensor))
                result[name] = int(tensor[0])
            return dict(sorted(result.items()))

        found = {}
        for s in range(lib.edgert_model_signatures(model)):
            info = lib.edgert_model_signature(model, s)
            inputs = names(lib.edgert_signature_input, s, info.n_inputs)
            outputs = names(lib.edgert_signature_output, s, info.n_outputs)
            found[text(info.key)] = (inputs, outputs, int(info.subgraph))
        return found

    # ---- measuring

    def _profile(self, on: bool) -> None:
        lib.edgert_profile(self._handle, int(on))

    def _profile_times(self) -> list[int]:
        """Nanoseconds in each operator, summed since profiling was switched on."""
        return [lib.edgert_profile_get(self._handle, i) for i in range(lib.edgert_ops(self._handle))]

    def _memory(self) -> dict[str, int]:
        """Bytes of the `arena`, of `packed` weights, of the rest of the `plan`, and of the `model` file."""
        m = lib.edgert_memory(self._handle)
        return {"arena": int(m.arena), "packed": int(m.packed), "plan": int(m.plan), "model": int(m.model)}

    def _macs(self) -> list[int]:
        """Multiply-adds of each operator."""
        info = ffi.new("edgert_op_info *")
        macs = []
        for i in range(lib.edgert_ops(self._handle)):
            check(lib.edgert_op(self._handle, i, info, self._error), self._error)
            macs.append(int(info.macs))
        return macs

    def _plan(self) -> list[tuple[str, int]]:
        """For each operator: what runs it, and the operator that does its work as well (-1: it runs itself)."""
        info = ffi.new("edgert_op_info *")
        plan = []
        for i in range(lib.edgert_ops(self._handle)):
            check(lib.edgert_op(self._handle, i, info, self._error), self._error)
            plan.append((text(info.kernel), int(info.fused_into)))
        return plan

    def _index(self, index: Any) -> int:
        try:
            i = index.__index__()
        except AttributeError:
            raise TypeError(f"a tensor index must be an integer, not {type(index).__name__}") from None
        if not -0x80000000 <= i <= 0x7FFFFFFF:
            raise ValueError(f"there is no tensor {i}")
        return int(i)

    def _info(self, index: Any) -> Any:
        info = ffi.new("edgert_tensor_info *")
        check(lib.edgert_tensor(self._handle, self._index(index), info, self._error), self._error)
        return info


class _TensorMemory:
    """What a view of a tensor rests on. While one lives, the interpreter refuses to move or overwrite tensors."""

    def __init__(self, interpreter: Interpreter, memory: Any, dtype: Any, shape: tuple[int, ...]) -> None:
        self._interpreter = interpreter
        self._memory = memory
        self.__array_interface__ = {
            "version": 3,
            "typestr": np.dtype(dtype).str,
            "shape": shape,
            "data": (int(ffi.cast("uintptr_t", ffi.from_buffer(memory))), False),
        }
        interpreter._safe_references += 1

    def __del__(self) -> None:
        if not sys.is_finalizing():
            self._interpreter._safe_references -= 1
