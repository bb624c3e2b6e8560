"""What people see: progress and news on stderr, results on stdout, errors as a message, a hint and an exit code.

The only code that knows Rich. It computes nothing: every number comes from a record.
"""

from ragft.console.gates import gates_table, tell_github
from ragft.console.guarding import guarded
from ragft.console.tables import adapters_table, arms_table, estimates_table
from ragft.console.terminal import Terminal, quiet_libraries
from ragft.console.texts import answer_text, index_text, plan_text, set_aside_lines, verdict_text

__all__ = [
    "Terminal",
    "adapters_table",
    "answer_text",
    "arms_table",
    "estimates_table",
    "gates_table",
    "guarded",
    "index_text",
    "plan_text",
    "quiet_libraries",
    "set_aside_lines",
    "tell_github",
    "verdict_text",
]
