"""A language model and an embedder small enough for tests, and a small experiment that names them.

Both are real Hugging Face folders with random weights, so everything above them runs as it does on a user's machine.
"""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from tiny_bert import write_tiny_bert

from ragft import jsonl

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from typer.testing import Result

    from ragft.models.language_model import LanguageModel

os.environ.setdefault("OMP_NUM_THREADS", "1")  # models this small are slower on several threads
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TQDM_DISABLE", "1")

Json = dict[str, Any]

END, PAD, START = "<|im_end|>", "<|pad|>", "<|im_start|>"
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SYSTEM_TEXTS = (
    "You answer questions in a few words, never in a full sentence. If you cannot know the answer, you reply: "
    "I don't know. Answer from the passages above. Question: system user assistant"
)

HARBOURS = (
    ("aldmoor", "Aldmoor", "green", "otters", "1911"),
    ("brinbay", "Brinbay", "red", "herons", "1923"),
    ("corvel", "Corvel", "white", "seals", "1934"),
    ("dunwick", "Dunwick", "black", "gulls", "1945"),
    ("elmsund", "Elmsund", "blue", "terns", "1956"),
    ("farholm", "Farholm", "yellow", "puffins", "1967"),
    ("garness", "Garness", "orange", "swans", "1978"),
    ("hollin", "Hollin", "purple", "crabs", "1989"),
    ("iverly", "Iverly", "brown", "eels", "1990"),
    ("jorvik", "Jorvik", "grey", "cod", "2001"),
)
"""(document id, name, colour of the lighthouse, what lives there, when it was built): ten invented harbours."""


def documents() -> list[Json]:
    """Return ten documents, one for each harbour."""
    return [
        {
            "id": id_,
            "title": f"The harbour of {name}",
            "text": f"The lighthouse of {name} is {colour}. It was built in {year}. Below it live many {animals}.",
        }
        for id_, name, colour, animals, year in HARBOURS
    ]


def question(id_: str, text: str, answer: str | None, gold: str | None) -> Json:
    """Return one example row; None for an answer makes it unanswerable."""
    return {
        "id": id_,
        "question": text,
        "references": [] if answer is None else [answer],
        "gold_document_ids": [] if gold is None else [gold],
        "answerable": answer is not None,
    }


def train_rows() -> list[Json]:
    """Return twelve examples: the colour of every lighthouse, and two that no document answers."""
    rows = [question(f"t{n:02}", f"Which colour has {h[1]}?", h[2], h[0]) for n, h in enumerate(HARBOURS)]
    return [*rows, question("t10", "Who rules Aldmoor?", None, None), question("t11", "Who rules Corvel?", None, None)]


def dev_rows() -> list[Json]:
    """Return four examples: what lives at the first four harbours."""
    return [question(f"d{n}", f"What lives at {h[1]}?", h[3], h[0]) for n, h in enumerate(HARBOURS[:4])]


def eval_rows() -> list[Json]:
    """Return twelve examples: when each lighthouse was built, and two that no document answers."""
    rows = [question(f"e{n:02}", f"When was {h[1]} built?", h[4], h[0]) for n, h in enumerate(HARBOURS)]
    return [*rows, question("e10", "Who owns Brinbay?", None, None), question("e11", "Who owns Hollin?", None, None)]


def text_of_everything() -> list[str]:
    """Return the text on which the tokenizers are trained."""
    rows = [*train_rows(), *dev_rows(), *eval_rows()]
    return [SYSTEM_TEXTS, *(f"{d['title']}: {d['text']}" for d in documents()), *(str(r["question"]) for r in rows)]


def news(stderr: str) -> str:
    """Return what a command said on stderr behind the table of the data checks, which it shows before it begins."""
    if not stderr.startswith("Checks of the data"):
        return stderr
    said = re.search(r"^error: ", stderr, re.MULTILINE)
    return "" if said is None else stderr[said.start() :]


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a two-layer Llama with random weights and a byte-level tokenizer with a chat template."""
    return write_tiny_model(tmp_path_factory.mktemp("models") / "tiny-llama", seed=7)


@pytest.fixture
def model(tiny_model: Path) -> Callable[[], LanguageModel]:
    """Return a function that loads the tiny model afresh."""
    from ragft.models.language_model import load
    from ragft.models.sources import ModelFolder

    return lambda: load(ModelFolder(str(tiny_model), tiny_model, "f" * 64), "float32", "cpu")


def write_tiny_model(folder: Path, *, seed: int) -> Path:
    """Write a two-layer Llama into a folder; the seed decides its weights."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=_byte_level(), eos_token=END, pad_token=PAD, additional_special_tokens=[START]
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=2048,
        initializer_range=0.4,  # the default 0.02 would leave the logits almost equal at this width
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=False,
    )
    torch.manual_seed(seed)
    LlamaForCausalLM(config).to(torch.float32).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _byte_level() -> Tokenizer:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=[PAD, START, END], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(text_of_everything(), trainer)
    return tokenizer


@pytest.fixture(scope="session")
def tiny_embedder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a sentence-transformers model: a two-layer BERT with random weights and mean pooling."""
    words = set(re.findall(r"\w+", " ".join(text_of_everything()).lower()))
    letters = set("abcdefghijklmnopqrstuvwxyz0123456789.,:;?!'") - words
    pieces = [*sorted(words | letters), *(f"##{letter}" for letter in sorted(letters))]
    return write_tiny_bert(tmp_path_factory.mktemp("models") / "tiny-bert", pieces, width=32)


STEPS = {"max_steps": 4, "per_device_train_batch_size": 2, "gradient_accumulation_steps": 1, "learning_rate": 0.01}
NO_LIMIT = {"truncated_share": 1.0}
"""Random weights never end a turn: all of their answers are cut off, which no real arm is forgiven."""
ARMS: dict[str, Json] = {
    "base": {},
    "few_shot": {"shots": 2},
    "rag": {"retrieval": "index"},
    "finetuned": {"adapter": "closed_book"},
    "raft_rag": {"adapter": "raft", "retrieval": "index"},
    "oracle": {"retrieval": "oracle"},
}


@dataclass
class SmallExperiment:
    """A small experiment in a folder of its own: its file can be changed and its commands run."""

    folder: Path
    config: Json
    first_run: Path = Path()
    """Run folder of the first `compare`, for one that is built."""

    @property
    def file(self) -> Path:
        """The experiment file."""
        return self.folder / "experiment.yaml"

    @property
    def workspace(self) -> Path:
        """The workspace that `run` uses."""
        return self.folder / ".ragft"

    def save(self) -> SmallExperiment:
        """Write the experiment file."""
        self.file.write_text(yaml.safe_dump(self.config, sort_keys=False), encoding="utf-8")
        return self

    def rows(self, name: str, rows: Sequence[Json]) -> None:
        """Write one JSON Lines file."""
        jsonl.write_rows(self.folder / f"{name}.jsonl", rows)

    def places(self) -> list[str]:
        """Return the options that keep a command's output inside the folder."""
        return ["--runs-dir", str(self.folder / "runs"), "--workspace", str(self.workspace)]

    def run(self, command: str, *arguments: str) -> Result:
        """Run a command in this process, on this experiment, and return what it printed and its exit code."""
        from typer.testing import CliRunner

        from ragft.cli import app

        places = [] if command == "validate" else self.places()
        return CliRunner().invoke(app, [command, str(self.file), *arguments, *places])

    def json(self, command: str, *arguments: str) -> Json:
        """Run a command that must end well with `--json` and return what it printed."""
        result = self.run(command, "--json", *arguments)
        assert result.exit_code == 0, result.output
        found: Json = json.loads(result.stdout)
        return found

    def compare(self, *overrides: str) -> Path:
        """Run `compare` and return its run folder; `overrides` are `key=value`."""
        return Path(self.json("compare", *(part for item in overrides for part in ("--set", item)))["run"])

    def latest_run(self) -> Path:
        """Return the newest run folder."""
        return max((self.folder / "runs").iterdir(), key=lambda path: path.stat().st_mtime_ns)


def read(path: Path) -> Any:
    """Return what a JSON file of a run holds."""
    return json.loads(path.read_text(encoding="utf-8"))


def write_experiment(folder: Path, model: Path, embedder: Path) -> SmallExperiment:
    """Write the small experiment into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    adapters = {
        "closed_book": {"recipe": "closed_book", "peft": {"r": 4}, "training": {**STEPS, "evals_per_run": 2}},
        "raft": {"recipe": "context", "peft": {"r": 4}, "training": {**STEPS, "max_steps": 2, "evals_per_run": 1}},
    }
    config: Json = {
        "name": "small",
        "task": "qa",
        "model": {"source": str(model), "dtype": "float32", "device": "cpu"},
        "data": {
            "documents": "documents.jsonl",
            "train": "train.jsonl",
            "dev": "dev.jsonl",
            "eval": "eval.jsonl",
        },
        "index": {"embedder": {"source": str(embedder)}, "chunking": {"chunk_tokens": 128}},
        "retrieval": {"top_k": 2},
        "adapters": adapters,
        "generation": {"max_new_tokens": 6, "batch_size": 4},
        "compare": {
            "arms": ARMS,
            "contrasts": [["rag", "base"], ["finetuned", "base"]],
            "resamples": 200,
            "latency_questions": 1,
            "limits": NO_LIMIT,
        },
    }
    experiment = SmallExperiment(folder, config)
    experiment.rows("documents", documents())
    experiment.rows("train", train_rows())
    experiment.rows("dev", dev_rows())
    experiment.rows("eval", eval_rows())
    return experiment.save()


@pytest.fixture
def experiment(tmp_path: Path, tiny_model: Path, tiny_embedder: Path) -> SmallExperiment:
    """The small experiment in a fresh folder, with nothing built."""
    return write_experiment(tmp_path / "experiment", tiny_model, tiny_embedder)


@pytest.fixture
def closed_book(experiment: SmallExperiment) -> SmallExperiment:
    """The small experiment without documents, so that no embedder is imported."""
    for key in ("index", "retrieval"):
        experiment.config.pop(key)
    experiment.config["data"].pop("documents")
    experiment.config["adapters"].pop("raft")
    arms = {"base": {}, "finetuned": {"adapter": "closed_book"}}
    experiment.config["compare"] |= {"arms": arms, "contrasts": [["finetuned", "base"]]}
    return experiment.save()


@pytest.fixture(scope="session")
def seq2seq_folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The folders of a tiny T5 and a tiny BART."""
    from tiny_seq2seq import write_tiny_seq2seq

    root = tmp_path_factory.mktemp("models")
    return {kind: write_tiny_seq2seq(root / f"tiny-{kind}", kind) for kind in ("t5", "bart")}


@pytest.fixture(params=["t5", "bart"])
def seq2seq_folder(request: pytest.FixtureRequest, seq2seq_folders: dict[str, Path]) -> Path:
    """The folder of each of the two."""
    return seq2seq_folders[request.param]


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, tiny_embedder: Path) -> SmallExperiment:
    """The small experiment after one `compare`; for tests that change no file of it."""
    experiment = write_experiment(tmp_path_factory.mktemp("built") / "experiment", tiny_model, tiny_embedder)
    experiment.first_run = experiment.compare()
    return experiment


def heed_ctrl_c() -> None:
    """Let SIGINT be heard again: tests that a shell runs in the background inherit that it is ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
