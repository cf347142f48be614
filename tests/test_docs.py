"""Pages that are made from the sources are up to date, and what they promise holds."""

from __future__ import annotations

import re
import subprocess
import sys

from .support import ROOT


def test_operators_page_is_fresh() -> None:
    done = subprocess.run([sys.executable, ROOT / "scripts/operators.py", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_operator_is_tested() -> None:
    """Each line of the page names a test file that names the operator."""
    page = (ROOT / "docs/operators.md").read_text()
    rows = re.findall(r"^\| ([A-Z_0-9]+) \|.*\(\.\./(\S+)\) \|$", page, re.M)
    assert len(rows) >= 130
    for name, path in rows:
        assert name in (ROOT / path).read_text(), name


def test_links_of_the_pages_lead_somewhere() -> None:
    for page in [ROOT / "README.md", ROOT / "SECURITY.md", ROOT / "native/README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        for link in re.findall(r"\]\(([^)#\s]+)", page.read_text()):
            if "://" not in link:
                assert (page.parent / link).exists(), f"{page.name}: {link}"
