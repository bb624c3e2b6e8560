"""Files of every kind, made by ordinary libraries: what is read from them, and why some are set aside."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from ragft.config import FieldNames
from ragft.config.knowledge import FilesSource
from ragft.data.sources import Reading, SetAside, read_sources, source_files
from ragft.data.sources.listing import matches
from ragft.errors import DataError
from ragft.records import Document


def put(path: Path, text: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def read(path: Path, **options: Any) -> Reading:
    return read_sources([FilesSource(path=path, **options)], FieldNames(), cache_dir=None)


def one(path: Path, **options: Any) -> Document:
    reading = read(path, **options)
    assert reading.set_aside == ()
    (document,) = reading.documents
    return document


def reason(path: Path, **options: Any) -> str:
    reading = read(path, **options)
    assert reading.documents == ()
    (item,) = reading.set_aside
    assert item.where == str(path)
    return item.reason


def fault(path: Path, **options: Any) -> DataError:
    with pytest.raises(DataError) as caught:
        read(path, **options)
    return caught.value


def ids(path: Path, **options: Any) -> list[str]:
    return [document.id for document in read(path, **options).documents]


def test_a_folder_is_read_with_its_subfolders_and_without_what_is_hidden(tmp_path: Path) -> None:
    for name in ("z.txt", "sub/deep/tide_table.MD", ".hidden.txt", ".git/config.txt", "~$lock.png", "image.png"):
        put(tmp_path / name, "text")
    (tmp_path / "folder.md").mkdir()
    assert read(tmp_path).documents == (
        Document("sub/deep/tide_table", "tide table", "text", {"source": "sub/deep/tide_table.MD"}),
        Document("z", "z", "text", {"source": "z.txt"}),
    )
    assert ids(tmp_path / "z.txt") == ["z"]


def test_globs_choose_and_leave_out(tmp_path: Path) -> None:
    for name in ("a.md", "b.txt", "drafts/c.md", "sub/d.md", "sub/drafts/e.txt"):
        put(tmp_path / name, "text")
    assert ids(tmp_path, include=("*.md",)) == ["a"]
    assert ids(tmp_path, include=("**/*.md",)) == ["a", "drafts/c", "sub/d"]
    assert ids(tmp_path, include=("**/*.md",), exclude=("drafts/**",)) == ["a", "sub/d"]
    assert ids(tmp_path, exclude=("**/drafts",)) == ["a", "b", "sub/d"]
    assert ids(tmp_path, include=("sub/**", "b.*")) == ["b", "sub/d", "sub/drafts/e"]
    assert fault(tmp_path, include=("*.md", "*.pdf")).message.startswith(
        f"{tmp_path}: no document matches include '*.pdf'"
    )
    assert fault(tmp_path, exclude=("**",)).message.endswith("; exclude leaves out 5")


@pytest.mark.parametrize(
    ("pattern", "matching", "other"),
    [
        ("*.md", ["a.md", "[x].md"], ["sub/a.md", "a.mdx", "A.MD"]),
        ("**/*.md", ["a.md", "sub/a.md", "s/t/a.md"], ["a.txt"]),
        ("a/**/b.txt", ["a/b.txt", "a/x/b.txt", "a/x/y/b.txt"], ["ab.txt", "a/xb.txt"]),
        ("a/**", ["a/b", "a/b/c"], ["b", "ab"]),
        ("[ab]?.txt", ["a1.txt"], ["c1.txt", "a.txt", "a/.txt"]),
        ("a.b+(c).txt", ["a.b+(c).txt"], ["aXb+(c).txt"]),
        ("./x.md", ["x.md"], ["y/x.md"]),
    ],
)
def test_globs_as_people_know_them(pattern: str, matching: list[str], other: list[str]) -> None:
    assert [name for name in [*matching, *other] if matches(name, pattern)] == matching


def test_links_that_go_round_in_circles_end(tmp_path: Path) -> None:
    put(tmp_path / "a" / "one.txt", "text")
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "b").symlink_to(tmp_path / "a")
    (tmp_path / "self.txt").symlink_to(tmp_path / "self.txt")
    reading = read(tmp_path)
    assert [document.id for document in reading.documents] == ["a/one"]
    assert [item.where for item in reading.set_aside] == [str(tmp_path / "self.txt")]


def test_what_is_no_plain_file_is_set_aside(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.txt")
    os.mkfifo(tmp_path / "pipe.jsonl")
    (tmp_path / "gone.md").symlink_to(tmp_path / "nowhere.md")
    assert read(tmp_path).set_aside == (
        SetAside(str(tmp_path / "gone.md"), "cannot be read: No such file or directory"),
        SetAside(str(tmp_path / "pipe.jsonl"), "not a regular file"),
        SetAside(str(tmp_path / "pipe.txt"), "not a regular file"),
    )


def test_a_name_that_could_harm_a_terminal_is_shown_harmlessly(tmp_path: Path) -> None:
    put(tmp_path / "a\x1b[2Jb.txt", "text")
    put(tmp_path / os.fsdecode(b"caf\xe9.txt"), "text")
    assert [(item.where, item.reason) for item in read(tmp_path).set_aside] == [
        (f"{tmp_path}/a\\x1b[2Jb.txt", "the id 'a\\x1b[2Jb' holds a control character (U+001B)"),
        (f"{tmp_path}/caf\\udce9.txt", "the id 'caf\\udce9' holds a control character (U+DCE9)"),
    ]


@pytest.mark.parametrize(
    ("text", "title", "body"),
    [
        ("# Tide table\n\nHigh at six.\n", "Tide table", "High at six."),
        ("\n\n#  Tide table  ##  \nHigh at six.", "Tide table", "High at six."),
        ("# C#\nA language.\n", "C#", "A language."),
        ("# Only a title\n", "Only a title", "Only a title"),
        ("#\n\nHigh at six.\n", "sea level", "#\n\nHigh at six.\n"),
        ("#Tide\nHigh at six.\n", "sea level", "#Tide\nHigh at six.\n"),
        ("## Second level\nHigh at six.\n", "sea level", "## Second level\nHigh at six.\n"),
        ("High at six.\n\n# Later\n", "sea level", "High at six.\n\n# Later\n"),
        ("\ufeff# Tide table\r\nHigh at six.\r\n", "Tide table", "High at six."),
    ],
)
def test_the_first_heading_of_a_markdown_file_is_its_title(tmp_path: Path, text: str, title: str, body: str) -> None:
    document = one(put(tmp_path / "sea-level.md", text))
    assert (document.id, document.title, document.text) == ("sea-level", title, body)


def test_a_text_file_has_no_headings(tmp_path: Path) -> None:
    document = one(put(tmp_path / "a.txt", "# 1 is a number\n2"))
    assert (document.title, document.text) == ("a", "# 1 is a number\n2")


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("abc é".encode("latin-1"), "not UTF-8 text (byte 4); save the file as UTF-8"),
        ("abc".encode("utf-16"), "not UTF-8 text (byte 0); save the file as UTF-8"),
        (b"", "the file is empty"),
        (b" \n\n", "the file is empty"),
        ("\ufeff \n".encode(), "the file is empty"),
    ],
)
def test_text_in_another_encoding_and_empty_text_are_set_aside(tmp_path: Path, raw: bytes, expected: str) -> None:
    assert reason(put(tmp_path / "a.md", raw)) == expected


def test_the_size_limit_is_the_last_size_that_is_read(tmp_path: Path) -> None:
    assert len(one(put(tmp_path / "a.txt", "x" * 2000), max_megabytes=0.002).text) == 2000
    assert reason(put(tmp_path / "a.txt", "x" * 2001), max_megabytes=0.002) == (
        "0.0 MB, over the limit of 0.002 MB (max_megabytes)"
    )


def test_a_source_that_gives_nothing_is_an_error(tmp_path: Path) -> None:
    assert fault(tmp_path / "gone").message == f"{tmp_path / 'gone'}: no such file or folder"
    assert "paths start at the experiment file" in (fault(tmp_path / "gone").hint or "")
    (tmp_path / "empty").mkdir()
    known = ".txt, .md, .markdown, .html, .htm, .pdf, .docx, .pptx, .csv, .tsv, .json, .jsonl, .parquet"
    assert fault(tmp_path / "empty").message == (
        f"{tmp_path / 'empty'}: no documents in this folder (looked for {known})"
    )
    path = put(tmp_path / "paper.odt", b"PK")
    assert fault(path).message == f"{path}: cannot read documents of this kind (known: {known})"
    assert source_files([FilesSource(path=put(tmp_path / "a.txt", "a"))]) == [tmp_path / "a.txt"]


def test_html_is_its_text_without_scripts_and_navigation(tmp_path: Path) -> None:
    pytest.importorskip("trafilatura")
    html = """<!doctype html><html><head><meta charset="iso-8859-1"><title>The harbour of Çédil</title>
    <script>alert("owned")</script><style>p {color: red}</style></head><body onload="run()"><nav>Home | Shop</nav>
    <article><p>The lighthouse is green &amp; round. It was built in 1911, and below it live many otters.</p></article>
    </body></html>"""
    document = one(put(tmp_path / "harbour.html", html.encode("latin-1")))
    assert document.title == "The harbour of Çédil"
    assert "The lighthouse is green & round." in document.text
    for noise in ("alert", "owned", "color", "run()", "<"):
        assert noise not in document.text
    assert one(put(tmp_path / "short.htm", "<p>Six metres.</p>")).text.strip() == "Six metres."
    assert reason(put(tmp_path / "none.html", "<html><body><script>x</script></body></html>")) == "no text in the page"
    assert reason(put(tmp_path / "lie.html", '<meta charset="utf-8"><p>é</p>'.encode("latin-1"))) == (
        "not UTF-8 text (byte 25); save the file as UTF-8"
    )


def pdf(*pages: str, title: str | None = None, password: str | None = None, owner: str = "owner") -> bytes:
    """Return a PDF that fpdf2 writes, with a user password where one is given."""
    fpdf = pytest.importorskip("fpdf")
    document = fpdf.FPDF()
    document.set_font("Helvetica", size=12)
    if title is not None:
        document.set_title(title)
    for page in pages:
        document.add_page()
        document.multi_cell(0, text=page)
    if password is not None:
        document.set_encryption(owner_password=owner, user_password=password)
    return bytes(document.output())


def test_a_pdf_is_the_text_of_its_pages(tmp_path: Path) -> None:
    pytest.importorskip("pypdf")
    raw = pdf("The lighthouse is green.\nIt was built in 1911.", "Below it live otters.", title="Harbours")
    document = one(put(tmp_path / "paper.pdf", raw))
    assert document == Document(
        "paper",
        "Harbours",
        "The lighthouse is green.\nIt was built in 1911.\n\nBelow it live otters.",
        {"source": "paper.pdf"},
    )
    assert one(put(tmp_path / "sea-level.pdf", pdf("x", title="Microsoft Word - draft3.doc"))).title == "sea level"


def test_a_pdf_behind_a_password_is_set_aside_and_one_that_anybody_may_open_is_read(tmp_path: Path) -> None:
    pytest.importorskip("pypdf")
    assert reason(put(tmp_path / "a.pdf", pdf("secret", password="hunter2"))) == "needs a password"
    assert one(put(tmp_path / "a.pdf", pdf("for everybody", password=""))).text == "for everybody"


def test_a_pdf_without_text_or_in_pieces_is_set_aside(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("pypdf")
    whole = pdf("The lighthouse is green.")
    assert reason(put(tmp_path / "scan.pdf", pdf("", ""))) == (
        "no text on its 2 pages; a scan needs text recognition (OCR) first"
    )
    for broken in (b"no pdf at all", whole[:200], b"%PDF-1.7\n" + os.urandom(500)):
        assert reason(put(tmp_path / "b.pdf", broken)).startswith("not a readable PDF file: ")
    assert capfd.readouterr() == ("", "")  # the library warns on the screen unless it is kept quiet


def test_a_pdf_of_more_text_than_the_limit_is_set_aside(tmp_path: Path) -> None:
    """Page after page of one letter: tens of kilobytes of file that unpack to more text than that."""
    pytest.importorskip("pypdf")
    path = put(tmp_path / "bomb.pdf", pdf(*["a" * 3000] * 40))
    limit = path.stat().st_size / 1e6
    assert len(one(path, max_megabytes=0.2).text) > 120_000
    assert reason(path, max_megabytes=limit) == f"holds more than {limit:g} MB of text (max_megabytes)"


def docx(**parts: Any) -> Any:
    return pytest.importorskip("docx").Document(**parts)


def saved(document: Any) -> bytes:
    stream = io.BytesIO()
    document.save(stream)
    return stream.getvalue()


def test_a_word_document_is_its_headings_paragraphs_and_tables_in_order(tmp_path: Path) -> None:
    document = docx()
    document.add_heading("The harbour", 1)
    document.add_paragraph("The lighthouse is green.")
    document.add_heading("Animals", 2)
    table = document.add_table(rows=2, cols=3)
    for cell, text in zip(
        [*table.rows[0].cells, *table.rows[1].cells], ["kind", "number", "since", "otters", "7", "1911"], strict=True
    ):
        cell.text = text
    table.rows[0].cells[1].merge(table.rows[0].cells[2])
    document.add_paragraph("They swim.", style="List Bullet")
    document.add_paragraph("")
    found = one(put(tmp_path / "report.docx", saved(document)))
    assert found == Document(
        "report",
        "The harbour",
        "The lighthouse is green.\n\n## Animals\n\nkind | number since\notters | 7 | 1911\n\n- They swim.",
        {"source": "report.docx"},
    )


def test_a_presentation_is_its_slides_with_tables_groups_and_notes(tmp_path: Path) -> None:
    pptx = pytest.importorskip("pptx")
    from pptx.util import Inches

    deck = pptx.Presentation()
    for title, text in (("The harbour", "The lighthouse is green."), ("Animals", "Otters live here.")):
        slide = deck.slides.add_slide(deck.slide_layouts[1])
        slide.shapes.title.text = title
        slide.placeholders[1].text = text
    table = slide.shapes.add_table(1, 2, 0, 0, Inches(2), Inches(1)).table
    table.cell(0, 0).text, table.cell(0, 1).text = "otters", "7"
    group = slide.shapes.add_group_shape()
    group.shapes.add_textbox(0, 0, Inches(1), Inches(1)).text_frame.text = "in a group"
    slide.notes_slide.notes_text_frame.text = "Mention the seals."
    found = one(put(tmp_path / "deck.pptx", saved(deck)))
    assert (found.title, found.text) == (
        "The harbour",
        "The lighthouse is green.\n\n## Animals\n\nOtters live here.\n\notters | 7\n\nin a group\n\n"
        "Notes: Mention the seals.",
    )


def with_member(raw: bytes, name: str, content: bytes) -> bytes:
    stream = io.BytesIO(raw)
    with zipfile.ZipFile(stream, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return stream.getvalue()


@pytest.mark.parametrize("suffix", ["docx", "pptx"])
def test_a_zip_bomb_is_set_aside_before_it_unpacks(tmp_path: Path, suffix: str) -> None:
    """Also one that declares 10 bytes for its 30 MB: a reader that believes it asks for everything at once."""
    module = pytest.importorskip(suffix)
    if suffix == "docx":
        document = module.Document()
        document.add_paragraph("text")
    else:
        document = module.Presentation()
        document.slides.add_slide(document.slide_layouts[0]).shapes.title.text = "text"
    good = saved(document)
    assert one(put(tmp_path / f"a.{suffix}", good), max_megabytes=1).title
    honest = with_member(good, "media/x.bin", bytes(30_000_000))
    size, lie = struct.pack("<I", 30_000_000), struct.pack("<I", 10)
    assert honest.count(size) == 2  # the member's own header and the directory
    for bomb in (honest, honest.replace(size, lie)):
        path = put(tmp_path / f"a.{suffix}", bomb)
        assert path.stat().st_size < 200_000
        assert reason(path, max_megabytes=1) == "unpacks to more than 1 MB (max_megabytes)"


def test_office_files_that_are_broken_locked_or_empty_are_set_aside(tmp_path: Path) -> None:
    whole = docx()
    assert reason(put(tmp_path / "a.docx", saved(whole))) == "no text in the file"
    assert reason(put(tmp_path / "a.docx", b"no zip")).startswith("not a readable DOCX file: BadZipFile")
    assert reason(put(tmp_path / "a.docx", saved(whole)[:500])).startswith("not a readable DOCX file: ")
    assert reason(put(tmp_path / "a.docx", bytes.fromhex("d0cf11e0a1b11ae1") + bytes(500))).startswith(
        "needs a password"
    )
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("a.txt", "no office file")
    for suffix in ("docx", "pptx"):
        pytest.importorskip(suffix)
        path = put(tmp_path / f"b.{suffix}", stream.getvalue())
        assert reason(path).startswith(f"not a readable {suffix.upper()} file: ")


def test_entities_of_an_office_file_are_not_resolved(tmp_path: Path) -> None:
    """An external entity would read a file of this machine into the knowledge base."""
    secret = put(tmp_path / "secret", "the secret")
    document = docx()
    document.add_paragraph("before MARK after")
    source, target = zipfile.ZipFile(io.BytesIO(saved(document))), io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name in source.namelist():
            content = source.read(name)
            if name == "word/document.xml":
                doctype = f'<!DOCTYPE d [<!ENTITY x SYSTEM "file://{secret}">]>'.encode()
                content = content.replace(b"<w:document", doctype + b"<w:document", 1).replace(b"MARK", b"&x;")
            archive.writestr(name, content)
    reading = read(put(tmp_path / "d" / "a.docx", target.getvalue()))
    assert "the secret" not in repr(reading)
    assert len(reading.documents) + len(reading.set_aside) == 1


def test_no_parser_is_imported_before_a_file_needs_it(tmp_path: Path) -> None:
    put(tmp_path / "a.md", "# A\n\ntext")
    put(tmp_path / "b.jsonl", '{"id": 1, "text": "x"}')
    heavy = ("trafilatura", "pypdf", "docx", "pptx", "pyarrow", "sqlalchemy", "datasets", "httpx", "torch", "lxml")
    code = (
        "import sys\nfrom pathlib import Path\nfrom ragft.config import FieldNames\n"
        "from ragft.config.knowledge import FilesSource\nfrom ragft.data.sources import read_sources\n"
        f"read_sources([FilesSource(path=Path({str(tmp_path)!r}))], FieldNames(), cache_dir=None)\n"
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.stdout.strip() == "[]", ran.stderr


@pytest.mark.parametrize(
    ("name", "module", "extra"),
    [
        ("a.html", "trafilatura", "html"),
        ("a.pdf", "pypdf", "pdf"),
        ("a.docx", "docx", "office"),
        ("a.pptx", "pptx", "office"),
        ("a.parquet", "pyarrow.parquet", "parquet"),
    ],
)
def test_a_format_without_its_library_names_the_pip_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, module: str, extra: str
) -> None:
    """Not set aside: the experiment is at fault, and one line mends it."""
    monkeypatch.setitem(sys.modules, module, None)
    error = fault(put(tmp_path / name, b"content"))
    assert f"needs {module}, which is not installed" in error.message
    assert error.hint == f"pip install 'ragft[{extra}]'"
