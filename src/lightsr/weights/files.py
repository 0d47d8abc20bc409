"""Weights on disk: safetensors with what they belong to written inside. Torch-free.

A file of ours carries the metadata `format` ("lightsr"), `format_version`, `network` and `scale`,
so that weights are never fitted to a network they were not made for.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from lightsr.errors import UserError, WeightsError

Tensors = dict[str, NDArray[Any]]

FORMAT = "lightsr"
FORMAT_VERSION = "1"

_DTYPES: dict[str, type[np.generic]] = {
    "F64": np.float64,
    "F32": np.float32,
    "F16": np.float16,
    "I64": np.int64,
    "I32": np.int32,
    "I16": np.int16,
    "I8": np.int8,
    "U8": np.uint8,
    "BOOL": np.bool_,
}


def load_tensors(path: Path) -> tuple[Tensors, dict[str, str]]:
    """Return the tensors of a safetensors file and its metadata.

    bfloat16 becomes float32, which holds it exactly; every other type stays. Raises `WeightsError`
    naming the file where it is missing, damaged, or holds a value that is not finite.
    """
    content = read_bytes(path)
    tensors, metadata = parse_safetensors(content, path)
    require_finite(tensors, path)
    return tensors, metadata


def load_weights_of(path: Path, network: str, scale: int) -> Tensors:
    """Return the tensors of a file of ours, which must be for `network` at `scale`.

    Raises `WeightsError` where the metadata says otherwise or says nothing.
    """
    tensors, metadata = load_tensors(path)
    if metadata.get("format") != FORMAT:
        raise WeightsError(
            f"{path} does not say what it belongs to; turn it into lightsr's weights "
            f"with `lightsr convert`"
        )
    require_fit(metadata, path, network, scale)
    return tensors


def save_tensors(
    path: Path, tensors: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]
) -> None:
    """Write a safetensors file, whole or not at all. An existing file is replaced.

    `metadata` must hold `network` and `scale`; `format` and `format_version` are added. Raises
    `WeightsError` where the file cannot be written.
    """
    from safetensors.numpy import save

    contiguous = {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}
    described = {**metadata, "format": FORMAT, "format_version": FORMAT_VERSION}
    write_whole(path, save(contiguous, metadata=described))


def require_fit(metadata: Mapping[str, str], path: Path, network: str, scale: int) -> None:
    """Raise `WeightsError` unless the metadata of a file of ours names `network` and `scale`."""
    if metadata.get("format_version", FORMAT_VERSION) != FORMAT_VERSION:
        raise WeightsError(
            f"{path} is written in weight format {metadata['format_version']}, this lightsr reads "
            f"{FORMAT_VERSION}; install a newer lightsr"
        )
    held = (metadata.get("network"), metadata.get("scale"))
    if held != (network, str(scale)):
        raise WeightsError(
            f"{path} holds weights of {held[0]} x{held[1]}, not of {network} x{scale}; "
            f"ask for that network and scale or give other weights"
        )


def require_finite(tensors: Mapping[str, NDArray[Any]], path: Path) -> None:
    """Raise `WeightsError` naming the first tensor that holds NaN or an infinity."""
    for name, tensor in tensors.items():
        if np.issubdtype(tensor.dtype, np.floating) and not np.isfinite(tensor).all():
            bad = int(tensor.size - np.count_nonzero(np.isfinite(tensor)))
            raise WeightsError(
                f"{path} is no use: {bad} of the {tensor.size} values of tensor {name!r} are not "
                f"finite"
            )


def parse_safetensors(content: bytes, path: Path) -> tuple[Tensors, dict[str, str]]:
    """Return tensors and metadata of a safetensors file already read; `path` is for messages."""
    import safetensors

    # Its own annotations say nothing of what comes out.
    deserialize: Callable[[bytes], list[tuple[str, dict[str, Any]]]] = cast(
        "Any", safetensors
    ).deserialize
    try:
        entries = deserialize(content)
    except safetensors.SafetensorError as error:
        raise WeightsError(f"{path} is a damaged safetensors file: {error}") from error
    tensors = {
        name: _array(entry["data"], entry["dtype"], entry["shape"], f"{path}: tensor {name!r}")
        for name, entry in sorted(entries)
    }
    return tensors, _metadata(content)


def read_bytes(path: Path) -> bytes:
    """Return the content of a weight file, or raise `WeightsError` naming it."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise WeightsError(f"{path} does not exist") from None
    except IsADirectoryError:
        raise WeightsError(f"{path} is a folder, not a file of weights") from None
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror}") from error


def write_whole(path: Path, content: bytes, error_type: type[UserError] = WeightsError) -> None:
    """Write `content` to `path` so that nobody ever sees half of it, or raise an `error_type`."""
    partial = path.parent / f".lightsr-{uuid.uuid4().hex[:8]}.part"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with partial.open("xb") as file:
                file.write(content)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise error_type(f"{path} cannot be written: {error.strerror}") from error


def _array(data: bytearray, dtype: str, shape: list[int], what: str) -> NDArray[Any]:
    if dtype == "BF16":
        # bfloat16 is the upper half of a float32.
        widened = np.frombuffer(data, "<u2").astype(np.uint32) << 16
        return widened.view(np.float32).reshape(shape)
    if dtype not in _DTYPES:
        raise WeightsError(f"{what} is of type {dtype}, which lightsr does not read")
    return np.frombuffer(data, _DTYPES[dtype]).reshape(shape)


def _metadata(content: bytes) -> dict[str, str]:
    # The layout: the header's length in 8 little-endian bytes, the header in JSON, the data.
    length = int.from_bytes(content[:8], "little")
    header = cast("dict[str, Any]", json.loads(content[8 : 8 + length]))
    return cast("dict[str, str]", header.get("__metadata__", {}))
