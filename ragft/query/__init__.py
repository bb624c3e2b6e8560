"""The command `rag-query`: questions to one arm, answered word by word, with numbered and marked sources."""

from __future__ import annotations

from ragft.arms.support import Span
from ragft.query.results import Nearest, QueryResult, Seconds, Source
from ragft.query.session import Session

__all__ = ["Nearest", "QueryResult", "Seconds", "Session", "Source", "Span"]
