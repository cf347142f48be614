"""x → QUANTIZE → DEQUANTIZE → y: x in y's place, with the quantization that the model was made for."""

from __future__ import annotations

from ..ir import Graph, Quantization


def keep_quantization(g: Graph) -> bool:
    """
    before: CONV_2D → QUANTIZE → DEQUANTIZE → ADD      after: CONV_2D → ADD, the tensor between with that scale and zero point

    What ONNX calls QDQ. uint8 becomes int8, its zero point 128 lower: the same values. int8 and uint8 only. Not one of the
    passes of the float graph, which would lose what these two round and clip: the quantizer applies it.
    """
    changed = False
    for node in list(g.nodes):
        quantize = g.producer(node.inputs[0]) if node.op == "DEQUANTIZE" else None
        if quantize is None or quantize.op != "QUANTIZE" or node.inputs[0] in g.outputs:
            continue
        x, t = quantize.inputs[0], g.tensors[node.inputs[0]]
        if node.outputs[0] in g.outputs and (x in g.inputs or x in g.outputs):
            continue
        if t.quantization is None or t.dtype not in ("int8", "uint8") or g.tensors[x].dtype != "float32":
            continue
        zero = t.quantization.zero_point - (128 if t.dtype == "uint8" else 0)
        wanted = Quantization(t.quantization.scale, zero)
        given = g.tensors[x].quantization
        if given is not None and not given.equals(wanted):
            continue
        g.tensors[x].quantization = wanted
        g.replace(node.outputs[0], x)
        g.nodes.remove(node)
        changed = True
    return changed
