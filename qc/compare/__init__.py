"""Two reports, or two runs, side by side: which figures differ by more than chance, and which can't be compared."""

from __future__ import annotations

from qc.compare.comparison import Comparison, Row, compare
from qc.compare.differences import Difference, Samples, difference
from qc.compare.page import render_comparison

__all__ = ["Comparison", "Difference", "Row", "Samples", "compare", "difference", "render_comparison"]
