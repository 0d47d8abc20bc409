"""Measure the memory that one run takes, and print the table of `engine/backends/footprints.py`.

    python benchmarks/memory.py [--network fdiwn] [--scale 4] [--backend onnxruntime]

Every size is run twice in a process of its own (a second run finds memory in pieces, and takes a
little more); the kernel's high-water mark tells the peak. Random weights do, memory does not
depend on them. A line through the measurements, and three tenths on top, is the model. Linux only.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, cast

SIZES = ((96, 96), (128, 192), (224, 224))
MARGIN = 1.3
"""Arenas are rounded: ECBSR-M16C64 x3 takes 1.22 of its line at 160x256, where the slow test is."""


def main() -> None:
    """Measure what the arguments name, everything by default."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", action="append")
    parser.add_argument("--scale", action="append", type=int)
    parser.add_argument("--backend", action="append")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(_peak(**json.loads(arguments.one)))
        return
    from lightsr.networks.registry import list_networks, network_spec

    trained = [name for name in list_networks() if network_spec(name).trained]
    for backend in arguments.backend or ("onnxruntime", "torch"):
        for network in arguments.network or trained:
            for scale in arguments.scale or network_spec(network).scales:
                constant, per_pixel = measure(backend, network, scale)
                print(f'    ("{backend}", "{network}", {scale}): ', end="")
                print(f"MemoryModel({constant:_}, {per_pixel:_}),", flush=True)


def measure(backend: str, network: str, scale: int) -> tuple[int, int]:
    """Return the constant and the bytes per LR pixel of a memory model."""
    with tempfile.TemporaryDirectory() as folder:
        weights = random_weights(Path(folder), backend, network, scale)
        peaks = [
            (height * width, peak_in_new_process(backend, network, scale, weights, height, width))
            for height, width in SIZES
        ]
    (few, low), (many, high) = peaks[0], peaks[-1]
    per_pixel = (high - low) / (many - few) * MARGIN
    constant = max(peak * MARGIN - per_pixel * pixels for pixels, peak in peaks)
    return max(int(round(constant, -6)), 1_000_000), round(per_pixel)


def peak_in_new_process(
    backend: str, network: str, scale: int, weights: Path | str, height: int, width: int
) -> int:
    """Return the bytes that runs on a picture of that size take beyond the loaded network."""
    what = {"backend": backend, "network": network, "scale": scale, "weights": str(weights)}
    what |= {"height": height, "width": width}
    command = [sys.executable, __file__, "--one", json.dumps(what)]
    # One thread: memory hardly depends on their number, and torch's crawl on cores in use.
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    result = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return int(result.stdout)


def random_weights(folder: Path, backend: str, network: str, scale: int) -> Path:
    """Write a file of weights that the backend can run into a folder."""
    from lightsr.networks.build import create_network

    module = create_network(network, scale)
    if backend == "torch":
        from lightsr.weights.files import save_tensors

        path = folder / "weights.safetensors"
        tensors = {name: tensor.numpy() for name, tensor in module.state_dict().items()}
        save_tensors(path, tensors, {"network": network, "scale": str(scale)})
    else:
        from lightsr.export.onnx import onnx_model

        # Not `export_onnx`: what it checks is whether values agree, and random ones hardly do.
        path = folder / "weights.onnx"
        deployed = cast("Any", module).deploy().eval()
        path.write_bytes(onnx_model(deployed, name=network, scale=scale).SerializeToString())
    return path


def _peak(backend: str, network: str, scale: int, weights: str, height: int, width: int) -> int:
    import numpy as np

    from lightsr.engine.backends.choose import Choice, open_backend

    loaded = open_backend(Choice(network, Path(weights), backend, "cpu"), scale)
    loaded.run(np.zeros((1, 3, 8, 8), np.float32))
    before = _status("VmRSS")
    lr = np.random.default_rng(0).random((1, 3, height, width), np.float32)
    for _ in range(2):
        loaded.run(lr)
    return _status("VmHWM") - before


def _status(entry: str) -> int:
    found = re.search(rf"^{entry}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found.group(1)) * 1024


if __name__ == "__main__":
    main()
