"""A network with its weights in it: asked for by name, or whichever a file holds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from lightsr.errors import WeightsError
from lightsr.weights.catalogue import Shipped, find, require_no_weights
from lightsr.weights.checkpoints import Checkpoint, read_checkpoint
from lightsr.weights.families import require_exact
from lightsr.weights.files import FORMAT, Tensors
from lightsr.weights.tensorflow import index_of

if TYPE_CHECKING:
    from torch import nn

Source = str | Path
"""Where weights come from: the tag of shipped ones, or the path of a file."""


def create_network(name: str, scale: int, weights: Source | None = "default") -> nn.Module:
    """Return a network, RGB [0, 1] NCHW in and out, with weights, in evaluation mode on the CPU.

    `weights` is the tag of shipped weights ("default": the ones that lightsr uses itself), the
    path of a file (ours, or any published checkpoint that `lightsr convert` takes), or None for
    the random values that training starts from. A network with nothing to learn needs none. Needs
    torch. Raises `UserError` for an unknown
    name or scale and `WeightsError` for weights that are not there, not readable, or do not fit.
    """
    from lightsr.networks.build import create_network as create_bare
    from lightsr.networks.registry import network_spec

    network = create_bare(name, scale)
    if not network_spec(name).trained:
        require_no_weights(name, weights)
    elif weights is not None:
        found = locate(name, scale, weights)
        path = found.verified("safetensors") if isinstance(found, Shipped) else found
        put(network, load_fitting(path, name, scale), path)
    return network.eval()


def load_network(
    path: str | Path, *, model: str | None = None, scale: int | None = None
) -> nn.Module:
    """Return the network that a file of weights holds, ready to run.

    RGB [0, 1] NCHW in and out, in evaluation mode on the CPU. Takes files of ours and every
    published checkpoint that `lightsr convert` takes; architecture, size and scale are told by the
    names and shapes of the tensors. `model` and `scale` choose where that leaves several, as it
    does for networks whose weights are alike at all scales. Needs torch. Raises what
    `create_network` raises, and `WeightsError` for a file that fits no network, or several (which
    it names).
    """
    from lightsr.networks.build import create_network as create_bare
    from lightsr.weights.detect import detect_in

    path = Path(path)
    read = read_checkpoint(path)
    held = detect_in(read, path, model, scale)
    network = create_bare(*held)
    put(network, fitting(read, path, *held), path)
    return network.eval()


def locate(network: str, scale: int, weights: Source) -> Shipped | Path:
    """Return the shipped weights that `weights` names, or the path of the file that it is.

    A `Path`, and a string that looks like one (it has a folder or a suffix, or is there), is a
    file; any other string is a tag. Raises `UserError` for an unknown network or scale and
    `WeightsError` where neither a file nor shipped weights are found.
    """
    from lightsr.networks.registry import network_spec

    network_spec(network, scale)
    path = index_of(Path(weights))
    if isinstance(weights, Path) or path.name != weights or path.suffix or path.exists():
        if not path.exists():
            raise WeightsError(f"{path} does not exist")
        return path
    return find(network, scale, weights)


def load_fitting(path: Path, network: str, scale: int) -> Tensors:
    """Return the tensors of a file of weights, ours or published, in our names and shapes.

    Our own files need no torch; a published checkpoint is converted in memory. Raises what
    `convert` does.
    """
    return fitting(read_checkpoint(path), path, network, scale)


def fitting(read: Checkpoint, path: Path, network: str, scale: int) -> Tensors:
    """Do what `load_fitting` does with a checkpoint already read from `path`."""
    from lightsr.weights.convert import fit
    from lightsr.weights.files import require_fit

    if read.metadata.get("format") == FORMAT:
        require_fit(read.metadata, path, network, scale)
        return read.tensors
    return fit(read, path, network, scale)


def put(network: nn.Module, tensors: Mapping[str, NDArray[Any]], path: Path) -> None:
    """Load tensors into a network; `WeightsError` naming `path` unless they fit exactly."""
    import torch

    state = network.state_dict()
    require_exact(tensors, {name: tuple(value.shape) for name, value in state.items()}, path)
    network.load_state_dict({name: torch.as_tensor(value) for name, value in tensors.items()})
