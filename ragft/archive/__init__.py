"""Runs after they have ended: found by name, listed, compared, tagged, pruned.

Reads run folders wherever they lie, also those copied from another machine: nothing here follows an absolute path that
a run has recorded. The only things it changes are the tags and the hashes of reports in a manifest; the only thing it
removes is a whole run folder. Must not know how any number was made.
"""

from ragft.archive.diffing import RunDiff, diff_runs
from ragft.archive.editing import change_tags, record_artifacts
from ragft.archive.finding import find_run, select
from ragft.archive.folders import StoredRun, list_runs, open_run
from ragft.archive.pruning import PrunePlan, plan_prune, prune
from ragft.archive.summaries import RunDetails, RunSummary, Stage, details, summarise

__all__ = [
    "PrunePlan",
    "RunDetails",
    "RunDiff",
    "RunSummary",
    "Stage",
    "StoredRun",
    "change_tags",
    "details",
    "diff_runs",
    "find_run",
    "list_runs",
    "open_run",
    "plan_prune",
    "prune",
    "record_artifacts",
    "select",
    "summarise",
]
