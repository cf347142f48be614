"""Models of the operators' tests, changed at random: the reference's answers, or a reason that is known."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "scripts/differential.py"


def test_changed_models() -> None:
    done = subprocess.run([sys.executable, SCRIPT, "--each", "5"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    counts = {what.strip(): int(n) for n, _, what in (line.strip().partition(" ") for line in done.stdout.splitlines())}
    assert counts["same"] > 1500, done.stdout
