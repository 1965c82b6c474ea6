#!/usr/bin/env python3
"""Merges an adapter into its model, and puts the result into place whole.

    merge.py FOLDER swift export --merge_lora=true ...

`swift export` leaves a folder that is there already as it is, also half a one.
So it writes to a new folder beside, which then takes FOLDER's place.
"""

import os
import shutil
import subprocess
import sys


def main() -> int:
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    folder, command = os.path.abspath(sys.argv[1]), sys.argv[2:]
    new, old = folder + ".new", folder + ".old"
    if os.path.lexists(old) and not os.path.lexists(folder):
        # What a power cut has left between the two renames.
        os.rename(old, folder)
    for left in (new, old):
        shutil.rmtree(left, ignore_errors=True)
    done = subprocess.run([*command, f"--output_dir={new}"], check=False)
    if done.returncode != 0:
        shutil.rmtree(new, ignore_errors=True)
        return done.returncode if done.returncode > 0 else 1
    if not os.path.exists(os.path.join(new, "config.json")):
        print(f"the export went well, but there is no {new}/config.json", file=sys.stderr)
        return 1
    if os.path.lexists(folder):
        os.rename(folder, old)
    os.rename(new, folder)
    shutil.rmtree(old, ignore_errors=True)
    print(f"merged: {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
