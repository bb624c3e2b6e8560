"""Where documents come from: files, web pages, databases and data sets of the Hugging Face hub.

A document that cannot be read is set aside with its reason; a fault of the experiment (a path that does not exist, an
unknown column, two documents with one id) is a DataError. Nothing in a document is executed or changes a path.
"""

from ragft.data.sources.found import Reading, SetAside, check_failures
from ragft.data.sources.reading import read_sources, source_files

__all__ = ["Reading", "SetAside", "check_failures", "read_sources", "source_files"]
