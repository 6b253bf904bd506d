"""`make fuzz MINUTES=n`: run every target for its share of the time, then print its counts.

`--least events=1000000` continues beyond the minutes until a target has received that many inputs.
"""

import argparse
import sys
import time

from tests.fuzz.campaign import ROUND, TARGETS, Campaign

_SHARES = {"events": 0.4, "samples": 0.25, "readers": 0.1, "requests": 0.25}
_STEP = 500


def main() -> int:
    """Run the targets; returns 1 if anything was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=time.time_ns() // 10**9)
    parser.add_argument("--target", action="append", choices=sorted(_SHARES))
    parser.add_argument("--least", action="append", default=[], metavar="TARGET=INPUTS")
    given = parser.parse_args()
    least = {name: int(count) for name, _, count in (each.partition("=") for each in given.least)}
    names = given.target or list(_SHARES)
    print(f"seed {given.seed}", flush=True)
    found = 0
    for name in names:
        share_s = 60 * given.minutes * _SHARES[name] / sum(_SHARES[each] for each in names)
        found += _run(Campaign(name, given.seed), name, share_s, least.get(name, 0))
    print(f"uncaught exceptions {found}", flush=True)
    return 1 if found else 0


def _run(campaign: Campaign, name: str, share_s: float, least: int) -> int:
    """Run one target until its time is over; returns the number of new cases."""
    begun_s, size = time.monotonic(), _STEP
    while True:
        campaign.run(min(size, max(least - campaign.counts["inputs"], _STEP)))
        took_s = time.monotonic() - begun_s
        counts = ", ".join(f"{what} {count:,}" for what, count in campaign.counts.items() if what != "inputs")
        print(f"{name}: {campaign.counts['inputs']:,} in {took_s:.0f} s: {counts}", flush=True)
        if took_s >= share_s and campaign.counts["inputs"] >= least:
            return len(campaign.found)
        left_s = share_s - took_s
        size = ROUND if left_s <= 0 else min(ROUND, max(_STEP, int(campaign.counts["inputs"] / took_s * left_s)))


assert TARGETS.keys() >= _SHARES.keys()
if __name__ == "__main__":
    sys.exit(main())
