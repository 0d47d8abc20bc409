"""From LLVM's assembly to machine code, kept per machine so that a later process starts at once."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from lightsr._version import __version__
from lightsr.cache import Cache
from lightsr.engine.backends.fused.graph import UnsupportedError

_llvm: Any = import_module("llvmlite.binding")

CODE = Cache("fused", most=64)
"""Machine code."""


def host_features() -> frozenset[str]:
    """Return what this processor can do, by LLVM's names."""
    names = frozenset(feature[1:] for feature in _features().split(",") if feature.startswith("+"))
    # Every 64-bit Arm has it, whether the system tells or not.
    arm = platform.machine().lower() in ("arm64", "aarch64")
    return names | {"neon"} if arm else names


@cache
def about_machine() -> tuple[str, ...]:
    """Return what machine code, and how it rounds, depends on besides its purpose."""
    here = Path(__file__).parent
    sources = b"".join(path.read_bytes() for path in sorted(here.glob("*.py")))
    version = import_module("llvmlite").__version__
    source = hashlib.sha256(sources).hexdigest()
    return (__version__, source, version, _llvm.get_host_cpu_name(), _features())


def machine_code(about: str, write: Callable[[], str]) -> Any:
    """Return an engine that holds the machine code of a module.

    `about` says everything that the module's assembly depends on besides this version of lightsr;
    `write` makes the assembly, and is called only if the cache does not hold the code. Raises
    `UnsupportedError` where LLVM cannot make or load it.
    """
    _llvm.initialize_native_target()
    _llvm.initialize_native_asmprinter()
    code = CODE.find(*about_machine(), about)
    try:
        if code is None:
            code = _compiled(write())
            CODE.keep(code, *about_machine(), about)
        engine = _llvm.create_mcjit_compiler(_llvm.parse_assembly(""), _target())
        engine.add_object_file(_llvm.ObjectFileRef.from_data(code))
        engine.finalize_object()
    except RuntimeError as error:
        raise UnsupportedError(f"LLVM: {error}") from error
    return engine


@cache
def _features() -> str:
    try:
        return _llvm.get_host_cpu_features().flatten()
    except RuntimeError:  # where LLVM cannot tell
        return ""


def _target() -> Any:
    triple = _llvm.Target.from_default_triple()
    return triple.create_target_machine(cpu=_llvm.get_host_cpu_name(), features=_features(), opt=3)


def _compiled(source: str) -> bytes:
    module = _llvm.parse_assembly(source)
    module.verify()
    machine = _target()
    options = _llvm.create_pipeline_tuning_options(speed_level=2)
    passes = _llvm.create_pass_builder(machine, options)
    passes.getModulePassManager().run(module, passes)
    return machine.emit_object(module)
