from __future__ import annotations

from typing import Any, get_args

import pytest

from lightsr.cli import options
from lightsr.cli.app import run
from lightsr.engine.backends.choose import BACKENDS, DEVICES, PRECISIONS


@pytest.mark.parametrize(
    ("option", "names"),
    [
        (options.Backend, BACKENDS),
        (options.Device, DEVICES),
        (options.Precision, PRECISIONS),
        (options.BorderOfLR, get_args(options.Border)),
    ],
)
def test_help_names_what_there_is(option: Any, names: tuple[str, ...]) -> None:
    assert option.__metadata__[0].metavar == "|".join(names)


def test_verbs_share_their_options(capsys: pytest.CaptureFixture[str]) -> None:
    for verb in ("upscale", "evaluate", "benchmark", "serve"):
        assert run([verb, "--help"]) == 0
        words = " ".join(capsys.readouterr().out.split())
        for option in (options.Backend, options.Device, options.Precision):
            told: Any = get_args(option)[1]
            assert f"{told.metavar} {told.help}" in words
