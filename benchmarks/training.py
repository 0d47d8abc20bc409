"""How fast FDIWN trains: a plain loop, as research code has it, against ours; alternating.

    python benchmarks/training.py [--pictures FOLDER] [--scale 4] [--batch 8] [--patch 24]
        [--rounds 6] [--threads 2] [--device cpu] [--profile]
        [--seed 0] [--disturbed 0]

The plain loop (`naive_fdiwn`) has the network written at face value, the old weight norm,
`torch.optim.Adam` by default, float32, NCHW, and a DataLoader whose workers cut patches from PNG
sub-pictures. Its loader's batches are waited for and put aside, so that all loops train on the
same patches from the same weights, and their losses can be compared: printed are the mean over the
last third of the steps, and how far single ones part. Without pictures, smooth noise is trained on:
the time is the same. Memory and arithmetic ceilings are measured, too.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from naive_fdiwn import l1, naive_like
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from lightsr.networks.registry import network_spec
from lightsr.training.data import load_pairs
from lightsr.training.forms import trained_form
from lightsr.training.losses import build_loss
from lightsr.training.module import started_network
from lightsr.training.optimise import build_optimiser
from lightsr.training.recipe import Data, Recipe
from lightsr.training.resident import choose_patches

SUB_PICTURE = 480
"""Side of the plain loop's HR pictures, as research code cuts DIV2K into."""


def main() -> None:
    """Measure what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--scale", type=int, default=4)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--patch", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--workers", type=int, default=2, help="of the plain loop's loader")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seed", type=int, default=0, help="of patches and initialisation")
    parser.add_argument(
        "--disturbed",
        type=int,
        default=0,
        help="so many more of either kind in fp32, first weights a part in a million off",
    )
    parser.add_argument("--profile", action="store_true", help="say where the time goes")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    device = torch.device(options.device)

    with tempfile.TemporaryDirectory() as folder:
        pictures = options.pictures or make_pictures(Path(folder) / "pictures")
        recipe = Recipe(
            network="fdiwn",
            scale=options.scale,
            start="bicubic",
            seed=options.seed,
            data=Data(
                folders=(pictures,),
                cache=Path(folder) / "cache",
                patch=options.patch,
                batch=options.batch,
            ),
        )
        pairs = load_pairs(recipe.data, recipe.scale)
        patches = choose_patches(pairs, recipe.data, recipe.scale, recipe.seed, 0, device)
        cut_sub_pictures(pairs, Path(folder) / "sub", recipe.scale)
        loops = [
            plain_loop(recipe, Path(folder) / "sub", options.workers, device),
            our_loop(recipe, torch.float32, device),
            our_loop(recipe, torch.bfloat16, device),
        ]
        for number in range(1, options.disturbed + 1):
            loops += [
                plain_loop(recipe, Path(folder) / "sub", options.workers, device, number),
                our_loop(recipe, torch.float32, device, number),
            ]
        lr, hr = patches.batch(0)
        for iteration in range(options.rounds + 1):
            lr, hr = patches.batch(iteration)
            for loop in loops:
                loop.go(lr, hr, counted=iteration > 0)
        report(loops, recipe, device)
        if options.profile:
            for loop in loops:
                profile(loop, lr, hr)


@dataclass
class Loop:
    """A way to train: `step` waits for its loader if it has one, and returns the loss."""

    name: str
    kind: torch.dtype
    step: Callable[[Tensor, Tensor], float]
    seconds: list[float] = field(default_factory=list)
    cpu_seconds: list[float] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)

    def go(self, lr: Tensor, hr: Tensor, *, counted: bool) -> None:
        """Take a step and note how long it took. Reading the loss waits for a GPU."""
        begun, begun_cpu = time.perf_counter(), time.process_time()
        self.losses.append(self.step(lr, hr))
        if counted:
            self.seconds.append(time.perf_counter() - begun)
            self.cpu_seconds.append(time.process_time() - begun_cpu)


def plain_loop(
    recipe: Recipe, folder: Path, workers: int, device: torch.device, disturbed: int = 0
) -> Loop:
    """Return the plain loop."""
    network = naive_like(begun(recipe, disturbed), recipe.scale).to(device)
    optimiser = torch.optim.Adam(network.parameters(), lr=recipe.optimiser.learning_rate)
    dataset = SubPictures(folder, recipe.data.patch, recipe.scale)
    loader = DataLoader(
        dataset, recipe.data.batch, shuffle=True, num_workers=workers, drop_last=True
    )
    batches = endless(loader)

    def step(lr: Tensor, hr: Tensor) -> float:
        for side in next(batches):
            side.to(device)
        optimiser.zero_grad()
        loss = l1(network(lr), hr)
        loss.backward()
        optimiser.step()
        return loss.item()

    return Loop("plain, disturbed" if disturbed else "plain loop, fp32", torch.float32, step)


@torch.no_grad()
def begun(recipe: Recipe, disturbed: int) -> nn.Module:
    """Return the network to train; disturbed by 1e-6, it tells what of a loss is chance."""
    network = started_network(recipe)
    if disturbed:
        generator = torch.Generator().manual_seed(disturbed)
        for parameter in network.parameters():
            parameter.mul_(1 + 1e-6 * torch.randn(parameter.shape, generator=generator))
    return network


def our_loop(
    recipe: Recipe, compute: torch.dtype, device: torch.device, disturbed: int = 0
) -> Loop:
    """Return our loop, its convolutions in the type `compute`."""
    network = begun(recipe, disturbed).to(device)
    loss_of = build_loss(recipe, network)
    computed = trained_form(network, loss_of, device, compute, recipe.compile)
    optimiser, schedule = build_optimiser(recipe, network)

    def step(lr: Tensor, hr: Tensor) -> float:
        loss = computed(lr.contiguous(memory_format=torch.channels_last), hr, 0)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        return loss.item()

    name = "bf16" if compute == torch.bfloat16 else "fp32"
    return Loop("ours, disturbed" if disturbed else f"ours, {name}", compute, step)


class SubPictures(Dataset[tuple[Tensor, Tensor]]):
    """Patches cut at random from pairs of PNG files, decoded each time."""

    def __init__(self, folder: Path, patch: int, scale: int) -> None:
        self.paths = sorted(folder.glob("*-hr.png"))
        self.patch, self.scale = patch, scale

    def __len__(self) -> int:
        return max(len(self.paths), 1000)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        path = self.paths[index % len(self.paths)]
        hr = np.array(Image.open(path))
        lr = np.array(Image.open(path.with_name(path.name.replace("-hr", "-lr"))))
        p, s = self.patch, self.scale
        y, x = (int(np.random.randint(side - p + 1)) for side in lr.shape[:2])
        lr, hr = lr[y : y + p, x : x + p], hr[s * y : s * (y + p), s * x : s * (x + p)]
        if np.random.rand() < 0.5:
            lr, hr = lr[:, ::-1], hr[:, ::-1]
        return as_tensor(lr), as_tensor(hr)


def as_tensor(pixels: np.ndarray) -> Tensor:
    """Return uint8 [h, w, 3] as float [3, h, w] in [0, 1]."""
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1))).float() / 255


def endless(loader: DataLoader[tuple[Tensor, Tensor]]) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield a loader's batches, epoch after epoch."""
    while True:
        yield from loader


def make_pictures(folder: Path) -> Path:
    """Make a folder of smooth noise."""
    folder.mkdir()
    random = np.random.default_rng(0)
    for index in range(4):
        small = Image.fromarray(random.integers(256, size=(96, 96, 3), dtype=np.uint8))
        small.resize((960, 960), Image.Resampling.BICUBIC).save(folder / f"{index}.png")
    return folder


def cut_sub_pictures(pairs: list, folder: Path, scale: int) -> None:
    """Write up to 64 pairs of PNG files, HR of 480x480 where the picture has that much."""
    folder.mkdir()
    side = SUB_PICTURE // scale
    for index in range(64):
        pair = pairs[index % len(pairs)]
        lr, hr = pair.lr[:side, :side], pair.hr[: side * scale, : side * scale]
        Image.fromarray(np.ascontiguousarray(lr)).save(folder / f"{index:03}-lr.png")
        Image.fromarray(np.ascontiguousarray(hr)).save(folder / f"{index:03}-hr.png")


def report(loops: list[Loop], recipe: Recipe, device: torch.device) -> None:
    """Print what was measured."""
    data = recipe.data
    multi_adds = network_spec("fdiwn", recipe.scale).cost[recipe.scale]
    # Forward, and twice that backward: for what comes in and for the weights.
    work = 6 * data.batch * multi_adds.multi_adds(data.patch, data.patch)
    ceilings = {kind: gemm(kind, device) for kind in (torch.float32, torch.bfloat16)}
    threads = torch.get_num_threads()
    print(
        f"FDIWN x{recipe.scale}, {data.batch} patches of {data.patch}x{data.patch}, {device}, "
        f"{threads} threads, medians of {len(loops[0].seconds)}; {work / 1e9:.1f} GFLOP each"
    )
    print(
        f"ceilings: {ceilings[torch.float32] / 1e12:.3f} TFLOP/s fp32, "
        f"{ceilings[torch.bfloat16] / 1e12:.3f} bf16 (matrix products of 2048), "
        f"{bandwidth(device) / 1e9:.1f} GB/s copying"
    )
    print(f"{'':18}{'s/it':>8}{'CPU s/it':>10}{'it/s':>8}{'samples/s':>11}{'TFLOP/s':>9}", end="")
    print(f"{'of ceiling':>12}{'speed':>8}{'CPU ratio':>11}{'loss':>10}{'off by':>9}")
    base, base_cpu = (
        statistics.median(values) for values in (loops[0].seconds, loops[0].cpu_seconds)
    )
    for loop in loops:
        taken, cpu = statistics.median(loop.seconds), statistics.median(loop.cpu_seconds)
        off = max(abs(a / b - 1) for a, b in zip(loop.losses, loops[0].losses, strict=True))
        print(
            f"{loop.name:18}{taken:8.3f}{cpu:10.3f}{1 / taken:8.2f}{data.batch / taken:11.1f}"
            f"{work / taken / 1e12:9.3f}{work / taken / ceilings[loop.kind]:12.0%}"
            f"{base / taken:7.2f}x{base_cpu / cpu:10.2f}x{late_loss(loop):10.4f}{off:9.1e}"
        )


def late_loss(loop: Loop) -> float:
    """Return the mean loss over the last third of the steps."""
    return statistics.fmean(loop.losses[-max(1, len(loop.losses) // 3) :])


def gemm(kind: torch.dtype, device: torch.device) -> float:
    """Return the FLOP a second of a large matrix product, the best of several."""
    side = 2048 if device.type == "cpu" else 8192
    a = torch.randn(side, side, dtype=kind, device=device)
    return 2 * side**3 / best_time(lambda: a @ a, device)


def bandwidth(device: torch.device) -> float:
    """Return the bytes a second that a copy reads and writes."""
    a = torch.zeros(1 << 26, device=device)
    b = torch.empty_like(a)
    return 2 * a.nbytes / best_time(lambda: b.copy_(a), device)


def best_time(function: Callable[[], object], device: torch.device) -> float:
    """Return the shortest time of several calls."""
    times: list[float] = []
    for _ in range(4):
        begun = time.perf_counter()
        function()
        if device.type == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - begun)
    return min(times[1:])


def profile(loop: Loop, lr: Tensor, hr: Tensor) -> None:
    """Print where a step's time goes."""
    activities = [torch.profiler.ProfilerActivity.CPU]
    if lr.device.type == "cuda":
        activities.append(torch.profiler.ProfilerActivity.CUDA)
    with torch.profiler.profile(activities=activities) as profiler:
        loop.step(lr, hr)
    print(f"\n{loop.name}")
    key = "self_cpu_time_total" if lr.device.type == "cpu" else "self_device_time_total"
    print(profiler.key_averages().table(sort_by=key, row_limit=14, max_name_column_width=40))


if __name__ == "__main__":
    main()
