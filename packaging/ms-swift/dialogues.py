#!/usr/bin/env python3
"""Asks the base model and the tuned one the same prompts, side by side.

    dialogues.py SAMPLES ADAPTER OUT swift infer --model ... (without adapters)

SAMPLES has one JSON object a line, with `messages` as for training; answers in it
are left out. OUT gets a line for each: {"prompt": ..., "base": ..., "best": ...}.
The base model is asked once: OUT.base.jsonl keeps what it said, as long as SAMPLES
and the command are the same.
"""

import hashlib
import json
import os
import subprocess
import sys
import tempfile


def prompts(path):
    """The conversations of the samples, each up to its last question."""
    asked = []
    with open(path, encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            messages = json.loads(line).get("messages") or []
            while messages and messages[-1].get("role") == "assistant":
                messages = messages[:-1]
            if not messages or messages[-1].get("role") != "user":
                sys.exit(f"{path}, line {number}: `messages` has no question of a user")
            asked.append(messages)
    if not asked:
        sys.exit(f"{path} has no samples")
    return asked


def answers(command, asked, adapter, folder):
    """What the model says to each, in the order of the samples."""
    name = "best" if adapter else "base"
    questions = os.path.join(folder, f"{name}-prompts.jsonl")
    said = os.path.join(folder, f"{name}.jsonl")
    with open(questions, "w", encoding="utf-8") as out:
        for messages in asked:
            out.write(json.dumps({"messages": messages}, ensure_ascii=False) + "\n")
    words = [*command, f"--val_dataset={questions}", f"--result_path={said}"]
    if adapter:
        words.append(f"--adapters={adapter}")
    done = subprocess.run(words, check=False)
    if done.returncode != 0:
        sys.exit(done.returncode if done.returncode > 0 else 1)
    with open(said, encoding="utf-8") as lines:
        found = [json.loads(line) for line in lines if line.strip()]
    if len(found) != len(asked):
        sys.exit(f"{name}: {len(asked)} prompts, but {len(found)} answers")
    return [record["response"] for record in found]


def replace(path, records):
    """Writes JSON lines, whole or not at all."""
    new = path + ".new"
    with open(new, "w", encoding="utf-8") as out:
        for record in records:
            out.write(json.dumps(record, ensure_ascii=False) + "\n")
        out.flush()
        os.fsync(out.fileno())
    os.rename(new, path)


def known_base(path, key):
    """What the base model said to the same before; None where it did not."""
    try:
        with open(path, encoding="utf-8") as lines:
            first, *rest = [json.loads(line) for line in lines]
        return [record["base"] for record in rest] if first.get("key") == key else None
    except (OSError, ValueError, KeyError, AttributeError):
        return None


def main():
    if len(sys.argv) < 5:
        sys.exit(__doc__)
    samples, adapter, out, command = *sys.argv[1:4], sys.argv[4:]
    if samples == "none":
        sys.exit("the samples are missing: set SAMPLES in [base] to a JSONL file of prompts")
    asked = prompts(samples)
    key = hashlib.sha256(json.dumps([command, asked]).encode()).hexdigest()
    kept = out + ".base.jsonl"
    with tempfile.TemporaryDirectory(dir=os.path.dirname(os.path.abspath(out))) as folder:
        base = known_base(kept, key)
        if base is None:
            base = answers(command, asked, None, folder)
            replace(kept, [{"key": key}, *({"base": text} for text in base)])
        best = answers(command, asked, adapter, folder)
    records = [
        {"prompt": messages[-1]["content"], "base": was, "best": now}
        for messages, was, now in zip(asked, base, best, strict=True)
    ]
    replace(out, records)
    print(f"{len(records)} dialogues: {out}")


if __name__ == "__main__":
    main()
