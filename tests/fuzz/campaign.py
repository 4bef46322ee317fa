"""Many cases of every kind, and what came of them: counts, findings told apart, and their inputs kept."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fuzz.kind import Case, all_kinds, write_case
from fuzz.minimize import minimize
from fuzz.worker import Limits, Result, run_cases

# Cases of one process: enough that its start does not count, few enough that no cache of a library fills up.
_AT_ONCE = 250


@dataclass
class Tally:
    """What came of one kind's cases. findings: the first case of each, by how it went wrong and where; and how many."""

    counts: Counter[str] = field(default_factory=Counter)
    findings: dict[tuple[str, str], tuple[Case, Result]] = field(default_factory=dict)
    often: Counter[tuple[str, str]] = field(default_factory=Counter)
    resident: int = 0
    seconds: float = 0.0

    def add(self, case: Case, result: Result) -> bool:
        """Count it; whether it is a finding that was not seen before."""
        self.counts[result.sort] += 1
        self.resident = max(self.resident, result.resident)
        if result.fine:
            return False
        known = result.sort, result.place
        self.often[known] += 1
        return self.findings.setdefault(known, (case, result))[0] == case


def shares(count: int, names: Sequence[str]) -> dict[str, int]:
    """How many of `count` cases each kind gets, at least one."""
    total = sum(all_kinds()[name].share for name in names) or 1
    return {name: round(count * (all_kinds()[name].share or 1) / total) or 1 for name in names}


def run_campaign(
    counts: dict[str, int], seed: int, out: Path, limits: Limits, tell: Callable[[str], None], smaller: bool = True
) -> dict[str, Tally]:
    """Run cases 0, 1... of every kind; each new finding is told, and its input kept below `out`.

    smaller: whether inputs are cut down to what it takes.
    """
    tallies = {name: Tally() for name in counts}
    with tempfile.TemporaryDirectory(prefix="fuzz-") as temporary:
        home = Path(temporary).resolve()
        for name, count in counts.items():
            all_kinds()[name].warm()
            started, tally = time.monotonic(), tallies[name]
            for case, result in _all(name, seed, count, home, limits):
                if tally.add(case, result):
                    tell(f"{case}: {result.sort}: {result.place}\n{_indented(result.text)}")
                    keep(case, result, out / str(case), home, limits, smaller)
            tally.seconds = time.monotonic() - started
            tell(
                f"{name}: {sum(tally.counts.values())} cases in {tally.seconds:.0f} s, {dict(tally.counts)}, at most "
                f"{tally.resident} MiB"
            )
    return tallies


def _all(name: str, seed: int, count: int, home: Path, limits: Limits) -> Iterator[tuple[Case, Result]]:
    for start in range(0, count, _AT_ONCE):
        numbers = range(start, min(start + _AT_ONCE, count))
        yield from run_cases([Case(name, seed, number) for number in numbers], home, limits)


def keep(case: Case, result: Result, place: Path, home: Path, limits: Limits, smaller: bool = True) -> None:
    """Leave the smallest input that goes wrong in the same way, and how it did, in a folder."""
    shutil.rmtree(place, ignore_errors=True)
    if result.sort != "mutator":
        write_case(case, place)
        if smaller:
            minimize(case, result, place, home, limits)
    place.mkdir(parents=True, exist_ok=True)
    again = f"python -m fuzz --kind {case.kind} --seed {case.seed} --case {case.number}"
    (place / "finding.txt").write_text(f"{again}\n{result.sort}: {result.place}\n{result.text}\n")


def _indented(text: str) -> str:
    lines = text.rstrip().splitlines()
    return "\n".join(f"    {line[:200]}" for line in lines[-12:])
