"""The report page: one self-contained HTML file rendered from qc_report.json alone."""

from qc.report.page.document import render_page

__all__ = ["render_page"]
