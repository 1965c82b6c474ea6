"""Asks the server that it is told once, where it is told one, and leaves what the
real one left when it had evaluated a real model."""

import json
import os
import sys
import urllib.request
from pathlib import Path

words = dict(zip(sys.argv, sys.argv[1:]))
settings = dict(pair.split("=", 1) for pair in words["--model_args"].split(","))
if "base_url" in settings:
    body = json.dumps({"model": settings["model"], "messages": [], "max_tokens": 1}).encode()
    request = urllib.request.Request(
        settings["base_url"], body, {"Content-Type": "application/json"}
    )
    answer = json.load(urllib.request.urlopen(request))
    who = answer["choices"][0]["message"]["content"]
else:
    who = Path(settings.get("peft", "base")).name
with open(os.environ["CALLS"], "a", encoding="utf-8") as calls:
    calls.write(f"lm_eval {who} {' '.join(sys.argv[1:])}\n")
fixtures = Path(__file__).resolve().parents[4] / "fixtures/ms-swift"
folder = Path(words["--output_path"])
folder.mkdir(parents=True, exist_ok=True)
recorded = (fixtures / "lm_eval-results.json").read_text(encoding="utf-8")
# BETTER names a model that knows more than the real one did.
if settings.get("model", who) == os.environ.get("BETTER"):
    recorded = recorded.replace('"key_points,none": 0.25', '"key_points,none": 0.75')
(folder / "results_2026-11-22T16-43-13.json").write_text(recorded, encoding="utf-8")
