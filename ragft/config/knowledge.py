"""The sections `data.documents`, `index` and `retrieval` as types: where documents come from and how they are found."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, Strict, model_validator

from ragft.config.databases import DatabaseUrl
from ragft.config.sections import FilePath, ModelSource, Section, Shorthand, Words
from ragft.records import Scalar

Dtype = Literal["auto", "float32", "bfloat16", "float16"]


class FilesSource(Section):
    """Documents from a folder, or from one file: text, Markdown, HTML, PDF, DOCX, PPTX, or rows of a table."""

    kind: Literal["files"] = "files"
    path: FilePath
    """A folder (read recursively) or one file, relative to the experiment file."""
    include: Words = ()
    """Globs of the files to read, relative to the folder, such as `**/*.pdf`; every known suffix when empty."""
    exclude: Words = ()
    """Globs of the files to leave out."""
    metadata: Words = ()
    """Fields of the rows of CSV, JSON, JSON Lines and Parquet files that travel to the passages."""
    max_megabytes: float = Field(default=50.0, gt=0)
    """Largest file that is read, in MB (10^6 bytes), also unpacked, or row of a table; a larger one is set aside."""


class WebSource(Section):
    """Documents from web pages: their main text, without navigation and advertisements."""

    kind: Literal["web"]
    urls: Words = ()
    """Pages to read."""
    sitemaps: Words = ()
    """Addresses of sitemaps (also sitemap indexes) whose pages are read."""
    include: Words = ()
    """Globs that the address of a page from a sitemap must match; every page when empty."""
    max_pages: int = Field(default=500, ge=1)
    """Pages that are read at most, in the order of the list and then of the sitemaps."""
    delay_s: float = Field(default=1.0, ge=0)
    """Seconds between two requests to one host; a longer crawl delay in its robots.txt wins."""
    timeout_s: float = Field(default=20.0, gt=0)
    """Seconds that one request may take."""
    max_megabytes: float = Field(default=5.0, gt=0)
    """Largest page that is read, in MB (10^6 bytes)."""
    retries: int = Field(default=3, ge=0)
    """How often a request that timed out, or was answered 429 or 5xx, is made again, with growing pauses."""
    user_agent: str = "ragft"
    """How the requests name themselves, and the name that robots.txt is asked for."""
    allow_private: bool = False
    """Also read addresses of private networks and of this machine."""

    @model_validator(mode="after")
    def _names_something(self) -> Self:
        if not self.urls and not self.sitemaps:
            raise ValueError("needs `urls` or `sitemaps`")
        return self


class DatabaseSource(Section):
    """Documents from a database: one for each row of a query."""

    kind: Literal["database"]
    url: DatabaseUrl
    """SQLAlchemy's address of the database, such as `sqlite:///facts.db`; secrets as ${VAR}."""
    query: str
    """A SELECT statement."""
    id: str = "id"
    """Column that holds the id of a document."""
    title: str | None = None
    """Column that holds its title."""
    text: str = "text"
    """Column that holds its text."""
    metadata: Words = ()
    """Columns that travel to the passages."""
    timeout_s: float = Field(default=60.0, gt=0)
    """Seconds that connecting, and then the query, may take."""


class HubSource(Section):
    """Documents from a data set of the Hugging Face hub, or from one in a local folder."""

    kind: Literal["hub"]
    dataset: ModelSource
    """A Hub id (`org/name`), or a folder (begins with `/`, `./`, `../` or `~`)."""
    name: str | None = None
    """Name of the configuration of the data set."""
    split: str = "train"
    """The split that is read."""
    revision: str | None = None
    """Branch, tag or commit of a Hub id; a commit makes the experiment repeatable."""
    id: str = "id"
    """Column that holds the id of a document; the number of the row where the data set has no such column."""
    title: str | None = None
    """Column that holds its title."""
    text: str = "text"
    """Column that holds its text."""
    metadata: Words = ()
    """Columns that travel to the passages."""
    limit: int | None = Field(default=None, ge=1)
    """Use at most this many rows, the first ones."""


Source = Annotated[FilesSource | WebSource | DatabaseSource | HubSource, Field(discriminator="kind")]


class EmbedderConfig(Section):
    """The model that turns text into vectors: one of sentence-transformers in this process, or an endpoint."""

    source: ModelSource = "all-minilm-l6-v2"
    """A Hub id, a folder (begins with `/`, `./`, `../` or `~`), a packaged model, or an endpoint's model."""
    revision: str | None = None
    """Branch, tag or commit of a Hub id."""
    dtype: Dtype = "auto"
    """Precision of the embedder's weights; `auto` is bfloat16 where the hardware multiplies it natively."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where the embedder runs; `auto` takes a GPU when there is one."""
    batch_size: int = Field(default=16, ge=1)
    """Texts embedded at once."""
    processes: int = Field(default=1, ge=1)
    """Processes that embed at once; more than one pays only on machines with many cores."""
    endpoint: str | None = None
    """Base address of an OpenAI-compatible server (`https://host/v1`) that embeds instead of this process."""
    api_key: str | None = None
    """Key for the endpoint, as ${VAR}."""
    tokenizer: ModelSource | None = None
    """Tokenizer that counts tokens for an endpoint, as a source; the packaged embedder's when absent."""
    timeout_s: float = Field(default=60.0, gt=0)
    """Seconds that one request to the endpoint may take."""
    concurrency: int = Field(default=4, ge=1)
    """Requests to the endpoint at once."""


class ChunkingConfig(Section):
    """How documents become passages."""

    kind: Literal["recursive", "sentence", "markdown", "none"] = "recursive"
    """`recursive` splits at paragraphs, then lines, then sentences, then words, until a chunk is small enough;
    `sentence` packs whole sentences; `markdown` splits at headings, the path of headings becoming the title;
    `none` keeps each document whole."""
    chunk_tokens: int = Field(default=256, ge=16)
    """Largest passage with its title, in tokens of the embedder; more than the embedder reads is an error.
    With `none` it is the longest document, and a longer one is an error. With `markdown` the path of headings takes a
    quarter of it at most: a longer path loses its outermost headings, marked by `…`."""
    overlap_tokens: int = Field(default=0, ge=0)
    """Tokens that a passage repeats from the one before, half of its text at most; whole sentences with `sentence`,
    only inside a section with `markdown`, nothing with `none`."""
    language: str = Field(default="en", pattern=r"^[a-z]{2,3}(-[a-z0-9]{2,8})*$")
    """Language whose abbreviations end no sentence with `sentence`, as a code such as `de`; a code that is not known is
    taken for English. Punctuation of every script is understood in any case."""

    @model_validator(mode="after")
    def _overlap_is_smaller(self) -> Self:
        if self.overlap_tokens * 2 > self.chunk_tokens:
            raise ValueError(
                f"overlap_tokens ({self.overlap_tokens}) is more than half of chunk_tokens ({self.chunk_tokens})"
            )
        return self


class StoreConfig(Section):
    """Where passages and vectors are kept: Chroma, embedded in the workspace or as a server."""

    host: str | None = None
    """Name of the machine that runs a Chroma server; the embedded store when absent."""
    port: int = Field(default=8000, ge=1, le=65535)
    """Port of the Chroma server."""
    ssl: bool = False
    """Speak to the server over TLS."""
    api_key: str | None = None
    """Token for the server, as ${VAR}; sent as `Authorization: Bearer`."""


class IndexConfig(Section):
    """The searchable passages."""

    embedder: Annotated[EmbedderConfig, Shorthand("source")] = EmbedderConfig()
    """The embedding model."""
    chunking: Annotated[ChunkingConfig, Shorthand("kind")] = ChunkingConfig()
    """How documents are cut into passages."""
    store: StoreConfig = StoreConfig()
    """Where the passages are kept."""
    max_failures: float = Field(default=0.1, ge=0)
    """Documents that may be set aside because they cannot be read: below 1 a share of all, else a number."""


class FusionWeights(Section):
    """What each list of passages weighs in hybrid retrieval."""

    dense: float = Field(default=1.0, ge=0)
    """Weight of the passages ranked by embeddings."""
    bm25: float = Field(default=1.0, ge=0)
    """Weight of the passages ranked by words."""

    @model_validator(mode="after")
    def _weigh_something(self) -> Self:
        if self.dense + self.bm25 == 0:
            raise ValueError("one of the weights must be above 0")
        return self


class RetrievalConfig(Section):
    """How passages are found for a query."""

    kind: Literal["dense", "bm25", "hybrid"] = "dense"
    """`dense` by cosine similarity of embeddings, `bm25` by words, `hybrid` by both (reciprocal rank fusion)."""
    top_k: int = Field(default=5, ge=1, le=100)
    """Passages given to the model."""
    candidates: int = Field(default=50, ge=1, le=1000)
    """Passages of each list that are fused, reranked or diversified; at least top_k are taken."""
    rrf_k: int = Field(default=60, ge=1)
    """Constant of reciprocal rank fusion: a passage scores weight / (rrf_k + rank)."""
    weights: FusionWeights = FusionWeights()
    """What each list weighs in hybrid retrieval."""
    reranker: ModelSource | None = None
    """A cross-encoder of sentence-transformers that orders the candidates anew: a Hub id or a folder."""
    mmr: float | None = Field(default=None, ge=0, le=1)
    """Maximal marginal relevance: 1 is relevance alone, 0 diversity alone; off when absent."""
    filter: dict[str, Scalar | Annotated[tuple[Scalar, ...], Strict(False)]] = {}
    """Metadata that passages must have: a field and its value, or a list of values that pass."""
    min_score: float | None = None
    """Passages that score less are not given, on the scale of the last step (cosine, BM25, fusion, reranker)."""
