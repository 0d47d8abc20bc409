"""The options that several verbs have, each with one help text."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from lightsr.networks.registry import known_scales

Border = Literal["symmetric", "replicate"]

Network = Annotated[
    str, typer.Argument(metavar="MODEL", help="The network's name; see `lightsr models`.")
]
Scale = Annotated[int, typer.Option(metavar="S", help="How many times larger.")]
WantedScale = Annotated[
    int | None,
    typer.Option(
        metavar="|".join(map(str, known_scales())),
        help="How many times larger; 4, or what a file of weights is for, if left out.",
    ),
]
Width = Annotated[
    int | None, typer.Option(metavar="W", help="Width to reach in pixels, instead of a scale.")
]
Height = Annotated[
    int | None, typer.Option(metavar="H", help="Height to reach; one keeps the proportions.")
]
Model = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Network; if left out, the best that is shipped, or what a file of weights holds.",
    ),
]
Weights = Annotated[
    str, typer.Option(metavar="TAG|FILE", help="Shipped weights by tag, or a file of weights.")
]
Backend = Annotated[
    str,
    typer.Option(metavar="auto|fused|onnxruntime|torch", help="What runs the network."),
]
Device = Annotated[
    str, typer.Option(metavar="auto|cpu|cuda|mps", help="Where the backend runs it.")
]
Precision = Annotated[
    str,
    typer.Option(
        metavar="auto|fp32|bf16|fp16|int8",
        help="What the backend computes in; auto is the fastest within 55 dB of fp32.",
    ),
]
Tiling = Annotated[
    str,
    typer.Option(
        metavar="auto|off|N",
        help="Whole pictures while they fit into memory (auto), always (off), or tiles of "
        "N x N input pixels.",
    ),
]
Ensemble = Annotated[
    bool, typer.Option("--ensemble", help="Average eight views: a little better, 8x slower.")
]
Quality = Annotated[
    int | None, typer.Option(metavar="1..100", help="Quality of JPEG, WebP and AVIF.")
]
Part = Annotated[
    str | None,
    typer.Option(
        "--shard",
        metavar="N/COUNT",
        help="Do part N of COUNT alone, always the same inputs: for one of several machines.",
    ),
]
BorderOfLR = Annotated[
    Border,
    typer.Option(
        metavar="symmetric|replicate",
        help="How the bicubic that makes LR pictures goes on beyond their edge; papers like "
        "FDIWN's used replicate.",
    ),
]
Forward = Annotated[
    Literal["whole", "chop"],
    typer.Option(
        metavar="whole|chop",
        help="Pictures whole, or in four overlapping parts as FDIWN's authors do.",
    ),
]
AsJSON = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace outputs that are there already.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")]
