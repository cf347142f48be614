"""Writes docs/operators.md from native/src/ops/ops.def, the kernels' sources and the tests.

usage: operators.py [--check]

`--check` writes nothing: the exit status is 1 where the page is not up to date.
"""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "native/src"
PAGE = ROOT / "docs/operators.md"

# Operators whose first input is not what they compute on: the types of that.
TYPES = {
    "TRANSPOSE_CONV": "float32, int8, uint8, int16", "CONV_3D_TRANSPOSE": "float32", "SPLIT": "any", "SELECT": "any", "SELECT_V2": "any",
    "SPARSE_TO_DENSE": "any", "ONE_HOT": "any", "FILL": "any", "SCATTER_ND": "float32, int8, uint8, int32, int64, bool", "EMBEDDING_LOOKUP": "float32, int8, uint8",
    "BROADCAST_ARGS": "int32, int64", "IF": "any", "WHILE": "any", "CALL_ONCE": "any", "STABLEHLO_COMPOSITE": "any", "HASHTABLE": "int64, string handles",
}  # fmt: skip
# The highest version of each operator that LiteRT 2.3's reference resolver has, where it is not 1; 0: it lacks the operator, and tests compare with
# LiteRT's other kernels.
VERSIONS = {name: version for version, names in {
    0: """CEIL ELU ROUND SEGMENT_SUM HASHTABLE HASHTABLE_FIND HASHTABLE_IMPORT HASHTABLE_SIZE""",
    2: """L2_NORMALIZATION SPACE_TO_DEPTH DIV EXP LOG_SOFTMAX ARG_MAX GREATER LESS_EQUAL TILE LOG SUM SQRT ARG_MIN FAKE_QUANT REDUCE_PROD FLOOR_MOD LEAKY_RELU SQUARED_DIFFERENCE WHERE SELECT_V2 GELU SIGN""",
    3: """AVERAGE_POOL_2D LOGISTIC MAX_POOL_2D RELU RELU6 RNN SOFTMAX TANH UNIDIRECTIONAL_SEQUENCE_RNN MEAN UNIDIRECTIONAL_SEQUENCE_LSTM BIDIRECTIONAL_SEQUENCE_RNN TOPK_V2 BIDIRECTIONAL_SEQUENCE_LSTM LESS GREATER_EQUAL SPARSE_TO_DENSE RSQRT REDUCE_MAX REDUCE_MIN FLOOR_DIV MIRROR_PAD ABS SPLIT_V""",
    4: """LSTM RESIZE_BILINEAR SVDF BATCH_TO_SPACE_ND SPACE_TO_BATCH_ND STRIDED_SLICE MAXIMUM MINIMUM SELECT NOT_EQUAL RESIZE_NEAREST_NEIGHBOR REVERSE_V2 BATCH_MATMUL BROADCAST_TO""",
    5: """ADD EMBEDDING_LOOKUP SUB SPLIT TRANSPOSE_CONV EQUAL PACK FILL""",
    6: """DEPTHWISE_CONV_2D PAD PADV2 UNPACK GATHER_ND QUANTIZE DYNAMIC_UPDATE_SLICE""",
    7: """CONCATENATION MUL""",
    8: """CONV_2D GATHER TRANSPOSE SLICE""",
    9: """DEQUANTIZE CAST""",
    14: """FULLY_CONNECTED""",
}.items() for name in names.split()}  # fmt: skip
# What operators of float32 give bit for bit, since they compute nothing, or nothing that is rounded.
EXACT_FLOATS = set(
    """CONCATENATION DEPTH_TO_SPACE EMBEDDING_LOOKUP FLOOR MAX_POOL_2D RELU RELU6 RELU_N1_TO_1 RELU_0_TO_1 RESHAPE SPACE_TO_DEPTH PAD GATHER
    BATCH_TO_SPACE_ND SPACE_TO_BATCH_ND TRANSPOSE SQUEEZE STRIDED_SLICE TOPK_V2 SPLIT MAXIMUM MINIMUM ARG_MAX ARG_MIN LESS GREATER LESS_EQUAL
    GREATER_EQUAL EQUAL NOT_EQUAL NEG PADV2 SELECT SELECT_V2 SLICE SPARSE_TO_DENSE TILE EXPAND_DIMS SHAPE REDUCE_MAX REDUCE_MIN PACK UNPACK ONE_HOT
    ZEROS_LIKE FILL RESIZE_NEAREST_NEIGHBOR MIRROR_PAD ABS SPLIT_V UNIQUE CEIL REVERSE_V2 GATHER_ND WHERE RANK REVERSE_SEQUENCE MATRIX_DIAG
    MATRIX_SET_DIAG ROUND IF WHILE BROADCAST_TO READ_VARIABLE ASSIGN_VARIABLE BUCKETIZE DYNAMIC_UPDATE_SLICE SIGN BITCAST DENSIFY REAL IMAG
    STABLEHLO_COMPOSITE SCATTER_ND CAST QUANTIZE""".split()  # noqa: SIM905
)
# Those that share a file with operators that have kernels, and have none.
PLAIN = {
    "CONV_3D_TRANSPOSE",
    "FAKE_QUANT",
    "TRANSPOSE_CONV",
    "ARG_MIN",
    "RESIZE_NEAREST_NEIGHBOR",
    "L2_POOL_2D",
    "FLOOR",
    "CEIL",
    "ROUND",
    "SIN",
    "COS",
    "SQRT",
    "SQUARE",
    "NEG",
    "SIGN",
}
# Custom operators by how they begin: TensorFlow Lite's own, Coral's (compared with the method written down once more), TensorFlow Lite Micro's.
CUSTOM_TESTS = {"TFLite_Detection": "test_detection.py", "Posenet": "test_posenet.py", "Signal": "test_signal.py"}
ISAS = ["avx2", "avxvnni", "avx512vnni", "neon", "dotprod", "i8mm"]
MACROS = {
    "er_matmul_prepare": ["qgemm", "sgemm"], "er_matmul_prepare_sums": ["qgemm"], "er_use_table": ["qlookup"], "er_depthwise_fuse": ["qdepthwise"],
    "er_quantize_floats": ["quantize_dynamic"], "er_gate_accumulate": ["dot_bytes", "dot_floats"],
}  # fmt: skip


def masks() -> dict[str, set[str]]:
    """The sets of types that op.h and edgert.h name."""
    text = (SOURCES / "ops/op.h").read_text()
    names = {
        f"ER_T(EDGERT_{n})": {n.lower()}
        for n in re.findall(r"EDGERT_([A-Z]+\d*) = \d+", (ROOT / "native/include/edgert.h").read_text())
    }
    names["ER_EVERY"] = {"any"}
    for name, expression in re.findall(r"^\s+(ER_\w+) = ([^,/]*(?:\n[^,/]*)?),", text, re.M):
        if "ER_" in expression:
            names[name] = {t for part in expression.split("|") for t in names.get(part.strip(), set())}
    return names


ORDER = "float32 int8 uint8 int16 int32 int64 bool float16 float64 uint16 uint32 uint64 bfloat16 int4 complex64 complex128 resource".split()  # noqa: SIM905


def types_of(expression: str, names: dict[str, set[str]]) -> str:
    found = {t for part in expression.split("|") for t in names[part.strip()]}
    if expression.strip() == "ER_ANY" or "any" in found:
        return "any"
    return ", ".join(sorted(found, key=ORDER.index))


def kernel_folders() -> dict[str, list[str]]:
    """By kernel, the instruction sets that have one of their own."""
    out: dict[str, list[str]] = {}
    loops = re.findall(r"\(k\)->(\w+) =", (SOURCES / "kernels/loops.h").read_text())
    for isa in ISAS:
        text = "".join(p.read_text() for p in sorted((SOURCES / "kernels" / isa).glob("*.c")))
        for kernel in {*re.findall(r"k->(\w+)", text), *(loops if "SET_LOOPS" in text else [])}:
            out.setdefault(kernel, []).append(isa)
    return out


def kernels_of(name: str, function: str, types: str, sources: dict[str, str]) -> set[str]:
    if name in PLAIN:
        return set()
    text = next(t for t in sources.values() if re.search(rf"^er_status {function}\(er_prepare", t, re.M))
    if name == "DEPTHWISE_CONV_2D":
        text += sources["depthwise_8bit.c"]
    used = set(re.findall(r"(?:kernels|k)->(\w+)", text))
    for call, kernels in MACROS.items():
        if call + "(" in text:
            used.update(kernels)
    quantized, real = re.search("u?int8", types), "float32" in types
    return {
        k
        for k in used
        if (quantized or not re.match("q[a-z]|resize", k)) and (real or k not in ("sgemm", "sdepthwise", "dot_floats"))
    }


def drawn(path: Path) -> set[str]:
    """The operators that a file's tests draw: what those with `given` or `parametrize`, and what they use of the file, name."""
    body = ast.parse(path.read_text()).body
    known: dict[str, ast.AST] = {}
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            known[node.name] = node
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            known.update({x.id: node for t in targets for x in ast.walk(t) if isinstance(x, ast.Name)})
    found, seen = set(), set()
    todo = [
        f
        for f in body
        if isinstance(f, ast.FunctionDef)
        and re.search("id='given'|attr='parametrize'", " ".join(map(ast.dump, f.decorator_list)))
    ]
    while todo:
        for x in ast.walk(todo.pop()):
            if isinstance(x, ast.Constant) and isinstance(x.value, str):
                found.update(re.findall(r"\b[A-Z][A-Z0-9_]+\b", x.value))
            elif isinstance(x, ast.Name) and x.id in known and x.id not in seen:
                seen.add(x.id)
                todo.append(known[x.id])
    return found


def page() -> str:
    definitions = (SOURCES / "ops/ops.def").read_text()
    names, folders = masks(), kernel_folders()
    sources = {p.name: p.read_text() for p in sorted((SOURCES / "ops").glob("*.c"))}
    tests = {
        p: drawn(p) for p in sorted((ROOT / "tests/ops").glob("test_*.py")) if p.stem not in ("test_fusion", "test_limits")
    }  # those compare a model with itself, and with nothing
    rows = []
    found = re.findall(r"^ER_OP\((\d+), (\w+), (\w+), ([^,]+), (\w+), (\w+)\)", definitions, re.M)
    for _, name, function, expression, pair, _ in sorted(found, key=lambda f: f[1]):
        types = TYPES.get(name) or types_of(expression, names)
        if pair == "ER_PAIR_WEIGHTS":
            types += "; float32 by int8 or int4 weights, int16 by int8 ones"
        fast = sorted({isa for k in kernels_of(name, function, types, sources) for isa in folders.get(k, [])}, key=ISAS.index)
        has_float = types == "any" or "float" in types or "complex" in types
        exactness = (
            "equal"
            if not has_float or name in EXACT_FLOATS
            else "integers equal, float32 1e-5"
            if re.search("int|any", types)
            else "1e-5"
        )
        shown = (
            ", ".join(f"[{p.stem[5:]}](../tests/ops/{p.name})" for p, operators in tests.items() if name in operators) or "none"
        )
        version = VERSIONS.get(name, 1)
        rows.append(f"| {name} | {version or '1*'} | {types} | {', '.join(fast)} | {exactness} | {shown} |")
    custom = re.findall(r"^ER_CUSTOM\(\"(\w+)\", \w+, ([^,]+)\)", definitions, re.M)
    for name, expression in custom:
        test = next(file for prefix, file in CUSTOM_TESTS.items() if name.startswith(prefix))
        exactness = "1e-5" if test != "test_signal.py" else "integers equal, float32 1e-5" if "FLOAT" in expression else "equal"
        rows.append(
            f"| {name} (custom) | | {types_of(expression, names)} | | {exactness} | [{test[5:-3]}](../tests/ops/{test}) |"
        )
    return f"""# Operators

Made by `python scripts/operators.py` from `native/src/ops/ops.def`, the kernels and the tests; do not edit. {len(found)} builtin operators, {len(custom)} custom ones.

- **version**: the highest that LiteRT 2.3's reference kernels have; files of it and of older ones run alike. `*`: the reference resolver lacks the operator; it is compared with LiteRT's
  other kernels, or, where those have only strings, with what it is to do.
- **types**: of the tensors that the operator computes on; `any`: all but strings.
- **kernels**: the instruction sets with inner loops of their own for some of the types (`avxvnni` and `avx512vnni` begin with what `avx2` has, `dotprod` and `i8mm` with what `neon` has).
  Without one, the operator runs as C that the compiler vectorizes.
- **exactness**: against LiteRT's reference kernels (`BUILTIN_REF`), on every instruction set and number of threads. `equal`: every bit. `1e-5`: of the largest magnitude of the
  output. [numerics.md](numerics.md) says where the reference is wrong or leaves a choice.
- **tests**: where it is compared with the reference on drawn shapes, attributes and values.

An operator, type or attribute that is not here makes opening or planning fail, with a message that names it. `STRING` tensors and the STABLEHLO arithmetic operators are refused.
[custom_ops.md](custom_ops.md) says how to add one.

| operator | version | types | kernels | exactness | tests |
| --- | --- | --- | --- | --- | --- |
""" + "\n".join(rows) + "\n"  # fmt: skip


def main() -> int:
    text = page()
    if "--check" in sys.argv[1:]:
        fresh = PAGE.exists() and PAGE.read_text() == text
        if not fresh:
            print("docs/operators.md is not up to date: run python scripts/operators.py")
        return not fresh
    PAGE.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
