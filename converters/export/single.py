"""One operator as a model of its own, to see what it makes."""

from __future__ import annotations

from collections.abc import Mapping

from edgert.interpreter import Interpreter

from ..ir import Graph, Node, Tensor
from .tflite import to_tflite


def single_operator(node: Node, tensors: Mapping[str, Tensor]) -> Interpreter:
    """Plans `node` alone, in edgert itself. Inputs among `tensors` that have no data are the model's inputs; their shapes are enough to know the outputs'.

    Raises EdgertError or ValueError: what edgert says of it.
    """
    inputs = [i for i in dict.fromkeys(node.inputs) if i and tensors[i].data is None]
    g = Graph("single", inputs=inputs, outputs=list(node.outputs))
    for name in {*node.inputs, *node.outputs} - {""}:
        g.tensors[name] = tensors[name]
    g.nodes = [node]
    it = Interpreter(model_content=to_tflite(g))
    it.allocate_tensors()
    return it
