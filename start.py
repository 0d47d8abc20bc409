"""Set lightsr up in this folder and use it, with nothing but Python 3.10 or newer.

    python3 start.py          install, and enlarge the sample picture
    python3 start.py test     install everything the tests need; lint, types, tests
    python3 start.py slow     the slow checks (published figures on whole test sets)

All is installed into the folder .venv; the system's Python is left alone.
"""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent
ENVIRONMENT = ROOT / ".venv"
PROGRAMS = ENVIRONMENT / ("Scripts" if os.name == "nt" else "bin")
PYTHON = PROGRAMS / ("python.exe" if os.name == "nt" else "python")


def main(arguments: list[str]) -> int:
    """Run the step that is asked for; return its exit status."""
    steps = {"demo": demo, "test": test, "slow": slow}
    name = arguments[0] if arguments else "demo"
    if name not in steps or len(arguments) > 1:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        steps[name]()
    except subprocess.CalledProcessError as error:
        print(f"start.py: failed: {' '.join(map(str, error.cmd))}", file=sys.stderr)
        return error.returncode
    return 0


def demo() -> None:
    """Install the package alone and enlarge the sample."""
    install(str(ROOT))
    run("-m", "lightsr", "upscale", "samples/coffee.png", "-o", "sample_x4.png", "--overwrite")
    program = (PROGRAMS / "lightsr").relative_to(ROOT)
    print("\nsample_x4.png is samples/coffee.png, four times as large.")
    print(f"Now your own: {program} upscale PICTURE")


def test() -> None:
    """Lint, types and the default tests."""
    install_for_tests()
    run("-m", "ruff", "check", ".")
    run("-m", "ruff", "format", "--check", ".")
    run("-m", "pyright")
    run("-m", "pytest")


def slow() -> None:
    """Run the checks that take minutes each."""
    install_for_tests()
    run("-m", "pytest", "-m", "slow")


def install_for_tests() -> None:
    """Install in place, with the versions that the tests are known to pass with."""
    install("--editable", f"{ROOT}[dev]", "--constraint", str(ROOT / "constraints.txt"))


def install(*what: str) -> None:
    """Make the virtual environment if there is none, and install into it."""
    if not PYTHON.exists():
        try:
            venv.create(ENVIRONMENT, with_pip=True)
        except subprocess.CalledProcessError:
            sys.exit(
                "start.py: this Python cannot make virtual environments; install its venv part"
            )
    run("-m", "pip", "install", "--quiet", "--disable-pip-version-check", *what)


def run(*command: str | Path) -> None:
    """Run the environment's Python."""
    print("$ python", *command, flush=True)
    subprocess.run([PYTHON, *command], cwd=ROOT, check=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
