"""Hostile inputs by the thousand: whatever is handed over, an ArmatureError or success, and nothing else.

`make fuzz`, or `python -m fuzz` with `tests` on the path. Each kind of input is one file in `kinds`: it writes inputs
from a seed, and does with them what a user would. `worker` watches what comes of it; `campaign` counts.
"""
