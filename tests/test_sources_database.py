"""Documents from real databases: SQLite files, and a PostgreSQL server that the tests start."""

from __future__ import annotations

import sqlite3
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

pytest.importorskip("sqlalchemy")
import postgres_server
import sqlalchemy

from ragft.config import FieldNames
from ragft.config.knowledge import DatabaseSource
from ragft.data.sources import Reading, SetAside, read_sources
from ragft.data.sources.database import read_database
from ragft.data.sources.found import Found
from ragft.errors import DataError
from ragft.records import Document

QUERY = "SELECT id, name, body, year, price FROM harbours ORDER BY id"
NAMES = {"title": "name", "text": "body", "metadata": ("year", "price")}


def read(url: str, query: str = QUERY, **options: Any) -> Reading:
    source = DatabaseSource.model_validate({"kind": "database", "url": url, "query": query, **options})
    return read_sources([source], FieldNames(), cache_dir=None)


def fault(url: str, query: str = QUERY, **options: Any) -> DataError:
    with pytest.raises(DataError) as caught:
        read(url, query, **options)
    return caught.value


@pytest.fixture
def sqlite(tmp_path: Path) -> str:
    path = tmp_path / "facts.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE harbours (id INTEGER, name TEXT, body TEXT, year INTEGER, price REAL)")
        rows = [(1, "Aldmoor", "green", 1911, 0.5), (2, None, "red", None, 1.5), (3, "Corvel", None, 1934, 2.5)]
        connection.executemany("INSERT INTO harbours VALUES (?, ?, ?, ?, ?)", [*rows, (None, "x", "no id", 1, 1.0)])
        connection.execute("INSERT INTO harbours VALUES (5, 'latin', CAST(x'61e9' AS TEXT), 2, 2.0)")
    connection.close()
    return f"sqlite:///{path}"


def test_rows_of_sqlite_are_documents_and_null_is_set_aside(sqlite: str) -> None:
    columns = "the row has id, name, body, year, price"
    assert read(sqlite, **NAMES) == Reading(
        (
            Document("1", "Aldmoor", "green", {"year": 1911, "price": 0.5}),
            Document("2", "", "red", {"price": 1.5}),
        ),
        (
            SetAside(f"{sqlite}: row 1", f"no 'id' (the document's id); {columns}"),
            SetAside(f"{sqlite}: row 4", f"no 'body' (the document's text); {columns}"),
            SetAside(f"{sqlite}: row 5", "the text is not UTF-8 (byte 1)"),
        ),
    )


def test_unknown_columns_are_named_with_those_of_the_query(sqlite: str) -> None:
    error = fault(sqlite, title="heading", metadata=("yaer",))
    assert error.message == (
        f"{sqlite}: no column 'heading' and 'text' and 'yaer'; the columns are id, name, body, year, price"
    )


def test_a_query_is_sent_as_it_is_written(sqlite: str) -> None:
    """Percent signs and colons are placeholders to some layer between here and the driver."""
    query = "SELECT id, body || ' 100% :x ?' AS text FROM harbours WHERE body LIKE 'gr%' AND ':id' <> '%s' ; "
    assert read(sqlite, query).documents == (Document("1", "", "green 100% :x ?"),)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("SELECT * FROM harbors", "no such table: harbors"),
        ("SELEKT 1", 'near "SELEKT": syntax error'),
        ("DROP TABLE harbours", "attempt to write a readonly database"),
        ("DELETE FROM harbours RETURNING id, body AS text", "attempt to write a readonly database"),
    ],
)
def test_bad_sql_is_told_in_the_words_of_the_driver_and_nothing_is_written(sqlite: str, query: str, said: str) -> None:
    assert fault(sqlite, query).message == f"{sqlite}: {said}"
    assert len(read(sqlite, "SELECT id, 'x' AS text FROM harbours WHERE id > 0").documents) == 4


def test_a_query_that_gives_nothing_is_an_error(sqlite: str) -> None:
    assert fault(sqlite, "SELECT id, body AS text FROM harbours WHERE id > 99").message == (
        f"{sqlite}: the source gives no documents"
    )
    assert fault(sqlite, "PRAGMA cache_size = 5").message == f"{sqlite}: the query gives no rows"


def test_two_columns_of_one_name_are_refused(sqlite: str) -> None:
    query = "SELECT a.id, b.id, a.body AS text FROM harbours a JOIN harbours b"
    error = fault(sqlite, query)
    assert error.message == f"{sqlite}: the query gives two columns called 'id'"
    assert error.hint == "name one of them with AS"


def test_an_endless_query_ends_at_its_time(sqlite: str) -> None:
    endless = "WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n) SELECT id, 'x' AS text FROM n"
    silent = f"SELECT count(*) AS id, 'x' AS text FROM ({endless})"
    for query in (endless, silent):
        began = time.monotonic()
        error = fault(sqlite, query, timeout_s=0.3)
        assert error.message.startswith(f"{sqlite}: the query took longer than 0.3 s")
        assert time.monotonic() - began < 3


@pytest.mark.parametrize(
    "address", ["sqlite:///{}", "sqlite:///file:{}?uri=true", "sqlite:///file:{}?mode=rwc&uri=true"]
)
def test_a_database_that_does_not_exist_is_not_made(tmp_path: Path, address: str) -> None:
    """SQLite makes a missing file, also where it is named as a URI, and then finds no table in it."""
    path = tmp_path / "gone.db"
    assert fault(address.format(path)).message == f"{path}: no such database file"
    assert not path.exists()


def test_a_missing_database_is_named_by_its_whole_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    error = fault("sqlite:///gone.db")
    assert error.message == f"{tmp_path / 'gone.db'}: no such database file"
    assert error.hint == "data.documents names it; paths start at the experiment file"


def test_a_database_in_memory_is_no_file() -> None:
    for address in ("sqlite://", "sqlite:///:memory:", "sqlite:///file:x?mode=memory&uri=true"):
        assert read(address, "SELECT 1 AS id, 'a' AS text").documents == (Document("1", "", "a"),)


def test_what_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "text.db"
    path.write_bytes(b"no database at all" * 100)
    assert fault(f"sqlite:///{path}").message == f"sqlite:///{path}: file is not a database"


def test_what_is_no_address_or_has_no_driver() -> None:
    error = fault("no address: hunter2")
    assert error.message == "data.documents: not the address of a database"
    assert "hunter2" not in f"{error.message}{error.hint}"
    message = fault("oracle+nonesuch://me:hunter2@host/db").message
    assert message.startswith("oracle+nonesuch://me:***@host/db: no driver for this database: ")


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """The address of a PostgreSQL server with the same table as SQLite's."""
    pytest.importorskip("psycopg")
    if postgres_server.programs() is None or postgres_server.account() is None:
        pytest.skip("NOT TESTED: PostgreSQL (no initdb and pg_ctl on this machine, or no user who may run them)")
    # Not in pytest's folder: the server's own user must be able to enter every folder above.
    with tempfile.TemporaryDirectory() as folder, postgres_server.cluster(Path(folder)) as port:
        url = f"postgresql+psycopg://reader:{quote(postgres_server.PASSWORD, safe='')}@127.0.0.1:{port}/postgres"
        engine = sqlalchemy.create_engine(url)
        with engine.begin() as connection:
            run = connection.exec_driver_sql
            run("CREATE TABLE harbours (id INT, name TEXT, body TEXT, year INT, price NUMERIC, day DATE, tags TEXT[])")
            run("INSERT INTO harbours VALUES (1, 'Aldmoor', 'green', 1911, 0.5, '2026-01-02', '{a}')")
            run("INSERT INTO harbours VALUES (2, NULL, 'red', NULL, 1.5, NULL, NULL)")
            run("INSERT INTO harbours VALUES (3, 'Corvel', NULL, 1, 1, NULL, NULL)")
        engine.dispose()
        yield url


def shown(url: str) -> str:
    return url.replace(quote(postgres_server.PASSWORD, safe=""), "***")


def test_rows_of_postgresql_are_documents_with_the_same_types(postgres: str) -> None:
    columns = "the row has id, name, body, year, price"
    assert read(postgres, **NAMES) == Reading(
        (
            Document("1", "Aldmoor", "green", {"year": 1911, "price": 0.5}),
            Document("2", "", "red", {"price": 1.5}),
        ),
        (SetAside(f"{shown(postgres)}: row 3", f"no 'body' (the document's text); {columns}"),),
    )
    short = postgres.replace("postgresql+psycopg://", "postgresql://")
    query = "SELECT gen_random_uuid() AS id, 'x'::text AS text, day FROM harbours WHERE body LIKE 'gr%';"
    (document,) = read(short, query, metadata=("day",)).documents
    assert (len(document.id), document.metadata) == (36, {"day": "2026-01-02"})


def test_a_list_in_metadata_is_an_error_that_names_the_column(postgres: str) -> None:
    error = fault(postgres, "SELECT id, body AS text, tags FROM harbours WHERE id = 1", metadata=("tags",))
    assert error.message == (
        f"{shown(postgres)}: row 1: column 'tags' holds a value of type list; "
        "metadata is text, numbers and true or false"
    )


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("SELECT * FROM harbors", 'relation "harbors" does not exist'),
        ("DROP TABLE harbours", "syntax error at or near"),
        (
            "WITH gone AS (DELETE FROM harbours RETURNING id) SELECT id, 'x' AS text FROM gone",
            "DECLARE CURSOR must not contain data-modifying statements in WITH",
        ),
        ("SELECT setval('numbers', 1) AS id, 'x' AS text", "does not exist"),
    ],
)
def test_postgresql_says_what_is_wrong_and_nothing_is_written(postgres: str, query: str, said: str) -> None:
    error = fault(postgres, query)
    assert said in error.message
    assert error.message.startswith(f"{shown(postgres)}: ")
    assert len(read(postgres, "SELECT id, 'x' AS text FROM harbours").documents) == 3


def test_a_function_that_writes_is_refused_by_a_read_only_session(postgres: str) -> None:
    engine = sqlalchemy.create_engine(postgres)
    with engine.begin() as connection:
        body = "$$ DELETE FROM harbours; SELECT 1 $$"
        connection.exec_driver_sql(f"CREATE OR REPLACE FUNCTION wipe() RETURNS int LANGUAGE sql AS {body}")
    engine.dispose()
    assert "read-only transaction" in fault(postgres, "SELECT wipe() AS id, 'x' AS text").message
    assert len(read(postgres, "SELECT id, 'x' AS text FROM harbours").documents) == 3


def test_a_slow_query_of_postgresql_ends_at_its_time(postgres: str) -> None:
    began = time.monotonic()
    error = fault(postgres, "SELECT 1 AS id, pg_sleep(30)::text AS text", timeout_s=0.5)
    assert time.monotonic() - began < 5
    assert "the query took longer than 0.5 s" in error.message


def test_rows_are_streamed(postgres: str) -> None:
    """The query never ends: a cursor that fetches everything before the first row would wait for its time-out."""
    endless = "WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n) SELECT id, 'x' AS text FROM n"
    rows = read_database(DatabaseSource(kind="database", url=postgres, query=endless, timeout_s=20))
    began = time.monotonic()
    assert next(rows) == Found(f"{shown(postgres)}: row 1", Document("1", "", "x"))
    assert time.monotonic() - began < 5
    rows.close()


def test_a_wrong_password_and_a_server_that_is_not_there_are_told_without_the_password(postgres: str) -> None:
    for wrong in ("sec%2Fret", "sec%40ret%25"):
        url = postgres.replace(quote(postgres_server.PASSWORD, safe=""), wrong)
        message = fault(url).message
        assert "password authentication failed" in message
        assert "sec" not in message
    message = fault("postgresql://me:hunter2@127.0.0.1:1/db?password=hunter3", timeout_s=2).message
    assert "refused" in message
    assert "hunter" not in message
