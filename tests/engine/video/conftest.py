"""What tests of videos share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from graphs import Graph

pytest.importorskip("av")

from lightsr.engine.fit import Fit
from lightsr.engine.video.encoding import VideoSettings
from lightsr.engine.video.run import VideoDone, run_video


@pytest.fixture
def enlarge(graph: Graph) -> Callable[..., VideoDone]:
    fit = Fit(2, None, None, {"weights": graph(2, kind="nearest")})

    def run(source: Path, target: Path, settings: VideoSettings | None = None) -> VideoDone:
        done = run_video(source, target, fit, settings or VideoSettings())
        assert sorted(p.name for p in target.parent.iterdir() if p.name.startswith(".")) == []
        return done

    return run
