"""The reports of one run: an HTML page and a Markdown summary, both pure functions of the run folder's JSON files.

Only renders: no number is computed here that the run folder does not hold, none is invented, and nothing ever reads a
report back.
"""

from ragft.report.contents import ReportData
from ragft.report.loading import load_report
from ragft.report.markdown import render_markdown
from ragft.report.page import render_html

__all__ = ["ReportData", "load_report", "render_html", "render_markdown"]
