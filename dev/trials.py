"""``make trials`` and ``make trials-all``: the shop is killed, lied to and attacked; which trial held, by number."""

import argparse
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from dev import check

_MOST_WORKERS = 2  # a trial is many processes already
_LONGEST_S = 4 * 3600
"""No trial of the larger scale takes so long; the soak may last an hour."""
_NONE_CHOSEN = 5
"""pytest's exit code where nothing was left to run."""
TRIALS = {
    "R1": "the last units, a hundred buyers at once",
    "R2": "the same key and body, fifty at once",
    "R3": "the same key with another body, route or member",
    "R4": "the same notification fifty times at once",
    "R5": "news in every order of arrival",
    "R6": "a payment against a cancel, an expiry, an operator's close",
    "R7": "one coupon, twenty orders at once",
    "R8": "partial refunds at once, two operators, unknown results",
    "R9": "any sequence of what buyers, WeChat, staff and time may do",
    "R10": "generated requests from the OpenAPI document",
    "R11": "SIGKILL of the server under load",
    "R12": "death at every named point and between any two statements",
    "R13": "SIGKILL of the worker while WeChat fails and hangs",
    "R14": "Postgres stopped at once under load",
    "R15": "SIGKILL of Postgres, all its processes",
    "R16": "SIGKILL of one backend",
    "R17": "network faults between the shop and its database",
    "R18": "network faults between client and shop",
    "R19": "WeChat's API fails in every way",
    "R20": "the primary dies, the synchronous standby takes over",
    "R21": "the control: with an asynchronous standby a loss is seen",
    "R22": "a Patroni leader's machine dies",
    "R23": "restore to a named second",
    "R24": "the disk is full",
    "R25": "the clocks of database and shop jump",
    "R26": "rolling restart behind the proxies",
    "R27": "a black hole to the database",
    "R28": "ten times the load, five hundred slow clients",
    "R29": "forged and stale notifications by the thousand",
    "R30": "every route, every actor",
    "R31": "canaries in every log",
    "R32": "the list of attacks",
    "R33": "export and erasure, checked in a dump",
    "R34": "fifty planted differences in a day's bill",
    "R35": "a poisoned job, a storm of one order's news, full scans",
    "R36": "migrations on a loaded database, the shop running",
    "R37": "the whole shop through PgBouncer",
    "R38": "the embedded Postgres among strangers",
    "R39": "planted defects, each caught by a named trial",
    "R40": "a soak with one fault a minute",
}
WAITING = {"R7": "coupons"}
"""What a trial waits for: the shop does not have that part yet."""


def main(argv: list[str]) -> int:
    """Run the trials and print what came of each number. Returns 0 if all passed, else 1."""
    arguments = _arguments(argv)
    seed = arguments.seed if arguments.seed is not None else secrets.randbelow(2**31)
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "trials.jsonl")
        began = time.monotonic()
        codes = [
            subprocess.run(_pytest(arguments, seed, report, alone=alone), check=False).returncode
            for alone in (False, True)
        ]
        took_s = time.monotonic() - began
        lines = [json.loads(line) for line in report.read_text("utf-8").splitlines()] if report.exists() else []
    print("\n".join(table(lines)))
    scale = "--all " if arguments.all else ""
    print(f"\nseed {seed}, commit {_commit()}, {took_s:.0f} s; again: python -m dev.trials {scale}--seed {seed}")
    return 0 if 0 in codes and set(codes) <= {0, _NONE_CHOSEN} else 1


def table(lines: list[dict[str, Any]]) -> list[str]:
    """One row for each number: the outcome, how many tests and rounds, or why there are none."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for line in lines:
        for number in line["trials"]:
            found[number].append(line)
    return [_row(number, title, found[number]) for number, title in TRIALS.items()]


def _row(number: str, title: str, lines: list[dict[str, Any]]) -> str:
    if not lines:
        reason = f"waits for {WAITING[number]}" if number in WAITING else "not in this run"
        return f"{number:>4}  {reason:<33}{title}"
    outcomes = {line["outcome"] for line in lines}
    outcome = "FAILED" if "failed" in outcomes else "skipped" if outcomes == {"skipped"} else "held"
    tests = len(lines)
    tries = sum(sum(line["rounds"]) or 1 for line in lines)
    return f"{number:>4}  {outcome:<8}{tests:>4} tests {tries:>6} rounds  {title}"


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m dev.trials", description=__doc__)
    parser.add_argument("--all", action="store_true", help="the larger counts, and the trials that take long")
    parser.add_argument("--seed", type=int, help="of an earlier run, to repeat it")
    parser.add_argument("chosen", nargs="*", metavar="ARGUMENT", help="for pytest: folders, tests, options")
    return parser.parse_args(argv)


def _pytest(arguments: argparse.Namespace, seed: int, report: Path, *, alone: bool) -> list[str]:
    """`alone`: those that ask how soon, one after the other when all others are over."""
    chosen = ["trial", "alone" if alone else "not alone", *(f"not {marker}" for marker in check.missing())]
    argv = [sys.executable, "-m", "pytest", "-m", " and ".join(chosen)]
    argv += ["-n", "0"] if alone else ["--dist", "loadgroup", "-n", _workers()]
    argv += ["--seed", str(seed), f"--hypothesis-seed={seed}", "--trials-report", str(report)]
    if arguments.all:
        argv += ["--all-trials", "--patience-s", str(_LONGEST_S)]
    return argv + (arguments.chosen or ["tests" if arguments.all else "tests/trials"])


def _workers() -> str:
    return str(min(os.cpu_count() or 1, _MOST_WORKERS))


def _commit() -> str:
    told = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return told.stdout.strip() or "unknown"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
