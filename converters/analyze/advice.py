"""What would help a layer, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..quantize.rules import RULES

if TYPE_CHECKING:
    from .compare import LayerReport

# From here on something is worth saying.
_CHANNELS, _OUTLIER, _SATURATED, _BIASED, _GAIN = 20.0, 4.0, 0.01, 0.5, 1.0


def advise(r: LayerReport) -> str:
    """One or two sentences, or nothing where the layer does no harm."""
    found = []
    gain = r.others - r.base if r.others is not None and r.base is not None else 0.0
    harmful = gain > _GAIN or (r.own is not None and r.base is not None and r.own < r.base + 6)
    if not harmful and r.sqnr > 20:
        return ""
    given = r.op in RULES and RULES[r.op].fixed is not None  # a range that the specification sets
    width, core = r.seen[1] - r.seen[0], r.core[1] - r.core[0]
    if r.kind != "float32" and r.saturation > _SATURATED and not given:
        found.append(
            f"{100 * r.saturation:.1f}% of its values lie beyond its range; try --observer min-max, or calibrate on more data"
        )
    elif r.kind == "int8" and core > 0 and width > _OUTLIER * core and not given:
        found.append(
            f"its largest values are {width / core:.0f} times what 99.8% of them reach; try --observer percentile, or an activation that is bounded"
        )
    if r.channel_ratio is not None and r.channel_ratio > _CHANNELS:
        found.append(f"one channel's weights are {r.channel_ratio:.0f} times those of the median channel; try --equalize")
    if r.kind != "float32" and abs(r.error) > _BIASED:
        found.append(f"its outputs are off by {r.error:+.2f} steps on the average; --rounding reconstruct corrects that")
    if r.kind == "int8" and gain > _GAIN:
        found.append(
            f"in 16 bits or float the outputs would gain up to {gain:.1f} dB, for about {100 * r.raised:.0f}% more time (precision in a --recipe, or --min-sqnr)"
        )
    return "; ".join(found)
