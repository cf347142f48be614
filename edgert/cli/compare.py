from pathlib import Path
from typing import Annotated, Optional

import typer

from ..errors import DataError
from ..files import write_atomically
from .inputs import ConstantOption, ShapeOption, constants, shapes
from .output import console, numbers, progress, table


def compare(
    float_model: Annotated[Path, typer.Argument(help="the float original: .h5, .keras, .onnx, .pt2 or .tflite")],
    quantized: Annotated[Path, typer.Argument(help="the .tflite that was made of it")],
    data: Annotated[str, typer.Option(help="typical inputs: FILE.npy, FILE.npz:KEY, or a folder of pictures")],
    mean: Annotated[str, typer.Option(help="normalization of inputs, (value - mean) / std: one number, or one a channel")] = "0",
    std: Annotated[str, typer.Option(help="see --mean")] = "1",
    classes: Annotated[Optional[str], typer.Option(help="FILE.npy or FILE.npz:KEY with the right class of each sample")] = None,
    limit: Annotated[int, typer.Option(min=1, help="at most so many samples")] = 32,
    contributions: Annotated[
        int, typer.Option(min=0, help="samples for what each layer does to the outputs (0: leave that out)")
    ] = 16,
    shape: ShapeOption = None,
    constant: ConstantOption = None,
    html: Annotated[Optional[Path], typer.Option(help="also write a page with plots")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Show where a quantized model differs from its float original, and what would help."""
    from edgert.converters.analyze import by_harm
    from edgert.converters.analyze import compare as run
    from edgert.converters.analyze.html import page
    from edgert.converters.calibrate import load_classes

    with progress("comparing") as bar:
        result = run(
            float_model,
            quantized,
            data,
            mean=numbers(mean, "mean"),
            std=numbers(std, "std"),
            limit=limit,
            contributions=contributions,
            labels=load_classes(classes, limit) if classes else None,
            shapes=shapes(shape),
            constants=constants(constant),
            progress=bar,
        )
    if html is not None:
        if html.is_dir():
            raise DataError(f"{html}: this is a directory, expected a file to write")
        write_atomically(html, page(result, f"{quantized.name} beside {float_model.name}").encode())
    out, q = console(), result.quality
    if as_json:
        import json
        from dataclasses import asdict

        hidden = ("values", "weights", "channels", "weight_ends")
        layers = [{k: v for k, v in asdict(r).items() if k not in hidden} for r in result.layers]
        out.print_json(
            json.dumps(
                {**asdict(q), "layers": layers, "unmatched": result.unmatched, "suggestions": result.suggestions}, default=str
            )
        )
        return
    ranked = by_harm(result.layers)
    columns = [("layer", "left"), ("operator", "left"), ("type", "left")] + [
        (h, "right") for h in ("SQNR dB", "cosine", "error", "saturated", "alone dB", "all but it dB", "time")
    ]
    rows = [
        [
            r.name, r.op, r.kind, f"{r.sqnr:.1f}", f"{r.cosine:.5f}", f"{r.error:+.2f}", f"{100 * r.saturation:.2f}%",
            "" if r.own is None else f"{r.own:.1f}", "" if r.others is None else f"{r.others:.1f}", f"{100 * r.share:.1f}%",
        ]
        for r in ranked
    ]  # fmt: skip
    out.print(table("layers, those that harm the outputs most first", columns, rows))
    out.print(
        f"outputs on {result.samples} samples: {q.sqnr:.1f} dB, same largest value {100 * q.agreement:.1f}%{q.accuracies}",
        soft_wrap=True,
    )
    for s in result.suggestions:
        out.print(f"- {s}", soft_wrap=True)
    if result.unmatched:
        out.print(f"not matched by name: {', '.join(result.unmatched)}", soft_wrap=True)
    if html is not None:
        out.print(f"{html}: written", soft_wrap=True)
