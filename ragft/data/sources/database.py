"""Documents from a database: one for each row of a query, through SQLAlchemy, without writing to it."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from ragft.config.knowledge import DatabaseSource
from ragft.data.sources.extras import extra_module
from ragft.data.sources.found import Item, one_line, printable
from ragft.data.sources.rows import Columns
from ragft.errors import DataError

ROWS_AT_ONCE = 500
SQLITE_STEPS = 10_000
"""Steps of SQLite's machine between two looks at the clock: about a millisecond."""
_SECRET_NAME = re.compile("pass|pwd|secret|token|key", re.IGNORECASE)
_HIDDEN = "***"


def read_database(source: DatabaseSource) -> Iterator[Item]:
    """Yield a document for each row of the query; a row without an id or a text is set aside.

    The connection is read-only where the database can be told so (SQLite, PostgreSQL); everywhere else nothing is ever
    committed. Rows are streamed.

    Raises:
        DataError: A wrong address, no connection, bad SQL, an unknown column, or a query over its time, in the words
            of the driver, with passwords hidden.
    """
    sqlalchemy = extra_module("sqlalchemy", "database", "reading a database")
    url = _parsed(sqlalchemy, source.url)
    where = _shown(url)
    deadline = time.monotonic() + source.timeout_s
    try:
        engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.pool.NullPool, connect_args=_options(url, source))
    except (ImportError, sqlalchemy.exc.ArgumentError, sqlalchemy.exc.NoSuchModuleError) as error:
        hint = "pip install 'ragft[database]' brings SQLite and PostgreSQL; others need their own driver"
        raise DataError(f"{where}: no driver for this database: {_said(error, url)}", hint) from None
    if url.get_backend_name() == "sqlite":
        sqlalchemy.event.listen(engine, "connect", lambda connection, record: _guard_sqlite(connection, deadline))
    try:
        with engine.connect() as connection:
            yield from _rows(connection, source, where, deadline)
    except sqlalchemy.exc.SQLAlchemyError as error:
        raise DataError(f"{where}: {_failure(error, url, source, deadline)}", "data.documents names it") from None
    finally:
        engine.dispose()


def _rows(connection: Any, source: DatabaseSource, where: str, deadline: float) -> Iterator[Item]:  # noqa: ANN401
    options = {"no_parameters": True, "stream_results": True, "yield_per": ROWS_AT_ONCE}
    query = source.query.strip().rstrip(";").rstrip()
    result = connection.exec_driver_sql(query, execution_options=options)
    if not result.returns_rows:
        raise DataError(f"{where}: the query gives no rows", "`query` must be a SELECT statement")
    columns = Columns(source.id, source.title, source.text, source.metadata)
    with closing(result):
        names = list(result.keys())
        columns.check(names, where)
        twice = next((name for name in columns.required if names.count(name) > 1), None)
        if twice is not None:
            raise DataError(f"{where}: the query gives two columns called {twice!r}", "name one of them with AS")
        for number, row in enumerate(result.mappings(), start=1):
            if time.monotonic() > deadline:
                raise DataError(f"{where}: the query took longer than {source.timeout_s:g} s", "raise timeout_s")
            yield columns.item(row, f"{where}: row {number}")


def _parsed(sqlalchemy: Any, address: str) -> Any:  # noqa: ANN401 - SQLAlchemy's URL
    try:
        url = sqlalchemy.make_url(address)
        url = url.set(drivername="postgresql+psycopg") if url.drivername in ("postgresql", "postgres") else url
    except (sqlalchemy.exc.ArgumentError, ValueError):
        shape = "dialect://user:${PASSWORD}@host/name, or sqlite:///path"
        raise DataError("data.documents: not the address of a database", f"SQLAlchemy's form is {shape}") from None
    path = _sqlite_file(url)
    if path is not None and not path.is_file():  # SQLite would create it
        raise DataError(
            f"{printable(path.absolute())}: no such database file",
            "data.documents names it; paths start at the experiment file",
        )
    return url


def _sqlite_file(url: Any) -> Path | None:  # noqa: ANN401
    """Return the file that an address of SQLite names, None for a database in memory and for one of another kind."""
    if url.get_backend_name() != "sqlite" or not url.database or ":memory:" in url.database:
        return None
    if url.query.get("mode") == "memory":
        return None
    name = str(url.database)
    return Path(unquote(urlsplit(name).path)) if name.startswith("file:") else Path(name)


def _options(url: Any, source: DatabaseSource) -> dict[str, Any]:  # noqa: ANN401
    """Return what the driver is told: how long to wait, and to refuse writing where it knows how."""
    if url.get_backend_name() == "sqlite":
        return {"timeout": source.timeout_s}
    if url.get_backend_name() == "postgresql" and url.get_driver_name() == "psycopg":
        milliseconds = max(1, int(source.timeout_s * 1000))
        given = url.query.get("options", "")
        read_only = f"-c default_transaction_read_only=on -c statement_timeout={milliseconds}"
        return {"connect_timeout": max(2, round(source.timeout_s)), "options": f"{given} {read_only}".strip()}
    return {}


def _guard_sqlite(connection: Any, deadline: float) -> None:  # noqa: ANN401 - a connection of the driver
    connection.execute("PRAGMA query_only = ON")
    connection.text_factory = _text_or_bytes
    connection.set_progress_handler(lambda: time.monotonic() > deadline, SQLITE_STEPS)


def _text_or_bytes(raw: bytes) -> str | bytes:
    """Return text, or the bytes that are none: one wrong row is set aside instead of ending the query."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw


def _failure(error: Exception, url: Any, source: DatabaseSource, deadline: float) -> str:  # noqa: ANN401
    said = _said(error, url)
    over_time = time.monotonic() >= deadline or "statement timeout" in said
    return f"the query took longer than {source.timeout_s:g} s ({said}); raise timeout_s" if over_time else said


def _said(error: Exception, url: Any) -> str:  # noqa: ANN401
    """Return the driver's message in one line, without the statement and without any secret of the address."""
    said = one_line(str(getattr(error, "orig", None) or error))
    secrets = [str(url.password)] if url.password else []
    secrets += [str(value) for name, value in url.query.items() if _SECRET_NAME.search(name)]
    for secret in sorted(secrets, key=len, reverse=True):
        said = said.replace(secret, _HIDDEN) if secret else said
    return said[:500]


def _shown(url: Any) -> str:  # noqa: ANN401
    query = {name: _HIDDEN if _SECRET_NAME.search(name) else value for name, value in url.query.items()}
    return printable(url.set(query=query).render_as_string(hide_password=True))


def shown_url(address: str) -> str:
    """Return the address of a database as it may be shown: passwords are `***`."""
    sqlalchemy = extra_module("sqlalchemy", "database", "reading a database")
    return _shown(_parsed(sqlalchemy, address))
