"""What the task files beside this one ask for by `!function`."""

import json
import os
import sys
from pathlib import Path

import datasets

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import scoring


def load(file: str, **_metadata: object) -> dict:
    """The questions in a file of the folder EVAL_DATA (default: data), one JSON
    object a line."""
    rows = scoring.read(Path(os.environ.get("EVAL_DATA") or "data", file))
    # As texts: a column of a table has one type, and answers have several.
    rows = [{"json": json.dumps(row, ensure_ascii=False)} for row in rows]
    return {"test": datasets.Dataset.from_list(rows)}


def _question(doc: dict) -> dict:
    return json.loads(doc["json"])


def choice_text(doc: dict) -> str:
    return scoring.choice_prompt(_question(doc))


def choice_target(doc: dict) -> str:
    return ",".join(scoring.right_letters(_question(doc)["answer"]))


def choice_results(doc: dict, results: list) -> dict:
    question = _question(doc)
    return scoring.choice_scores(results[0], question["choices"], question["answer"])


def open_text(doc: dict) -> str:
    return scoring.open_prompt(_question(doc))


def open_target(doc: dict) -> str:
    question = _question(doc)
    return str((question.get("answers") or [question.get("answer") or ""])[0])


def open_results(doc: dict, results: list) -> dict:
    return scoring.open_scores(results[0], _question(doc))
