"""Reading other people's checkpoint files without trusting them.

A file's content, not its name, decides how it is read, and nothing that it holds is ever run:
pickles go through PyTorch's weights-only loader, which knows tensors and plain containers only.
"""

from __future__ import annotations

import io
import pickle
import pickletools
import re
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from lightsr.errors import WeightsError
from lightsr.weights.caffe import is_caffemodel, parse_caffemodel
from lightsr.weights.files import Tensors, parse_safetensors, read_bytes, require_finite
from lightsr.weights.matlab import is_mat5, parse_mat5
from lightsr.weights.tensorflow import index_of, is_bundle, parse_bundle

WRAPPERS = ("params_ema", "params", "state_dict", "model_state_dict", "model", "net")
"""Keys under which projects put the tensors, the one to prefer first."""

PREFIXES = ("module.", "_orig_mod.", "model.", "network.")
"""What DataParallel, torch.compile and training wrappers put before every name."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint as read: float32 tensors by name, and the file's own metadata (often none)."""

    tensors: Tensors
    metadata: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Reader:
    """One file format: how to tell it by its content, and how to read it."""

    name: str
    recognises: Callable[[bytes], bool]
    read: Callable[[bytes, Path], tuple[Mapping[Any, Any], dict[str, str]]]
    """Takes the content and the path for messages; gives a mapping of names to arrays (possibly
    wrapped in mappings) and metadata."""


def read_checkpoint(path: Path) -> Checkpoint:
    """Return the tensors of a checkpoint, out of whatever they are wrapped in.

    Of a TensorFlow checkpoint `path` is the index, another file, or what their names begin with.
    Floating-point tensors become float32. Raises `WeightsError` naming the file: missing, empty,
    truncated, of no known format, made to run code, without tensors, or with a value that is not
    finite.
    """
    path = index_of(path)
    content = read_bytes(path)
    if not content:
        raise WeightsError(f"{path} is empty")
    for reader in READERS:
        if reader.recognises(content):
            wrapped, metadata = reader.read(content, path)
            tensors = _float32(_without_prefix(_unwrap(wrapped, path, len(content))))
            if not tensors:
                raise WeightsError(f"{path} holds no tensors")
            require_finite(tensors, path)
            return Checkpoint(tensors, metadata)
    formats = ", ".join(reader.name for reader in READERS)
    raise WeightsError(f"{path} is no checkpoint that lightsr reads ({formats})")


def _is_safetensors(content: bytes) -> bool:
    return len(content) > 8 and content[8:9] == b"{" and int.from_bytes(content[:8], "little") > 1


def _is_pickle(content: bytes) -> bool:
    # Protocol 2 and later announce themselves; the readable protocols 0 and 1 end in a full stop.
    if content[:1] == b"\x80":
        return True
    try:
        return any(opcode.name == "STOP" for opcode, _, _ in pickletools.genops(content))
    except Exception:
        # The scanner's errors on foreign bytes are of many kinds, and all mean the same here.
        return False


def _is_torch_archive(content: bytes) -> bool:
    return content.startswith(b"PK\x03\x04")


def _read_torch(content: bytes, path: Path) -> tuple[Mapping[Any, Any], dict[str, str]]:
    try:
        import torch
    except ImportError:
        raise WeightsError(
            f"{path} is a PyTorch checkpoint and reading it needs torch; "
            f"install it with `pip install lightsr[torch]`"
        ) from None
    try:
        with warnings.catch_warnings():
            # About pickle protocols; a file that does not load is reported below.
            warnings.simplefilter("ignore")
            loaded: object = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:
        # A damaged file makes the loader fail in any way it can: EOFError, IndexError, KeyError...
        raise _unreadable(content, path, error) from error
    if not isinstance(loaded, Mapping):
        raise WeightsError(
            f"{path} holds a {type(loaded).__name__}, not a mapping of names to tensors"
        )
    return cast("Mapping[Any, Any]", loaded), {}


READERS = (
    Reader("safetensors", _is_safetensors, parse_safetensors),
    Reader("MATLAB 5", is_mat5, parse_mat5),
    Reader("PyTorch", _is_torch_archive, _read_torch),
    Reader("TensorFlow", is_bundle, parse_bundle),
    Reader("Caffe", is_caffemodel, parse_caffemodel),
    Reader("PyTorch's older format", _is_pickle, _read_torch),
)
"""Tried in this order."""


def _unreadable(content: bytes, path: Path, error: Exception) -> WeightsError:
    offender = _offending_global(content, error)
    if offender is not None:
        return WeightsError(
            f"{path} wants to call {offender} when it is read; nothing of it was run. "
            f"Give a checkpoint that holds tensors only (a saved state_dict)"
        )
    if isinstance(error, pickle.UnpicklingError) and _is_whole_pickle(content):
        return WeightsError(f"{path} is a pickle, but not of tensors saved by PyTorch")
    return WeightsError(f"{path} is no PyTorch checkpoint, or a truncated or damaged one")


def _offending_global(content: bytes, error: Exception) -> str | None:
    """Return the name of what a refused pickle would have imported, or None."""
    if not isinstance(error, pickle.UnpicklingError):
        return None
    named = re.search(r"GLOBAL ([\w.]+)", str(error))
    if named:
        return named[1].rstrip(".")
    # Newer pickle protocols are refused before the loader gets as far as the name.
    harmless = ("torch", "collections", "_codecs", "numpy")
    for name in _globals(_pickle_inside(content)):
        if name.split(".")[0] not in harmless:
            return name
    return None


def _pickle_inside(content: bytes) -> bytes:
    if not _is_torch_archive(content):
        return content
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            member = next(name for name in archive.namelist() if name.endswith("data.pkl"))
            return archive.read(member)
    except (zipfile.BadZipFile, StopIteration, OSError):
        return b""


def _globals(content: bytes) -> Iterator[str]:
    """List what the pickles at the start of `content` import, reading but not running them."""
    stream = io.BytesIO(content)
    strings: list[str] = []
    try:
        while stream.tell() < len(content):
            for opcode, argument, _ in pickletools.genops(stream):
                if opcode.name in ("GLOBAL", "INST"):
                    yield str(argument).replace(" ", ".")
                elif opcode.name == "STACK_GLOBAL" and len(strings) >= 2:
                    yield ".".join(strings[-2:])
                elif isinstance(argument, str):
                    strings.append(argument)
    except Exception:
        # What follows the pickles is tensor data, which no longer parses.
        return


def _is_whole_pickle(content: bytes) -> bool:
    try:
        return any(o.name == "STOP" for o, _, _ in pickletools.genops(_pickle_inside(content)))
    except Exception:
        return False


def _unwrap(loaded: Mapping[Any, Any], path: Path, size: int) -> Tensors:
    # As deep as wrappers are ever nested; a mapping may hold itself.
    for _ in range(4):
        inner = next((loaded[k] for k in WRAPPERS if isinstance(loaded.get(k), Mapping)), None)
        if inner is None:
            break
        loaded = cast("Mapping[Any, Any]", inner)
    return {
        str(name): _as_array(value, f"{path}: tensor {str(name)!r}", size)
        for name, value in loaded.items()
        if isinstance(value, np.ndarray) or hasattr(value, "detach")
    }


def _as_array(value: Any, what: str, size: int) -> NDArray[Any]:
    if isinstance(value, np.ndarray):
        return cast("NDArray[Any]", value)
    try:
        tensor = value.detach()
        # A view may repeat one stored value as often as it likes.
        if tensor.numel() > size:
            raise WeightsError(f"{what} claims {tensor.numel():,} values in {size:,} bytes")
        # NumPy has no bfloat16.
        return tensor.float().numpy() if tensor.is_floating_point() else tensor.numpy()
    except (RuntimeError, TypeError, NotImplementedError) as error:
        raise WeightsError(f"{what} is not a plain tensor (sparse, quantised or empty)") from error


def _without_prefix(tensors: Tensors) -> Tensors:
    """Take off whatever wrapper names stand before every tensor's name."""
    for prefix in PREFIXES:
        if tensors and all(name.startswith(prefix) for name in tensors):
            return _without_prefix({name[len(prefix) :]: t for name, t in tensors.items()})
    return tensors


def _float32(tensors: Tensors) -> Tensors:
    return {
        name: tensor.astype(np.float32) if np.issubdtype(tensor.dtype, np.floating) else tensor
        for name, tensor in tensors.items()
    }
