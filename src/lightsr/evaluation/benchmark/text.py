"""The table in Markdown and as comma-separated values."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

from lightsr.engine.machine import format_memory
from lightsr.evaluation.benchmark.contenders import Contender
from lightsr.evaluation.benchmark.cost import GaveUp
from lightsr.evaluation.benchmark.results import Results, Row
from lightsr.metrics import Score

NOTHING = ""
"""What a cell shows that has no figure."""


def markdown(results: Results) -> str:
    """Return the document `table.md`: per scale a table of quality and one of cost."""
    parts = ["# Comparison table", *_how(results)]
    for scale in results.settings.scales:
        rows = results.at(scale)
        parts += [
            f"## x{scale}",
            f"Quality: PSNR in dB / SSIM, measured ({_how_measured(results)}); published; and the "
            "difference, measured less published.",
            _table(*_quality(rows, results.set_names)),
            _cost_caption(results),
            _table(*_cost(rows)),
            "What the published multi-adds count:",
            "\n".join(f"- {', '.join(titles)}: {rule}." for rule, titles in rules(rows)),
        ]
    return "\n\n".join(parts) + "\n"


def summary(results: Results) -> str:
    """Return what the command prints when it is through."""
    lines: list[str] = []
    for scale in results.settings.scales:
        head, rows = _quality(results.at(scale), results.set_names)
        lines += [f"x{scale}", *_aligned([head, *rows]), ""]
    for failure in results.failures:
        lines.append(f"{failure.what} failed: {failure.reason}")
    lines.append(f"Written to {results.settings.output}: index.html, table.md, table.csv")
    return "\n".join(lines) + "\n"


def comma_separated(results: Results) -> str:
    """Return `table.csv`: a line per row, plain numbers, empty where there is no figure."""
    columns = ["scale", "network", "title", "weights", "weights_sha256"]
    for kind in ("parameters", "multi_adds"):
        columns += [f"{kind}_true", f"{kind}_published_accounting", f"{kind}_published"]
    for name in results.set_names:
        for what in ("measured", "published", "difference"):
            columns += [f"{name}_psnr_{what}", f"{name}_ssim_{what}"]
    columns += ["latency_seconds", "core_seconds", "peak_bytes"]
    target = io.StringIO()
    writer = csv.DictWriter(target, columns, lineterminator="\n")
    writer.writeheader()
    for told in results.as_json()["rows"]:
        held = _of(told["weights"])
        line: dict[str, Any] = {
            "scale": told["scale"],
            "network": told["network"],
            "title": told["title"],
            "weights": held.get("label"),
            "weights_sha256": held.get("sha256"),
            "latency_seconds": _of(told["latency"]).get("seconds"),
            "core_seconds": _of(told["latency"]).get("core_seconds"),
            "peak_bytes": told["peak_bytes"],
        }
        for kind in ("parameters", "multi_adds"):
            for rule, value in _of(told[kind]).items():
                line[f"{kind}_{rule}"] = value
        for name, quality in told["quality"].items():
            for what in ("measured", "published", "difference"):
                for metric, value in _of(quality[what]).items():
                    line[f"{name}_{metric}_{what}"] = value
        writer.writerow(line)
    return target.getvalue()


def _of(found: dict[str, Any] | None) -> dict[str, Any]:
    return found or {}


def weights_of(contender: Contender) -> str:
    """Return what the table's column of weights says."""
    return contender.weights.label if contender.weights is not None else NOTHING


def score(figures: Score | None) -> str:
    """Return PSNR and SSIM as papers print them."""
    return NOTHING if figures is None else f"{figures.psnr:.2f} / {figures.ssim:.4f}"


def difference(measured: Score | None, published: Score | None) -> str:
    """Return by how much measured figures exceed published ones, with their sign."""
    if measured is None or published is None:
        return NOTHING
    return f"{measured.psnr - published.psnr:+.2f} / {measured.ssim - published.ssim:+.4f}"


def thousands(count: int) -> str:
    """Return a number of parameters in thousands: "663.8K"."""
    return f"{count / 1e3:,.1f}K"


def giga(count: int) -> str:
    """Return a number of multi-adds in thousand millions: "28.36G"."""
    return f"{count / 1e9:,.2f}G"


def seconds(row: Row) -> str:
    """Return a latency in words, or why there is none."""
    if isinstance(row.cost, GaveUp):
        return row.cost.reason
    return NOTHING if row.latency is None else f"{row.latency:.2f} s"


def core_seconds(row: Row) -> str:
    """Return what all cores together spend on a run, in words."""
    return NOTHING if row.core_seconds is None else f"{row.core_seconds:.2f} s"


def memory(row: Row) -> str:
    """Return the peak memory in words."""
    return NOTHING if row.peak_bytes is None else format_memory(row.peak_bytes)


def rules(rows: Sequence[Row]) -> list[tuple[str, list[str]]]:
    """Return the rules that the published multi-adds follow, each with its networks' names."""
    titles: dict[str, list[str]] = {}
    for row in rows:
        counted = row.complexity
        if counted is not None:
            rule = counted.spec.published_accounting[row.contender.scale].rule
            by_rule = titles.setdefault(rule, [])
            if row.contender.title not in by_rule:
                by_rule.append(row.contender.title)
    return list(titles.items())


def how_it_was_measured(results: Results) -> list[str]:
    """Return sentences about the protocol and the machine."""
    machine, engine = results.machine, results.settings.engine
    sets = ", ".join(f"{name} ({results.pictures[name]} pictures)" for name in results.set_names)
    sentences = [
        f"Measured on {sets}: {_how_measured(results)}.",
        "A cell is empty where there is no figure: no weights at hand, or nothing published.",
    ]
    repeats = results.settings.repeats
    if repeats:
        runs = "one run" if repeats == 1 else f"the median of {repeats} runs, each"
        sentences.append(
            f"Latency and memory: output of 1280x720 (1278x720 at x3), {runs} "
            f"in a fresh process, the networks in turn; "
            f"{machine['processor']}, {machine['cores']} cores, {machine['library']}, device "
            f"{engine.device}, precision {engine.precision}. Core time is what all cores together "
            f"spent, which hardly depends on what else the machine did. Memory is the most that "
            f"the process held, libraries included."
        )
    return sentences


def _how(results: Results) -> list[str]:
    parts = [" ".join(how_it_was_measured(results))]
    if results.skipped:
        files = "\n".join(f"- `{one.file}`: {one.reason}" for one in results.skipped)
        parts.append(f"Files that were not used:\n\n{files}")
    if results.failures:
        failed = "\n".join(f"- {one.what}: {one.reason}" for one in results.failures)
        parts.append(f"What failed:\n\n{failed}")
    return parts


def _how_measured(results: Results) -> str:
    protocol = results.settings.protocol
    whole = "whole pictures" if protocol.forward == "whole" else "pictures in four parts"
    return f"luma, border cut by the scale, {whole}, {protocol.border} border of the bicubic"


def _quality(rows: Sequence[Row], sets: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    head = ["network", "weights"]
    for name in sets:
        head += [f"{name} measured", f"{name} published", "difference"]
    lines: list[list[str]] = []
    for row in rows:
        line = [row.contender.title, weights_of(row.contender)]
        for name in sets:
            measured, published = row.measured(name), row.published(name)
            line += [score(measured), score(published), difference(measured, published)]
        lines.append(line)
    return head, lines


def _cost_caption(results: Results) -> str:
    timed = "; latency and peak memory, measured" if results.settings.repeats else ""
    return (
        "Cost: parameters and multi-adds for an output of 1280x720, everything counted, counted "
        f"by the rule of the published figure, and as printed{timed}."
    )


def _cost(rows: Sequence[Row]) -> tuple[list[str], list[list[str]]]:
    head = ["network", "parameters", "by their rule", "published"]
    head += ["multi-adds", "by their rule", "published", "latency", "core time", "memory"]
    lines: dict[str, list[str]] = {}
    for row in rows:
        counted = row.complexity
        line = [row.contender.title]
        if counted is None:
            line += [NOTHING] * 6
        else:
            published = counted.spec.published[row.contender.scale]
            parameters, multi_adds = counted.published_accounting
            line += [thousands(counted.parameters), thousands(parameters)]
            line += [published.parameters or NOTHING, giga(counted.multi_adds), giga(multi_adds)]
            line.append(published.multi_adds or NOTHING)
        # Weights do not change the cost, so that one line serves all of a network.
        lines.setdefault(
            row.contender.network, [*line, seconds(row), core_seconds(row), memory(row)]
        )
    return head, list(lines.values())


def _table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    align = ["---" if name in ("network", "weights") else "---:" for name in head]
    return "\n".join(
        f"| {' | '.join(_escaped(cell) for cell in line)} |" for line in [head, align, *lines]
    )


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")


def _aligned(lines: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]
