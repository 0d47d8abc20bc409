"""The weights that are shipped, as data: `files/catalogue.json` beside the weights themselves.

Torch-free. Each entry says what its files are for, what they must hash to and how well they were
measured to do; a file is checked against its hash before it is used.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, cast

from lightsr.errors import WeightsError, unknown_name
from lightsr.networks.registry import list_networks, network_spec
from lightsr.weights.files import read_bytes, write_whole

FOLDER = Path(__file__).with_name("files")
"""Where the shipped weights lie."""

RANKING = "Set5"
"""The test set whose PSNR decides which of several weights or networks is best."""

FileKind = Literal["safetensors", "onnx"]
Measured = Mapping[str, tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Shipped:
    """Weights that come with the package."""

    network: str
    scale: int
    tag: str
    """Tells apart several weights of one network and scale: "default" where there is one."""
    safetensors: Path
    """The trained network's tensors under our names."""
    onnx: Path
    """The deploy form as an ONNX graph, built from `safetensors`."""
    sha256: Mapping[FileKind, str]
    psnr: Measured
    """PSNR in dB and SSIM by test set, whole image, replicate border."""
    licence: str
    card: Path
    """The model card: data, recipe, measurements."""

    @property
    def name(self) -> str:
        """Network, scale and tag in one word: "fdiwn-x4", or "fdiwn-x4.tag"."""
        name = f"{self.network}-x{self.scale}"
        return name if self.tag == "default" else f"{name}.{self.tag}"

    def verified(self, kind: FileKind) -> Path:
        """Return the path of a file after checking that it is what was shipped.

        Raises `WeightsError` naming the file where it is missing or differs.
        """
        path = self.safetensors if kind == "safetensors" else self.onnx
        if _sha256(path) != self.sha256[kind]:
            raise WeightsError(f"{path} is damaged: it is not what was shipped; reinstall lightsr")
        return path


def shipped(folder: Path = FOLDER) -> list[Shipped]:
    """Return all shipped weights, sorted by network, scale and tag.

    `folder` holds a `catalogue.json` and the files that it names.
    """
    return list(_read(folder))


def find(network: str, scale: int, tag: str = "default", folder: Path = FOLDER) -> Shipped:
    """Return the shipped weights of a network at a scale.

    The tag "default" takes the entry of that tag, or the one that measured best where there is
    none. Raises `WeightsError` where nothing is shipped for them or no entry has that tag.
    """
    entries = [e for e in _read(folder) if (e.network, e.scale) == (network, scale)]
    if not entries:
        raise WeightsError(
            f"no weights are shipped for {_label(network)} x{scale}{_others(network, folder)}; "
            f"give a file of weights"
        )
    for entry in entries:
        if entry.tag == tag:
            return entry
    if tag == "default":
        return max(entries, key=_rank)
    raise WeightsError(
        str(unknown_name(f"{network} x{scale} weights", tag, [e.tag for e in entries]))
    )


def best(scale: int, folder: Path = FOLDER) -> Shipped:
    """Return the shipped weights with the highest PSNR on Set5 at a scale.

    Raises `WeightsError` where none are shipped at that scale.
    """
    entries = [e for e in _read(folder) if e.scale == scale]
    if not entries:
        scales = sorted({e.scale for e in _read(folder)})
        there = f"there are: {', '.join(f'x{s}' for s in scales)}" if scales else "there are none"
        raise WeightsError(f"no weights are shipped for x{scale}; {there}")
    return max(entries, key=_rank)


def require_no_weights(network: str, weights: str | Path | None) -> None:
    """Raise `WeightsError` where weights are given to a network that has nothing to learn."""
    if weights not in (None, "default"):
        raise WeightsError(f"{network} has nothing to learn and takes no weights; leave them out")


def add_to_catalogue(
    network: str,
    scale: int,
    *,
    safetensors: Path,
    onnx: Path,
    card: Path,
    psnr: Measured,
    licence: str,
    tag: str = "default",
    folder: Path = FOLDER,
) -> Shipped:
    """Ship weights: copy the files into `folder`, record what they are, and return the entry.

    Replaces an entry of the same network, scale and tag. `psnr` gives PSNR in dB and SSIM by test
    set, "Set5" among them. Raises `WeightsError` where a file is missing, Set5 was not measured,
    or the metadata of `safetensors` names another network or scale.
    """
    from lightsr.weights.files import load_weights_of

    if RANKING not in psnr:
        raise WeightsError(f"weights are shipped with their PSNR on {RANKING}; measure it first")
    load_weights_of(safetensors, network, scale)
    stem = f"{network}-x{scale}" if tag == "default" else f"{network}-x{scale}.{tag}"
    entry: dict[str, Any] = {
        "network": network,
        "scale": scale,
        "tag": tag,
        "files": {
            "safetensors": _copied(safetensors, folder / f"{stem}.safetensors"),
            "onnx": _copied(onnx, folder / f"{stem}.onnx"),
        },
        "psnr": {name: list(values) for name, values in psnr.items()},
        "licence": licence,
        "card": _copied(card, folder / f"{stem}.md")["name"],
    }
    kept = [
        e for e in _raw(folder) if (e["network"], e["scale"], e["tag"]) != (network, scale, tag)
    ]
    entries = sorted([*kept, entry], key=lambda e: (e["network"], e["scale"], e["tag"]))
    text = json.dumps(entries, indent=2, ensure_ascii=False) + "\n"
    write_whole(folder / "catalogue.json", text.encode())
    _read.cache_clear()
    return find(network, scale, tag, folder)


@cache
def _read(folder: Path) -> tuple[Shipped, ...]:
    return tuple(_entry(raw, folder) for raw in _raw(folder))


def _raw(folder: Path) -> list[dict[str, Any]]:
    path = folder / "catalogue.json"
    if not path.exists():
        return []
    try:
        return cast("list[dict[str, Any]]", json.loads(read_bytes(path)))
    except ValueError as error:
        raise WeightsError(f"{path} is damaged; reinstall lightsr") from error


def _entry(raw: dict[str, Any], folder: Path) -> Shipped:
    files = cast("dict[FileKind, dict[str, str]]", raw["files"])
    return Shipped(
        network=raw["network"],
        scale=raw["scale"],
        tag=raw["tag"],
        safetensors=folder / files["safetensors"]["name"],
        onnx=folder / files["onnx"]["name"],
        sha256={kind: file["sha256"] for kind, file in files.items()},
        psnr={name: (values[0], values[1]) for name, values in raw["psnr"].items()},
        licence=raw["licence"],
        card=folder / raw["card"],
    )


def _label(network: str) -> str:
    """Return the name as people are shown it; an unknown one as it is."""
    return network_spec(network).label if network in list_networks() else network


def _rank(entry: Shipped) -> float:
    return entry.psnr[RANKING][0]


def _others(network: str, folder: Path) -> str:
    scales = sorted({e.scale for e in _read(folder) if e.network == network})
    return f" (only for {', '.join(f'x{s}' for s in scales)})" if scales else ""


def _copied(source: Path, target: Path) -> dict[str, str]:
    if source.resolve() != target.resolve():
        if not source.is_file():
            raise WeightsError(f"{source} does not exist")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    return {"name": target.name, "sha256": _sha256(target)}


def _sha256(path: Path) -> str:
    return hashlib.sha256(read_bytes(path)).hexdigest()
