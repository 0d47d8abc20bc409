"""Kernels in C++ for training on processors, compiled on the machine when they are first wanted.

    kernels = load_kernels()      # None, and one line of log, where no compiler is
    kernels("halves_float_bf16", n, m, x, 0.05, first, second)

What torch would do in many passes over memory they do in one or two. The compiled library is kept
(see `lightsr.cache`) for its source, compiler and processor. Nothing of it depends on torch but the
pointers that are handed over.
"""

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

from lightsr.cache import Cache

log = logging.getLogger("lightsr")

SOURCE = Path(__file__).with_name("cpp") / "kernels.cpp"
FLAGS = (
    *("-O3", "-std=c++17", "-march=native", "-mprefer-vector-width=256", "-fopenmp"),
    # Let sums be vectorised; infinities and what is not a number stay what they are.
    *("-fno-math-errno", "-fno-trapping-math", "-fno-signed-zeros", "-fassociative-math"),
    *("-shared", "-fPIC"),
)


LIBRARIES = Cache("kernels", most=8)
"""Compiled libraries."""


class Kernels:
    """The compiled kernels, called by name."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self.library = library

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
        return Kernels(_loaded(_library(compiler)))
    except (OSError, subprocess.SubprocessError) as error:
        output = getattr(error, "stderr", None) or str(error)
        lines = output.strip().splitlines()
        reason = next(iter([line for line in lines if "error:" in line] or lines), repr(error))
        log.warning("%s could not compile the kernels, training is slower: %s", compiler, reason)
        return None


def _library(compiler: str) -> bytes:
    """Return the compiled library, from the cache if it is there."""
    depends = _depends(compiler)
    library = LIBRARIES.find(*depends)
    if library is None:
        library = _compiled(compiler)
        LIBRARIES.keep(library, *depends)
    return library


def _compiled(compiler: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "kernels.so"
        command = [compiler, *FLAGS, str(SOURCE), "-o", str(made)]
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
        return made.read_bytes()


def _loaded(library: bytes) -> ctypes.CDLL:
    # In memory, since nothing may be run from some folders for temporary files. It stays open:
    # another file of its number would count as the same library.
    number = os.memfd_create("lightsr-kernels")
    with open(number, "wb", closefd=False) as file:
        file.write(library)
    return ctypes.CDLL(f"/proc/self/fd/{number}")


def _depends(compiler: str) -> tuple[str, ...]:
    """Return what the compiled library depends on."""
    command = [compiler, "--version"]
    version = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    sources = [SOURCE, *sorted(SOURCE.parent.glob("*.h"))]
    hashes = [hashlib.sha256(path.read_bytes()).hexdigest() for path in sources]
    return (*hashes, version.stdout, *FLAGS, _processor())


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return "\n".join(sorted({line for line in lines if line.startswith(("model name", "flags"))}))


def _as_c(value: Tensor | int | float | None) -> object:
    if isinstance(value, Tensor):
        return ctypes.c_void_p(value.data_ptr())
    if isinstance(value, float):
        return ctypes.c_double(value)
    return ctypes.c_void_p(None) if value is None else ctypes.c_long(value)
