"""One session of measuring: fill, measure, audit, report."""

import argparse
import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console

from bench import chart, counting, filling, generator, keys, reporting
from bench.feeding import Feed
from bench.ground import Ground
from bench.machine import describe
from bench.measuring import Row
from bench.progress import Progress
from bench.size import Size
from bench.stage import Stage
from bench.workloads import ALL, ON_DEMAND
from dev.trouble import Trouble

_FILE_WIDTH = 140
_HERE = Path(__file__).parent
_FULL = Size(products=10_000, orders=1_000_000, members=100_000, signed_in=20_000)
_QUICK = Size(products=2_000, orders=20_000, members=14_000, signed_in=12_000)


def main(arguments: list[str]) -> int:
    """Measure; returns 0 when everything asked for reached what is demanded and the books are right. Raises Trouble."""
    options = _options(arguments)
    generator.must_have_wrk()
    console = Console()
    if not console.is_terminal:
        console = Console(width=_FILE_WIDTH)
    with _folder(options) as folder, Progress(console) as progress:
        stage = Stage(folder, keys.made(), options.installed)
        try:
            rows, audit = _measure(options, stage, progress)
            facts = describe(stage)
        finally:
            stage.stop()
    reporting.tell(console, rows, audit, facts)
    file = _results(options)
    reporting.write(file, rows, audit, facts, options)
    if not options.names:
        (file.parent / "chart.svg").write_text(chart.draw(rows, reporting.machine(facts)), encoding="utf-8")
    console.print(f"Written: {file}")
    right = all(found["code"] == 0 for found in audit.values())
    return 0 if right and all(row.passed is not False for row in rows) else 1


def _results(options: argparse.Namespace) -> Path:
    """Where the figures go: beside the bench when they are of all workloads, or of all peers, as README shows them."""
    shown = not options.quick and not options.changed
    if shown and options.names == list(ON_DEMAND):
        return _HERE / "peers.json"
    return (_HERE if shown and not options.names else Path(tempfile.mkdtemp(prefix="bench-results-"))) / "results.json"


def _measure(options: argparse.Namespace, stage: Stage, progress: Progress) -> tuple[list[Row], dict[str, Any]]:
    size = _size(options)
    chosen = options.names or list(ALL)
    progress.expect(len(chosen) + 2)
    progress.step("data")
    filling.ensure(stage, "shop", size, progress.say)
    feed = Feed(stage.folder / "feed")
    feed.basics(stage, "shop", size.signed_in)
    ground = Ground(
        stage=stage,
        database="shop",
        size=size,
        feed=feed,
        seconds=options.seconds or (3 if options.quick else 5),
        runs=options.runs or (1 if options.quick else 3),
        say=progress.say,
        soak_minutes=options.soak_minutes or (0.1 if options.quick else 1.0),
    )
    rows: list[Row] = []
    try:
        for name in chosen:
            progress.step(name)
            if stage.installed is not None:
                stage.superuser(counting.begin)
            measured = (ALL | ON_DEMAND)[name](ground)
            progress.tell(name, reporting.brief(measured))
            rows += measured
            if stage.installed is not None:
                progress.tell(name, stage.superuser(counting.costliest))
    finally:
        ground.close()
    progress.step("audit")
    return rows, {database: _audited(stage, database, progress) for database in _measured(stage)}


def _measured(stage: Stage) -> list[str]:
    """The databases there are."""
    return sorted((file.stem for file in stage.folder.glob("*.json")), key=lambda name: name != "shop")


def _audited(stage: Stage, database: str, progress: Progress) -> dict[str, Any]:
    """Every invariant of the books, asked of what was measured: speed is not bought with safety."""
    progress.say(f"audit of {database}")
    done = stage.command(database, "audit", "--timeout-s", "600")
    return {"code": done.returncode, "said": (done.stdout + done.stderr).strip().splitlines()}


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="How fast the shop is, beside its limits.")
    of_all = f"all when none is named: {', '.join(ALL)}; only when named: {', '.join(ON_DEMAND)}"
    parser.add_argument("names", nargs="*", metavar="W", help=f"workloads; {of_all}")
    parser.add_argument("--quick", action="store_true", help="small data, one run of 3 s: to see that it works")
    parser.add_argument("--runs", type=int, help="of each (3)")
    parser.add_argument("--seconds", type=int, help="of a run (5)")
    parser.add_argument("--products", type=int, help="how many (10000)")
    parser.add_argument("--orders", type=int, help="how many (1000000)")
    parser.add_argument("--data", type=Path, metavar="DIR", help="keep the filled database here, and use it again")
    parser.add_argument("--soak-minutes", type=float, help="of W11's steady load (1)")
    parser.add_argument(
        "--installed", type=Path, metavar="DIR", help="a PostgreSQL's bin folder: it is used, and counts statements"
    )
    options = parser.parse_args(arguments)
    unknown = [name for name in options.names if name not in ALL | ON_DEMAND]
    if unknown:
        parser.error(f"no such workload: {', '.join(unknown)}")
    options.changed = any((options.runs, options.seconds, options.products, options.orders, options.installed))
    return options


def _size(options: argparse.Namespace) -> Size:
    base = _QUICK if options.quick else _FULL
    return Size(
        products=options.products or base.products,
        orders=base.orders if options.orders is None else options.orders,
        members=base.members,
        signed_in=base.signed_in,
    )


@contextlib.contextmanager
def _folder(options: argparse.Namespace) -> Iterator[Path]:
    if options.data is None:
        with tempfile.TemporaryDirectory(prefix="bench-") as name:
            yield Path(name)
        return
    try:
        options.data.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Trouble(f"{options.data} cannot be made: {error.strerror}.") from None
    yield options.data.absolute()
