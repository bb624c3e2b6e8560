"""What people see: progress and news on stderr, results on stdout, errors as a message, a hint and an exit code.

The only code that knows Rich. It computes nothing: every number comes from a record.
"""

from ragft.console.answers import Speaker, answer_notes, sources_text
from ragft.console.arms import arms_table
from ragft.console.checks import checks_table
from ragft.console.gates import gates_table, tell_github
from ragft.console.guarding import guarded
from ragft.console.probes import probe_plan, probes_text
from ragft.console.retrieval import retrieval_page
from ragft.console.tables import adapters_table
from ragft.console.terminal import Terminal, quiet_libraries
from ragft.console.texts import index_text, plan_text, set_aside_lines, verdict_text

__all__ = [
    "Speaker",
    "Terminal",
    "adapters_table",
    "answer_notes",
    "arms_table",
    "checks_table",
    "gates_table",
    "guarded",
    "index_text",
    "plan_text",
    "probe_plan",
    "probes_text",
    "quiet_libraries",
    "retrieval_page",
    "set_aside_lines",
    "sources_text",
    "tell_github",
    "verdict_text",
]
