"""Models on disk.

A model is a folder with `config.json` and `model.safetensors`, as on the Hugging Face hub; an
exported one has two ONNX files instead of the weights. The folder of a run contains two models
(`best/`, `last/`). All of these are data: only the authors' `.pth` is a pickle, and of it nothing
but the weights is read.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

import torch
from huggingface_hub import get_hf_file_metadata, hf_hub_url
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id
from safetensors import SafetensorError

from m3dfel.errors import InputError, first_line
from m3dfel.files import atomic_write
from m3dfel.models.exported import BACKBONE, ExportedModel, load_exported
from m3dfel.models.m3dfel import M3DFEL
from m3dfel.models.published import read_published

BUNDLED = "bundled"
"""The name of the model that comes with the package."""

_SAVED = ".saved"


def load_model(name: str) -> M3DFEL:
    """Load a trained model, in evaluation mode and in the memory layout that is fastest.

    Args:
        name: `bundled` for the model that comes with the package, the folder of a model, the folder
            of a run (its best model, else its last), the authors' published `.pth`, or a name on
            the Hugging Face hub.

    Raises:
        InputError: there is no model, or it cannot be read.
    """
    # In this layout, 3D convolutions take an eighth less time on CPUs.
    return _find(name).eval().to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]


def find_device(name: str) -> str:
    """Return the name of a device; `auto` is CUDA if there is one, else MPS, else the CPU."""
    if name != "auto":
        return name
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def move_model(model: M3DFEL, device: str) -> M3DFEL:
    """Move a model to a device, and return it; see `find_device`.

    An exported model stays on the CPU if the device is `auto`.

    Raises:
        InputError: torch cannot use the device here.
    """
    if device == "auto" and isinstance(model, ExportedModel):
        return model
    try:
        return model.to(find_device(device))
    except (RuntimeError, AssertionError) as error:
        raise InputError(
            f"torch cannot use the device {device!r} here: choose another, such as cpu"
        ) from error


def _find(name: str) -> M3DFEL:
    if name == BUNDLED:
        return _from_folder(Path(str(files("m3dfel") / BUNDLED)))
    path = Path(name).expanduser()
    if path.is_file():
        return read_published(path)
    if not path.is_dir():
        return _from_hub(name)
    for folder in path, path / "best", path / "last":
        finish_saving(folder)
        if (folder / "config.json").is_file():
            return _from_folder(folder)
    raise InputError(f"{name} contains no model: expected config.json and model.safetensors")


def _from_folder(folder: Path) -> M3DFEL:
    if (folder / BACKBONE).is_file():
        return load_exported(folder)
    try:
        return M3DFEL.from_pretrained(folder)
    except InputError as error:
        raise InputError(f"{folder / 'config.json'}: {error}") from error
    except Exception as error:  # a damaged file can fail in any way
        raise InputError(
            f"{folder} contains no readable M3DFEL model: {first_line(error)}"
        ) from error


def _from_hub(name: str) -> M3DFEL:
    owner, _, rest = name.partition("/")
    try:
        validate_repo_id(name)
        is_path = not rest or Path(owner).exists()
    except HFValidationError:
        is_path = True
    if is_path:
        raise InputError(
            f"no model at {name}: give the folder of a model or of a run, a .pth file, or a name "
            "on the Hugging Face hub (owner/model)"
        )
    problem: Exception | None = None
    try:
        get_hf_file_metadata(hf_hub_url(name, "config.json"))  # without retries
    except Exception as error:  # no network, or no such model
        problem = error
    try:  # without network, what was downloaded before
        return M3DFEL.from_pretrained(name, local_files_only=problem is not None)
    except Exception as error:
        raise InputError(
            f"no model folder {name} here, and none of that name on the hub could be read "
            f"({first_line(problem or error)}): check the name and the network"
        ) from error


def save_model(model: M3DFEL, folder: Path, half: bool = False) -> None:
    """Write a model into a folder; if killed, the folder contains the old model or the new one.

    Other files in the folder stay as they are.

    Args:
        model: the model.
        folder: receives `config.json` and `model.safetensors`.
        half: write the weights in half precision, at half the size; they are loaded in single.

    Raises:
        InputError: the folder cannot be written to.
    """
    finish_saving(folder)
    with atomic_write(folder / _SAVED) as temporary, disk_errors():
        written = copy.deepcopy(model).half() if half else model
        written.save_pretrained(temporary)
        (temporary / "README.md").unlink()  # the hub's card, which says nothing about this model
    finish_saving(folder)


def replace_model(folder: Path, other: Path) -> None:
    """Move the model in another folder, which holds nothing else, into a folder that has one.

    Raises:
        InputError: the folder cannot be written to.
    """
    try:
        other.replace(folder / _SAVED)
    except OSError as error:
        raise InputError(f"cannot write the model to {folder}: {error.strerror}") from error
    finish_saving(folder)


def finish_saving(folder: Path) -> None:
    """Move the files of a model that is completely saved to their places in its folder.

    Saving does so itself; after a kill, whoever opens the folder next does it.

    Raises:
        InputError: the folder cannot be written to.
    """
    saved = folder / _SAVED
    if not saved.is_dir():
        return
    try:
        for file in saved.iterdir():
            file.replace(folder / file.name)
        saved.rmdir()
    except OSError as error:
        raise InputError(f"cannot write the model to {folder}: {error.strerror}") from error


@contextmanager
def disk_errors() -> Iterator[None]:
    """Let safetensors say that a disk is full as everybody does."""
    try:
        yield
    except SafetensorError as error:
        raise OSError(str(error)) from error
