"""Comparisons, recipes, mixed precision, targets, and what the report says."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from edgert.converters.analyze import by_harm, compare
from edgert.converters.analyze.html import page
from edgert.converters.convert import Options, convert, convert_file
from edgert.converters.ir import Graph, Node, Tensor
from edgert.converters.quantize.mixed import choose
from edgert.converters.quantize.recipe import OPTIONS, Entry, Recipe, load_recipe
from edgert.converters.targets import check
from hypothesis import given, settings
from hypothesis import strategies as st

from edgert import ConversionError, DataError, Interpreter

from ..cli.test_cli import edgert
from ..support import reference, run
from .keras_models import MODELS, keras, layers, randomize


def network() -> Any:
    return keras.Sequential([
        layers.Input((12, 12, 3)),
        layers.Conv2D(8, 3, activation="relu", name="first"),
        layers.Conv2D(8, 3, name="wild"),
        layers.Conv2D(8, 3, activation="relu", name="third"),
        layers.Flatten(),
        layers.Dense(5, name="head"),
    ])  # fmt: skip


@pytest.fixture(scope="module")
def harmed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """A model in which one layer has a channel of 300 times the others' size, which nothing needs: its output loses most in 8 bits."""
    folder = tmp_path_factory.mktemp("harmed")
    model = randomize(network())
    wild, third = model.get_layer("wild"), model.get_layer("third")
    kernel, bias = (np.array(w) for w in wild.get_weights())
    kernel[..., :1] *= 300
    wild.set_weights([kernel, bias])
    after, bias = (np.array(w) for w in third.get_weights())
    after[:, :, :1] = 0
    third.set_weights([after, bias])
    model.save(folder / "m.keras")
    data = np.random.default_rng(0).uniform(-2, 2, (40, 12, 12, 3)).astype(np.float32)
    np.save(folder / "x.npy", data)
    convert_file(folder / "m.keras", str(folder / "x.npy"), folder / "m.tflite", rounding="nearest", observer="min-max")
    return folder / "m.keras", folder / "m.tflite", folder / "x.npy"


def test_compare_finds_the_layer_that_harms(harmed: tuple[Path, Path, Path]) -> None:
    c = compare(harmed[0], harmed[1], str(harmed[2]))
    by_name = {r.name.split("/")[0]: r for r in c.layers}
    worst = by_harm(c.layers)[0]
    assert worst is by_name["wild"] and worst.own is not None and worst.base is not None and worst.others is not None
    assert worst.others > worst.base + 6, "all but it are much better"
    assert worst.channel_ratio is not None and worst.channel_ratio > 100
    assert "one channel's weights are" in worst.advice and any("wild" in s for s in c.suggestions)
    assert c.samples == 32 and not c.unmatched and 0 < c.quality.agreement <= 1
    assert abs(sum(r.share for r in c.layers) - 1) < 1e-6
    html = page(c, "m <&> m")
    assert "m &lt;&amp;&gt; m" in html and html.count("<details>") == len(c.layers) and "<script src" not in html


def test_alone_and_all_but_it_are_those_of_the_model(harmed: tuple[Path, Path, Path]) -> None:
    """With every layer quantized as in the file the simulation is the file: its outputs have the same noise."""
    c = compare(harmed[0], harmed[1], str(harmed[2]), contributions=32)
    assert c.layers[0].base == pytest.approx(c.quality.sqnr, abs=1e-9)


def test_models_that_do_not_go_together(harmed: tuple[Path, Path, Path], tmp_path: Path) -> None:
    other = tmp_path / "o.keras"
    randomize(MODELS["activations"]()).save(other)
    with pytest.raises(ConversionError, match=r"m\.tflite: has the inputs .* is it made of that model"):
        compare(other, harmed[1], str(harmed[2]))
    with pytest.raises(DataError, match="samples of shape"):
        np.save(tmp_path / "x.npy", np.ones((3, 4, 4, 3), np.float32))
        compare(harmed[0], harmed[1], str(tmp_path / "x.npy"))


# ---- recipes and mixed precision


def test_recipe_changes_layers(harmed: tuple[Path, Path, Path], tmp_path: Path) -> None:
    recipe = tmp_path / "r.toml"
    recipe.write_text(
        'observer = "min-max"\nrounding = "nearest"\n[[layer]]\nname = "[wt]*"\nprecision = "int16"\n'
        '[[layer]]\nop = "FULLY_CONNECTED"\nprecision = "float32"\n'
    )
    r = convert(harmed[0], str(harmed[2]), recipe=recipe)
    assert sorted(k.split("/")[0] for k in r.raised) == ["head", "third", "wild"]
    kinds = {n.op + n.outputs[0]: r.graph.tensors[n.outputs[0]].dtype for n in r.graph.nodes}
    assert [v for k, v in kinds.items() if k.startswith("CONV_2Dwild")] == ["int16"]
    assert [v for k, v in kinds.items() if k.startswith("FULLY_CONNECTED")] == ["float32"]
    plain = convert(harmed[0], str(harmed[2]), observer="min-max", rounding="nearest")
    assert r.quality is not None and plain.quality is not None and r.quality.sqnr > plain.quality.sqnr + 3
    assert not r.kept_float, "what was asked for is not reported as what could not be"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[layer", "not a TOML file"),
        ("speed = 3", 'no option "speed"'),
        ('[[layer]]\nprecision = "int16"', "has name or op"),
        ('[[layer]]\nname = "a"\nprecision = "int3"', "int3"),
        ('[[layer]]\nname = "nothing*"\nprecision = "int16"', "fits none"),
        ('scheme = "int7"', 'no scheme "int7"'),
        ('min_sqnr = "much"', "wrong type"),
        ("layer = 3", r"begins with \[\[layer\]\]"),
    ],
)
def test_bad_recipes(text: str, message: str, harmed: tuple[Path, Path, Path], tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text(text)
    with pytest.raises((DataError, ConversionError), match=message):
        convert(harmed[0], str(harmed[2]), recipe=tmp_path / "r.toml")


def test_recipes_know_every_option() -> None:
    assert set(OPTIONS) == {f.name for f in fields(Options)}


def test_missing_recipe(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.toml: No such file"):
        load_recipe(tmp_path / "none.toml")


def test_target_of_accuracy_is_met_with_few_layers(harmed: tuple[Path, Path, Path]) -> None:
    plain = convert(harmed[0], str(harmed[2]), rounding="nearest", observer="min-max")
    assert plain.quality is not None and plain.met is None
    wanted = plain.quality.sqnr + 4
    r = convert(harmed[0], str(harmed[2]), rounding="nearest", observer="min-max", min_sqnr=wanted)
    assert r.met and r.quality is not None and r.quality.sqnr >= wanted
    assert 1 <= len(r.raised) < 5 and any("wild" in k for k in r.raised) and r.cost > 0
    impossible = convert(harmed[0], str(harmed[2]), min_sqnr=500.0)
    assert impossible.met is False
    dropped = convert(harmed[0], str(harmed[2]), rounding="nearest", max_drop=0.0)
    assert dropped.quality is not None and (not dropped.met or dropped.quality.agreement == 1.0)


def test_choice_takes_the_cheapest_gain_first() -> None:
    """Of two layers with equal gain the one with a hundredth of the multiply-adds is raised."""
    g = Graph("g", inputs=["x"])
    g.add_tensor(Tensor("x", (1, 100)))
    y = g.add("FULLY_CONNECTED", ["x", g.constant("w", np.ones((100, 100), np.float32)), ""], (1, 100), "large")
    g.outputs = [g.add("FULLY_CONNECTED", [y, g.constant("v", np.ones((1, 100), np.float32)), ""], (1, 1), "small")]
    tried: list[dict[str, str]] = []

    def build(kinds: dict[str, str]) -> Any:
        tried.append(kinds)
        return kinds

    c = choose(g, build, lambda k: 10.0 * len(k), lambda k: len(k) >= 1, {})  # type: ignore[arg-type]
    assert c.kinds == {"small": "int16"} and c.met and 0 < c.cost < 0.2


def test_options_that_contradict(harmed: tuple[Path, Path, Path]) -> None:
    with pytest.raises(ConversionError, match="two targets"):
        convert(harmed[0], str(harmed[2]), min_sqnr=30, max_drop=1)
    with pytest.raises(ConversionError, match="one precision"):
        convert(harmed[0], scheme="dynamic", min_sqnr=30)
    with pytest.raises(ConversionError, match='no target "tpu"'):
        convert(harmed[0], str(harmed[2]), target="tpu")
    with pytest.raises(DataError, match="3 classes, and 40 calibration samples"):
        convert(harmed[0], str(harmed[2]), classes=np.arange(3))


# ---- targets


def int8_graph(op: str, shapes: list[tuple[int, ...]], out: tuple[int, ...], **attrs: Any) -> Graph:
    g = Graph("g")
    names = [g.add_tensor(Tensor(f"x{i}", s, "int8")) for i, s in enumerate(shapes)]
    g.tensors["y"] = Tensor("y", out, "int8")
    g.nodes, g.inputs, g.outputs = [Node(op, names, ["y"], attrs, "y")], [names[0]], ["y"]
    for n in names[1:]:
        g.tensors[n].data = np.ones(g.tensors[n].shape, np.int8)
    return g


@pytest.mark.parametrize(
    ("target", "op", "shapes", "out", "attrs", "why"),
    [
        ("edgetpu", "SOFTMAX", [(1, 4, 10)], (1, 4, 10), {}, "one row"),
        ("edgetpu", "SOFTMAX", [(1, 10)], (1, 10), {}, ""),
        ("edgetpu", "DEPTHWISE_CONV_2D", [(1, 8, 8, 4), (1, 3, 3, 4)], (1, 8, 8, 4), {"dilation_h_factor": 2}, "dilated"),
        ("edgetpu", "HARD_SWISH", [(1, 8)], (1, 8), {}, "no such operator"),
        ("edgetpu", "ADD", [(2, 3, 4, 5, 6)], (2, 3, 4, 5, 6), {}, "three dimensions"),
        ("ethos-u55", "HARD_SWISH", [(1, 8)], (1, 8), {}, ""),
        ("ethos-u55", "CONV_2D", [(1, 9, 9, 2), (2, 3, 3, 2)], (1, 2, 2, 2), {"stride_h": 4, "stride_w": 4}, "at most 3"),
        ("ethos-u55", "RESIZE_BILINEAR", [(1, 4, 4, 2)], (1, 12, 12, 2), {}, "2, 4 or 8 times"),
        ("ethos-u65", "ADD", [(3, 4, 4, 2)], (3, 4, 4, 2), {}, "more than one image"),
        ("cpu", "ERF", [(1, 4)], (1, 4), {}, ""),
    ],
)
def test_targets(
    target: str, op: str, shapes: list[tuple[int, ...]], out: tuple[int, ...], attrs: dict[str, Any], why: str
) -> None:
    found = check(int8_graph(op, shapes, out, **attrs), target)
    assert (why in found[0].why) if why else not found


def test_edge_tpu_runs_what_comes_before_the_first_it_cannot(tmp_path: Path) -> None:
    x = inp = layers.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, activation="relu")(x)
    x = layers.Conv2D(4, 3, activation="hard_swish")(x)
    x = layers.Conv2D(4, 3)(x)
    randomize(keras.Model(inp, x)).save(tmp_path / "m.keras")
    data = np.random.default_rng(0).standard_normal((4, 8, 8, 3)).astype(np.float32)
    found = convert(tmp_path / "m.keras", [d for d in data], target="edgetpu").on_cpu
    assert [(f.op, f.after) for f in found] == [("HARD_SWISH", False), ("CONV_2D", True)]
    assert not convert(tmp_path / "m.keras", [d for d in data], target="ethos-u55").on_cpu
    floats = convert(tmp_path / "m.keras", scheme="float32", target="ethos-u55").on_cpu
    assert floats and "float32" in floats[0].why


# ---- the command line


def test_compare_command(harmed: tuple[Path, Path, Path], tmp_path: Path) -> None:
    out = edgert("compare", harmed[0], harmed[1], "--data", harmed[2], "--html", tmp_path / "p.html").stdout
    assert "wild" in out.splitlines()[2] and "dB, same largest value" in out and (tmp_path / "p.html").exists()
    data = json.loads(edgert("compare", harmed[0], harmed[1], "--data", harmed[2], "--json", "--contributions", "0").stdout)
    assert {"sqnr", "agreement", "layers", "suggestions"} <= set(data) and data["layers"][0]["own"] is None
    bad = edgert("compare", harmed[0], harmed[1], "--data", tmp_path / "no.npy", code=1)
    assert "there is no such file" in bad.stderr


def test_convert_command_reports(harmed: tuple[Path, Path, Path], tmp_path: Path) -> None:
    out = edgert("convert", harmed[0], "--calibrate", harmed[2], "-o", tmp_path / "m.tflite", "--target", "edgetpu").stdout
    assert "folded into others" in out and "dB, same largest value" in out and "on this machine" in out
    missed = edgert(
        "convert", harmed[0], "--calibrate", harmed[2], "-o", tmp_path / "n.tflite", "--min-sqnr", "500", "--no-measure", code=1
    )
    assert "was not reached" in missed.stderr and (tmp_path / "n.tflite").exists()


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_mixed_models_have_the_same_bytes_in_litert(harmed: tuple[Path, Path, Path], data: st.DataObject) -> None:
    """Whatever precision each layer has: also where 8-bit tensors between operators are stored otherwise than their type says."""
    graph = convert(harmed[0], scheme="float32").graph
    entries = tuple(
        Entry(n.outputs[0], "*", data.draw(st.sampled_from(["int8", "int8", "int16", "float32"]))) for n in graph.nodes
    )
    samples = np.load(harmed[2])[:4]
    result = convert(harmed[0], list(samples), recipe=Recipe({"rounding": "nearest"}, entries), output_type="float32")
    q = result.graph.tensors[result.graph.inputs[0]].quantization
    x = samples[:1] if q is None else np.clip(np.rint(samples[:1] / q.scale[0]) + q.zero_point[0], -128, 127).astype(np.int8)
    expected = reference(result.model, [x])
    assert expected is not None
    np.testing.assert_allclose(run(Interpreter(model_content=result.model), [x])[0], expected[0], rtol=1e-5, atol=1e-5)
