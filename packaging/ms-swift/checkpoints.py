#!/usr/bin/env python3
"""Serves several checkpoints of one training run, each by a name of its own.

    checkpoints.py COUNT FOLDER NAME swift deploy --model=... (without adapters)

COUNT is how many of the newest, or `all`; FOLDER is the --output_dir of `swift
sft`. The newest is served as NAME, the others as NAME-STEP. evaluate.py
--checkpoints finds them by the same rule.
"""

import os
import re
import sys
from pathlib import Path


def named(folder, count, name):
    """The checkpoints by the names under which they are served, the newest first:
    (step, path, name)."""
    known = {}
    for path in Path(folder).glob("v*/checkpoint-*"):
        step = re.fullmatch(r"checkpoint-(\d+)", path.name)
        state = path / "trainer_state.json"
        # It is written last: one without was cut short.
        if step and state.is_file():
            known.setdefault(int(step[1]), []).append((state.stat().st_mtime, path))
    # A run that was taken up again may have come to a step twice.
    steps = sorted(known, reverse=True)
    if count != "all":
        steps = steps[: int(count)]
    return [
        (step, max(known[step])[1], f"{name}-{step}" if place else name)
        for place, step in enumerate(steps)
    ]


def is_count(text):
    return text == "all" or (text.isascii() and text.isdigit() and int(text) > 0)


def main():
    if len(sys.argv) < 5:
        sys.exit(__doc__)
    count, folder, name, *command = sys.argv[1:]
    if not is_count(count):
        sys.exit(f"checkpoints is {count!r}: it is a number, 1 or more, or all")
    found = named(folder, count, name)
    if not found:
        sys.exit(f"there is no whole checkpoint in {folder}")
    adapters = [f"{served}={path}" for _, path, served in found]
    os.execvp(command[0], [*command, "--adapters", *adapters])


if __name__ == "__main__":
    main()
