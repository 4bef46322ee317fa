"""`python -m fuzz`: a campaign, or one case of it again."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

# Before anything is imported that starts threads: cases run in forked processes.
os.environ.update(OMP_NUM_THREADS="1", HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", TOKENIZERS_PARALLELISM="false")
# Large pictures are refused by their size alone; a low limit makes what is not refused cheap to decode.
os.environ.setdefault("ARMATURE_MAX_PIXELS", "2000000")


def main() -> int:
    """Run what the arguments say; 1 when anything was found."""
    import cv2
    import torch

    from fuzz.campaign import keep, run_campaign, shares
    from fuzz.kind import Case, all_kinds
    from fuzz.worker import Limits, run_cases

    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    options = argparse.ArgumentParser(prog="fuzz", description="Hostile inputs: an ArmatureError or success each.")
    options.add_argument("--count", type=int, default=20_000, help="cases in all (%(default)s)")
    options.add_argument("--kind", action="append", choices=sorted(all_kinds()), help="of input; all when left out")
    options.add_argument("--seed", type=int, default=0, help="of everything random (%(default)s)")
    options.add_argument("--case", type=int, help="run this one case of a kind again, and keep its input")
    options.add_argument("--minutes", type=float, help="go on with further seeds until this much time has passed")
    options.add_argument("--out", type=Path, default=Path("out/fuzz"), help="where findings go (%(default)s)")
    options.add_argument("--seconds", type=float, default=10, help="of computing in one case (%(default)s)")
    options.add_argument("--as-is", action="store_true", help="keep inputs as they are, without making them smaller")
    given = options.parse_args()
    names = given.kind or sorted(name for name, kind in all_kinds().items() if kind.share)
    limits = Limits(seconds=given.seconds)
    if given.case is not None:
        case = Case(names[0], given.seed, given.case)
        all_kinds()[case.kind].warm()
        given.out.mkdir(parents=True, exist_ok=True)
        [(_, result)] = run_cases([case], given.out.resolve(), limits)
        keep(case, result, given.out / str(case), given.out.resolve(), limits, not given.as_is)
        print(f"{case}: {result.sort}: {result.place}\n{result.text}\nIts input is in {given.out / str(case)}.")
        return 0 if result.fine else 1
    started, seed, found, cases = time.monotonic(), given.seed, 0, 0
    while True:
        tallies = run_campaign(shares(given.count, names), seed, given.out, limits, _tell, not given.as_is)
        found += sum(len(tally.findings) for tally in tallies.values())
        cases += sum(sum(tally.counts.values()) for tally in tallies.values())
        seed += 1
        passed = time.monotonic() - started
        if given.minutes is None or passed > 60 * given.minutes:
            break
    _tell(f"{cases} cases in {passed:.0f} s: {found} findings{f', kept in {given.out}' if found else ''}")
    return 1 if found else 0


def _tell(text: str) -> None:
    print(text, flush=True)


sys.exit(main())
