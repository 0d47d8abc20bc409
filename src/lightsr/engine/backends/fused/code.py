"""From LLVM's assembly to machine code, kept per machine so that a later process starts at once.

A file of the cache holds machine code and, in front of it, its SHA-256. It is named after all that
the code depends on: what was to be written, who wrote it, and the processor. One that does not
fit its checksum is made again. Code is run as it lies there, so the folder must belong to the user
and be closed to writing by others; where it is not, nothing is kept.
"""

# llvmlite has no types.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false, reportMissingTypeStubs=false

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import llvmlite
from llvmlite import binding as llvm

from lightsr._version import __version__
from lightsr.engine.cache import cache_folder

_KEPT = 64
"""Files that the cache keeps; the oldest go."""


def machine_code(about: str, write: Callable[[], str]) -> Any:
    """Return an engine that holds the machine code of a module.

    `about` says everything that the module's assembly depends on besides this version of lightsr;
    `write` makes the assembly, and is called only if the cache does not hold the code.
    """
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    features = llvm.get_host_cpu_features().flatten()
    who = (__version__, _source_hash(), llvmlite.__version__, llvm.get_host_cpu_name(), features)
    key = hashlib.sha256("\n".join((*who, about)).encode()).hexdigest()
    folder = _trusted_folder()
    code = _kept(folder / f"{key}.o") if folder is not None else None
    if code is None:
        code = _compiled(write(), features)
        if folder is not None:
            _keep(folder / f"{key}.o", code)
    machine = _target(features)
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    return engine


def _target(features: str) -> Any:
    triple = llvm.Target.from_default_triple()
    return triple.create_target_machine(cpu=llvm.get_host_cpu_name(), features=features, opt=3)


def _compiled(source: str, features: str) -> bytes:
    module = llvm.parse_assembly(source)
    module.verify()
    machine = _target(features)
    options = llvm.create_pipeline_tuning_options(speed_level=2)
    passes = llvm.create_pass_builder(machine, options)
    passes.getModulePassManager().run(module, passes)
    return machine.emit_object(module)


def _source_hash() -> str:
    here = Path(__file__).parent
    files = (here / name for name in ("kernels.py", "driver.py", "program.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def _trusted_folder() -> Path | None:
    """Return the folder of kept code, or None where it cannot be had or others could write it."""
    folder = cache_folder() / "fused"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        about = folder.stat()
    except OSError:
        return None
    if os.name == "posix":
        open_to_others = about.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        if about.st_uid != os.getuid() or open_to_others:
            return None
    return folder


def _kept(path: Path) -> bytes | None:
    try:
        content = path.read_bytes()
    except OSError:
        return None
    checksum, code = content[:32], content[32:]
    return code if hashlib.sha256(code).digest() == checksum else None


def _keep(path: Path, code: bytes) -> None:
    beside = path.with_name(f"{path.name}.{uuid.uuid4().hex[:8]}")
    # A cache that cannot be written is no reason to fail.
    with contextlib.suppress(OSError):
        try:
            beside.write_bytes(hashlib.sha256(code).digest() + code)
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
        kept = sorted(path.parent.glob("*.o"), key=lambda file: file.stat().st_mtime)
        for old in kept[:-_KEPT]:
            old.unlink(missing_ok=True)
