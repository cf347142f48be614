import json
from pathlib import Path
from typing import Annotated, Any

import typer

from .output import console, size, table


def _quantization(q: dict[str, Any]) -> str:
    if not q["scales"]:
        return ""
    if len(q["scales"]) == 1:
        return f"{q['scales'][0]:.6g}, {q['zero_points'][0]}"
    return f"per channel ({len(q['scales'])})"


def describe(path: Path) -> dict[str, Any]:
    """What `edgert inspect --json` prints."""
    from ..interpreter import Interpreter

    it = Interpreter(model_path=path)
    it.allocate_tensors()
    details = it.get_tensor_details()

    def tensor(i: int) -> dict[str, Any]:
        d = details[i]
        q = d["quantization_parameters"]
        return {
            "index": int(i),
            "name": d["name"],
            "shape": [int(n) for n in d["shape"]],
            "shape_signature": [int(n) for n in d["shape_signature"]],
            "type": it._type_name(i),
            "scales": [float(s) for s in q["scales"]],
            "zero_points": [int(z) for z in q["zero_points"]],
            "quantized_dimension": q["quantized_dimension"],
        }

    macs = it._macs()
    ops = [
        {
            "index": op["index"],
            "op": op["op_name"],
            "inputs": [tensor(int(i)) if i >= 0 else None for i in op["inputs"]],
            "outputs": [tensor(int(i)) for i in op["outputs"]],
            "macs": macs[op["index"]],
        }
        for op in it._get_ops_details()
    ]
    return {
        "file": str(path),
        "description": it._model.description(),
        "bytes": path.stat().st_size,
        "inputs": [tensor(d["index"]) for d in it.get_input_details()],
        "outputs": [tensor(d["index"]) for d in it.get_output_details()],
        "operators": ops,
        "macs": sum(macs),
        "memory": it._memory(),
        "signatures": it.get_signature_list(),
    }


def inspect(
    model: Annotated[Path, typer.Argument(help=".tflite model")],
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Show operators, shapes, quantization, sizes and multiply-adds of a model."""
    info = describe(model)
    if as_json:
        print(json.dumps(info, indent=1))
        return
    out = console()

    def cell(t: dict[str, Any]) -> list[Any]:
        return ["x".join(map(str, t["shape"])) or "scalar", t["type"], _quantization(t)]

    rows: list[list[Any]] = []
    for op in info["operators"]:
        weights = next((i for i in op["inputs"][1:2] if i is not None), None)
        w = " ".join(cell(weights)).rstrip() if weights else ""
        first = op["outputs"][0] if op["outputs"] else None
        rows.append(
            [op["index"], op["op"], *(cell(first) if first else ["", "", ""]), w, f"{op['macs']:,}" if op["macs"] else ""]
        )
    columns = [
        ("#", "right"),
        ("operator", "left"),
        ("output", "left"),
        ("type", "left"),
        ("scale, zero point", "left"),
        ("second input", "left"),
        ("multiply-adds", "right"),
    ]
    out.print(table(f"{info['file']}  {info['description']}", columns, rows))
    for kind in ("inputs", "outputs"):
        for t in info[kind]:
            shape, dtype, q = cell(t)
            out.print(
                f'{kind[:-1]} {t["index"]} "{t["name"]}": {shape} {dtype}{"  scale, zero point: " + q if q else ""}',
                soft_wrap=True,
                markup=False,
            )
    m = info["memory"]
    out.print(
        f"{len(rows)} operator{'' if len(rows) == 1 else 's'}, {info['macs'] / 1e6:.1f} M multiply-adds, file {size(info['bytes'])}, arena {size(m['arena'])}, packed weights {size(m['packed'])}"
    )
