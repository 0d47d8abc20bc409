"""`python -m lightsr`, the same as the `lightsr` command."""

from __future__ import annotations

import sys

from lightsr.cli import main

if __name__ == "__main__":
    sys.exit(main())
