"""Kernels in C++ for training on processors, compiled on the machine when they are first wanted.

    kernels = load_kernels()      # None, and one line of log, where no compiler is
    kernels("halves_float_bf16", n, m, x, 0.05, first, second)

What torch would do in many passes over memory they do in one or two. The compiled file is kept in
the user's cache folder under a name that changes with source, compiler and processor. Nothing of
it depends on torch but the pointers that are handed over.
"""

# torch's own annotations are partial.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false

from __future__ import annotations

import ctypes
import hashlib
import logging
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

from torch import Tensor

log = logging.getLogger("lightsr")

SOURCE = Path(__file__).with_name("kernels.cpp")
FLAGS = (
    *("-O3", "-std=c++17", "-march=native", "-mprefer-vector-width=256", "-fopenmp"),
    # Let sums be vectorised; infinities and what is not a number stay what they are.
    *("-fno-math-errno", "-fno-trapping-math", "-fno-signed-zeros", "-fassociative-math"),
    *("-shared", "-fPIC"),
)


class Kernels:
    """The compiled kernels, called by name."""

    def __init__(self, path: Path) -> None:
        self.library = ctypes.CDLL(str(path))

    def __call__(self, name: str, *arguments: Tensor | int | float | None) -> None:
        """Run a kernel. Tensors must be dense and in the layout that it takes."""
        getattr(self.library, name)(*map(_as_c, arguments))


@cache
def load_kernels() -> Kernels | None:
    """Return the kernels, compiled now if they were not before; None where that is impossible.

    They are tried on Linux on x86-64 alone, with g++ or what CXX names.
    """
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return None
    compiler = shutil.which(os.environ.get("CXX", "g++"))
    if compiler is None:
        log.info("no C++ compiler (g++ or CXX) is here: training runs without its kernels, slower")
        return None
    try:
        return Kernels(_compiled(compiler))
    except (OSError, subprocess.SubprocessError) as error:
        output = getattr(error, "stderr", None) or str(error)
        reason = next(iter(output.strip().splitlines()), type(error).__name__)
        log.warning("%s could not compile the kernels, training is slower: %s", compiler, reason)
        return None


def _compiled(compiler: str) -> Path:
    folder = cache_folder()
    path = folder / f"kernels-{_fingerprint(compiler)}.so"
    if path.exists():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    # Beside and then renamed: others may be at it, too.
    with tempfile.TemporaryDirectory(dir=folder) as beside:
        made = Path(beside) / path.name
        command = [compiler, *FLAGS, str(SOURCE), "-o", str(made)]
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
        made.replace(path)
    return path


def cache_folder() -> Path:
    """Return where compiled kernels are kept."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "lightsr"


def _fingerprint(compiler: str) -> str:
    version = subprocess.run([compiler, "--version"], check=True, capture_output=True, timeout=60)
    known = (SOURCE.read_bytes(), version.stdout, " ".join(FLAGS).encode(), _processor())
    return hashlib.sha256(b"\0".join(known)).hexdigest()[:16]


def _processor() -> bytes:
    try:
        lines = Path("/proc/cpuinfo").read_bytes().splitlines()
    except OSError:
        return platform.processor().encode()
    return b"".join(sorted({line for line in lines if line.startswith((b"model name", b"flags"))}))


def _as_c(value: Tensor | int | float | None) -> object:
    if isinstance(value, Tensor):
        return ctypes.c_void_p(value.data_ptr())
    if isinstance(value, float):
        return ctypes.c_double(value)
    return ctypes.c_void_p(None) if value is None else ctypes.c_long(value)
