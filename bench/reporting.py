"""The table in the terminal, and its figures as a file."""

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from bench.measuring import Row

_FIGURES = ("req/s", "p50 ms", "p99 ms", "app µs", "db µs", "app MiB", "limit/s", "ratio")
_MANY = 10
_MARKS = {True: "[green]✓[/]", False: "[red]✗[/]", None: ""}


def brief(rows: list[Row]) -> list[str]:
    """Each of these in a line, as soon as it is known: what is cut off later loses only what came later."""
    outcomes = {True: "reached", False: "MISSED", None: "measured"}
    return [_brief(row, outcomes[row.passed]) for row in rows]


def _brief(row: Row, outcome: str) -> str:
    cells = _cells(row)
    figures = [f"{name} {cell}" for name, cell in zip(_FIGURES, cells[2:-1], strict=True) if cell]
    facts = [f"{name}: {value}" for name, value in row.facts.items()]
    return f"  {row.key} {outcome}, {row.target}: {'; '.join((*figures, *facts))}"


def tell(console: Console, rows: list[Row], audit: dict[str, Any], facts: dict[str, Any]) -> None:
    """Print it all."""
    console.print(f"{machine(facts)}, shared_buffers {facts['settings']['shared_buffers']}", highlight=False)
    table = Table(box=box.SIMPLE, padding=(0, 1, 0, 0))
    for name in ("", "workload", *_FIGURES, "must", ""):
        table.add_column(name, justify="left" if name in ("", "workload", "must") else "right")
    for row in rows:
        table.add_row(*_cells(row), _MARKS[row.passed])
    console.print(table)
    for row in rows:
        for name, value in row.facts.items():
            console.print(f"  {row.key} {name}: {value}", highlight=False)
        if row.errors:
            console.print(f"  {row.key} [red]FAILED[/]: {row.errors} wrong answers", highlight=False)
    for database, found in audit.items():
        console.print(f"Audit of {database}: {(found['said'] or ['nothing was said'])[-1]}", highlight=False)


def _cells(row: Row) -> list[str]:
    if not row.runs:
        return [row.key, row.what, "", "", "", "", "", "", "", "", row.target]
    failed = row.errors > 0
    # Not known of a load that ran beside another.
    costs = row.median("app_cpu_s") * 1e6, row.median("db_cpu_s") * 1e6, row.median("app_mib")
    return [
        row.key,
        row.what,
        "FAILED" if failed else f"{row.median('rate'):,.0f}",
        f"{row.median('p50_ms'):.1f}",
        f"{row.median('p99_ms'):.1f}",
        *(f"{figure:.0f}" if figure else "" for figure in costs),
        f"{row.limit_rate:,.0f}" if row.limit_rate else "",
        _ratio(row.ratio),
        row.target,
    ]


def _ratio(ratio: float | None) -> str:
    """Of a limit in percent; of what it is many times as fast as, in times."""
    if ratio is None:
        return ""
    return f"{ratio:.0%}" if ratio < _MANY else f"{ratio:.0f} ×"


def write(
    file: Path, rows: list[Row], audit: dict[str, Any], facts: dict[str, Any], options: argparse.Namespace
) -> None:
    """Write every number of every run."""
    given = {name: str(value) if isinstance(value, Path) else value for name, value in vars(options).items()}
    given.pop("data", None)
    document = {
        "machine": facts,
        "options": given,
        "audit": audit,
        "workloads": [
            {**asdict(row), "rate": row.median("rate"), "limit_rate": row.limit_rate, "errors": row.errors}
            for row in rows
        ],
    }
    file.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def machine(facts: dict[str, Any]) -> str:
    """The machine in a line."""
    settings = facts["settings"]
    return (
        f"{facts['cpu']}, {facts['cores']} cores, {facts['memory_gib']} GiB, Linux {facts['kernel']}, Python"
        f" {facts['python']}, PostgreSQL {facts['postgres']}, fsync {settings['fsync']}, synchronous_commit"
        f" {settings['synchronous_commit']}, {facts['workers']} workers"
    )
