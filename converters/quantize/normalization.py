"""Layer, group, instance and RMS normalization, in whatever form a framework has written them: (x - mean) / sqrt(variance + epsilon).

A variance may be a thousand times larger for one token than for the next, and 255 steps of equal size have none left for the small ones, whose root is then
divided by. Computed in float, from the integers of x to those of the result, normalization costs no accuracy at all.
"""

from __future__ import annotations

from ..ir import Graph, Node

# What lies between the mean of squares and its root.
_BETWEEN = {"ADD", "MUL", "MAXIMUM", "RESHAPE", "SUB", "MEAN"}
_SQUARES = {"SQUARE", "SQUARED_DIFFERENCE", "MUL", "POW"}
_AFTER = {"MUL", "ADD", "SUB", "DIV", "RESHAPE", "SQRT"}


def normalizations(g: Graph) -> set[str]:
    """The outputs of all operators that normalize, by name."""
    makers = {o: n for n in g.nodes for o in n.outputs}
    readers = g.readers()
    found: set[str] = set()
    for root in g.nodes:
        if root.op in ("RSQRT", "SQRT") and (before := _statistics(g, makers, root)):
            inside = {root.outputs[0], *before}
            found |= inside | _after(g, readers, root, inside)
    return found


def _variable(g: Graph, node: Node) -> list[str]:
    return [i for i in node.inputs if i and g.tensors[i].data is None and g.tensors[i].dtype == "float32"]


def _statistics(g: Graph, makers: dict[str, Node], root: Node) -> set[str]:
    """From the root back to the mean of squares, and to the mean that is taken from x; nothing where it is another root."""
    passed: list[Node] = []
    node = makers.get(root.inputs[0])
    while node is not None and node.op in _BETWEEN and len(_variable(g, node)) == 1:
        passed.append(node)
        above = makers.get(_variable(g, node)[0])
        if node.op == "MEAN" and above is not None and _is_square(g, above):
            centre = makers.get(above.inputs[0])
            passed.append(above)
            names = {n.outputs[0] for n in passed}
            for i in _variable(g, above):
                names |= _centred(makers, makers.get(i))
            if centre is not None and centre.op == "MEAN":
                names.add(centre.outputs[0])
            return names
        node = above
    return set()


def _is_square(g: Graph, node: Node) -> bool:
    if node.op == "POW":
        power = g.data(node.inputs[1])
        return power is not None and power.size == 1 and float(power.reshape(-1)[0]) == 2
    return node.op in _SQUARES and (node.op != "MUL" or node.inputs[0] == node.inputs[1])


def _centred(makers: dict[str, Node], node: Node | None) -> set[str]:
    """x - mean(x), or mean(x), where that is what is squared."""
    if node is None:
        return set()
    if node.op == "MEAN":
        return {node.outputs[0]}
    mean = makers.get(node.inputs[1]) if node.op == "SUB" else None
    if mean is None or mean.op != "MEAN" or mean.inputs[0] != node.inputs[0]:
        return set()
    return {node.outputs[0], mean.outputs[0]}


def _after(g: Graph, readers: dict[str, list[Node]], root: Node, inside: set[str]) -> set[str]:
    """What is done with the root, as long as nothing else but constants and what is normalized has a part in it."""
    sources = {i for n in g.nodes if n.outputs[0] in inside for i in n.inputs}
    added: set[str] = set()
    queue = [root.outputs[0]]
    while queue:
        for node in readers.get(queue.pop(0), []):
            y = node.outputs[0]
            fits = node.op in _AFTER and all(i in inside or i in added or i in sources for i in _variable(g, node))
            if fits and y not in added:
                added.add(y)
                queue.append(y)
    return added
