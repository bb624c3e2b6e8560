"""Writing a starter experiment into a folder, from the configs that ragft ships."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from ragft.config.json_schema import experiment_json_schema
from ragft.errors import RagftError

SCHEMA_FILE = "experiment.schema.json"


def shipped_configs() -> Path:
    """Return the folder of shipped configs: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).parent.parent
    installed = package / "configs"
    return installed if installed.is_dir() else package.parent / "configs"


def write_starter(folder: Path, *, quickstart: bool) -> list[Path]:
    """Write `experiment.yaml` and its JSON Schema into `folder`; with `quickstart`, the quick-start data too.

    Returns the paths written. Raises RagftError rather than overwrite anything.
    """
    configs = shipped_configs()
    experiment = folder / "experiment.yaml"
    if experiment.exists():
        raise RagftError(f"{experiment} is there already", "choose another folder, or move it away")
    folder.mkdir(parents=True, exist_ok=True)
    written = [experiment, folder / SCHEMA_FILE]
    if quickstart:
        target = folder / "quickstart"
        if target.exists():
            raise RagftError(f"{target} is there already", "choose another folder, or move it away")
        shutil.copytree(configs / "quickstart", target)
        written.append(target)
    shutil.copyfile(configs / ("quickstart.yaml" if quickstart else "starter.yaml"), experiment)
    written[1].write_text(json.dumps(experiment_json_schema(), indent=2) + "\n", encoding="utf-8")
    return written
