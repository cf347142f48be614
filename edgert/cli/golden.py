from pathlib import Path
from typing import Annotated, Optional

import typer

from ..golden import answers, drawn_inputs, steps_of, write_golden
from ..interpreter import Interpreter
from .output import console


def golden(
    model: Annotated[Path, typer.Argument(help=".tflite model")],
    output: Annotated[Path, typer.Option("--output", "-o", help="the file to write")],
    arrays: Annotated[
        Optional[Path],
        typer.Option(help=".npz with in0_0 (input 0 of step 0) and so on; where it has out0_0 and so on, those are the answers"),
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="how many random inputs, without --arrays")] = 2,
    seed: Annotated[int, typer.Option(help="of random inputs")] = 0,
) -> None:
    """Write inputs and answers for `edgert-bench --golden`, which checks them on a board without Python."""
    it = Interpreter(model_path=model)
    it.allocate_tensors()
    if arrays is None:
        made = [(inputs, answers(it, inputs)) for inputs in (drawn_inputs(it, seed + s) for s in range(steps))]
    else:
        read = steps_of(arrays, len(it.get_input_details()), len(it.get_output_details()))
        made = [(inputs, outputs or answers(it, inputs)) for inputs, outputs in read]
    write_golden(output, made)
    console().print(f"{output}: {len(made)} steps, {output.stat().st_size} bytes", soft_wrap=True, markup=False)
