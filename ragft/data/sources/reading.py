"""All sources in one list: each kind is read by its own module, and ids are unique across them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import assert_never

from ragft.config import FieldNames
from ragft.config.knowledge import DatabaseSource, FilesSource, HubSource, Source, WebSource
from ragft.data.sources.extras import extra_module
from ragft.data.sources.files import read_files
from ragft.data.sources.found import Found, Item, Reading, SetAside
from ragft.data.sources.listing import list_files
from ragft.errors import DataError
from ragft.records import Document


def read_sources(
    sources: Sequence[Source],
    fields: FieldNames,
    *,
    cache_dir: Path | None,
    on_document: Callable[[int], None] = lambda n: None,
) -> Reading:
    """Return every document of every source, sorted by id, and what was set aside.

    Args:
        sources: `data.documents`.
        fields: What the columns of row files are called.
        cache_dir: Folder for pages and data sets that are kept between runs; nothing is kept when None.
        on_document: Called with the number of documents seen so far, those set aside included.

    Raises:
        DataError: A source that does not exist or gives nothing, two documents with one id, unknown columns, bad SQL.
    """
    places: dict[str, str] = {}
    documents: list[Document] = []
    set_aside: list[SetAside] = []
    for source in sources:
        before = len(documents) + len(set_aside)
        for item in _items(source, fields, cache_dir):
            if isinstance(item, SetAside):
                set_aside.append(item)
            else:
                _claim_id(places, item)
                documents.append(item.document)
            on_document(len(documents) + len(set_aside))
        if len(documents) + len(set_aside) == before:
            raise DataError(f"{_name(source)}: the source gives no documents", "data.documents names it")
    return Reading(tuple(sorted(documents, key=lambda document: document.id)), tuple(set_aside))


def source_files(sources: Iterable[Source]) -> list[Path]:
    """Return the files of this machine that `files` sources read, sorted; DataError where a source gives none."""
    return sorted({file for source in sources if isinstance(source, FilesSource) for file in list_files(source)})


def _claim_id(places: dict[str, str], item: Found) -> None:
    id_ = item.document.id
    if id_ in places:
        raise DataError(f"{item.where}: document id {id_!r} stands already at {places[id_]}")
    places[id_] = item.where


def _items(source: Source, fields: FieldNames, cache_dir: Path | None) -> Iterator[Item]:
    match source:
        case FilesSource():
            return read_files(source, fields)
        case WebSource():
            extra_module("httpx", "web", "reading web pages")
            from ragft.data.sources.web import read_web

            return read_web(source, cache_dir)
        case DatabaseSource():
            from ragft.data.sources.database import read_database

            return read_database(source)
        case HubSource():
            from ragft.data.sources.hub import read_hub

            return read_hub(source, cache_dir)
        case _:
            assert_never(source)


def _name(source: Source) -> str:
    match source:
        case FilesSource():
            return str(source.path)
        case WebSource():
            from ragft.data.sources.web import shown_url

            return ", ".join(map(shown_url, (*source.urls, *source.sitemaps)))
        case DatabaseSource():
            from ragft.data.sources.database import shown_url as shown_database

            return shown_database(source.url)
        case HubSource():
            return source.dataset
        case _:
            assert_never(source)
