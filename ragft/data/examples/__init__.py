"""Labelled examples: files and data sets whose columns may have any name, samples by seed, and the split into parts.

Unlike documents, no row is ever set aside: labels are few and dear, so a row that cannot be read is a DataError with
its place. The rows of each format come from the same readers as those of documents.
"""

from ragft.data.examples.reading import example_files
from ragft.data.examples.splits import Splits, load_examples, load_splits, sample

__all__ = ["Splits", "example_files", "load_examples", "load_splits", "sample"]
