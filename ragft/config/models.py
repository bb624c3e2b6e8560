"""The sections `model` and `models` as types: what answers, in this process or on a server."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from ragft.config.knowledge import Dtype
from ragft.config.sections import FilePath, ModelSource, Section, Shorthand

Device = Literal["auto", "cpu", "cuda", "mps"]

_OURS = ("model", "messages", "stream", "n", "logprobs")
"""What a request says that no parameter may change: an answer would be another one than the one that is kept."""


class ModelConfig(Section):
    """A language model in this process; the only kind that adapters can be trained on."""

    kind: Literal["transformers"] = "transformers"
    source: ModelSource = "smollm2-135m-instruct"
    """A Hub id (`org/name`), a folder (begins with `/`, `./`, `../` or `~`), or a packaged model's name."""
    revision: str | None = None
    """Branch, tag or commit of a Hub id; a commit makes the experiment repeatable."""
    dtype: Dtype = "auto"
    """Precision of the weights; `auto` is bfloat16 where the hardware multiplies it natively, else float32."""
    device: Device = "auto"
    """Where the model runs; `auto` takes a GPU when there is one."""


class TokenPrices(Section):
    """What a model costs that is paid by the token."""

    million_prompt_tokens: float = Field(default=0.0, ge=0)
    """A million prompt tokens."""
    million_output_tokens: float = Field(default=0.0, ge=0)
    """A million output tokens."""


class OpenAiModel(Section):
    """A model behind any server that speaks OpenAI's chat completions: vLLM, TGI, llama.cpp, Ollama, a hosted one."""

    kind: Literal["openai"]
    endpoint: str = Field(min_length=1)
    """Base address of the server, such as `http://localhost:8000/v1`."""
    source: str = Field(min_length=1)
    """Name of the model on the server."""
    api_key: str | None = Field(default=None, repr=False)
    """Key for the server, as ${VAR}."""
    timeout_s: float = Field(default=60.0, gt=0)
    """Seconds that one request may take in all, from its first byte to the last byte of its answer."""
    retries: int = Field(default=5, ge=0)
    """How often a request is made again, with growing pauses, that timed out or was answered 429, 5xx or nonsense."""
    concurrency: int = Field(default=4, ge=1)
    """Requests at once."""
    requests_per_minute: float | None = Field(default=None, gt=0)
    """Most requests that are begun in a minute, at equal distances; no limit of our own when absent."""
    tokens_per_minute: float | None = Field(default=None, gt=0)
    """Most tokens of a minute, as servers count them before they answer: those of each prompt, as far as they can be
    estimated here, and of the longest answer that it may get. No limit of our own when absent."""
    context_tokens: int | None = Field(default=None, ge=1)
    """Tokens that the model reads and writes together, where they are known."""
    logprobs: bool = False
    """Ask the server for the log-probabilities of what it says, for the selective-accuracy curve."""
    parameters: dict[str, Any] = {}
    """What else each request carries, such as `{reasoning_effort: low}`. What stands here goes before ours, and a null
    leaves one out: `temperature` (0) and `max_tokens` (`generation.max_new_tokens`, which is not sent beside a
    `max_completion_tokens`)."""
    prices: TokenPrices | None = None
    """What its tokens cost, in the currency of `compare.prices`; the prices there when absent."""

    @field_validator("parameters")
    @classmethod
    def _ours(cls, parameters: dict[str, Any]) -> dict[str, Any]:
        taken = [key for key in parameters if key in _OURS]
        if taken:
            raise ValueError(f"{taken[0]!r} cannot stand among the parameters: it is set for each request")
        return parameters


class ScriptedModel(Section):
    """Answers from a file, for tests of an experiment: no model is loaded or asked."""

    kind: Literal["scripted"]
    path: FilePath
    """JSON Lines of `contains`, `answer` and, if wanted, `logprob`: the first row whose text stands in what the user
    says last answers it, and a row without `contains` answers everything else."""


Model = ModelConfig | OpenAiModel | ScriptedModel
AnyModel = Annotated[Model, Field(discriminator="kind"), Shorthand("source", kind="transformers")]
