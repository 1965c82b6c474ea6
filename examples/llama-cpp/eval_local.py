#!/usr/bin/env python3
"""Asks a server that speaks OpenAI's protocol the questions of qa.jsonl, and
prints how good the answers were and how fast they came.

BASE_URL              the server (http://127.0.0.1:8080)
N_PROMPTS             how many of the questions are asked (all)
CONCURRENCY           how many at a time (4)
MAX_NEW_TOKENS        where an answer is cut off (32)
REPETITION_PENALTY    1.0 is none (1.0)
RUN                   a number that makes the prompts of one run differ from
                      those of another (1)
VERBOSE               1: each answer and its score on standard error

Needs nothing but Python. Exit code 2: the server refused; 3: it does not answer.
"""

import json
import os
import re
import sys
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

BASE_URL = os.environ.get("BASE_URL", "http://127.0.0.1:8080")
CONCURRENCY = int(os.environ.get("CONCURRENCY", "4"))
MAX_NEW_TOKENS = int(os.environ.get("MAX_NEW_TOKENS", "32"))
REPETITION_PENALTY = float(os.environ.get("REPETITION_PENALTY", "1.0"))
RUN = os.environ.get("RUN", "1")
TIMEOUT = 120  # seconds for one answer

TASK = "Read the text and answer the question in one short sentence, using the words of the text."
EXAMPLES = [
    (
        "The garden is open from April to October. Dogs must be kept on a lead, "
        "and a map can be had at the gate for one pound.",
        "Where can a map be had?",
        "A map can be had at the gate.",
    ),
    (
        "Lena Holt wrote her first novel in a caravan in 1962. "
        "It sold four copies, but her second book won three prizes.",
        "Where did Lena Holt write her first novel?",
        "Lena Holt wrote her first novel in a caravan.",
    ),
]


def rouge_l(reference, answer):
    """RougeL-F1: how much of the words, in their order, both have in common."""
    ours, theirs = (re.findall(r"[a-z0-9]+", text.lower()) for text in (reference, answer))
    row = [0] * (len(theirs) + 1)
    for word in ours:
        above, row = row, [0]
        for column, other in enumerate(theirs):
            longer = max(above[column + 1], row[column])
            row.append(above[column] + 1 if word == other else longer)
    if not row[-1]:
        return 0.0
    precision, recall = row[-1] / len(theirs), row[-1] / len(ours)
    return 2 * precision * recall / (precision + recall)


def conversation(text, question, number):
    """The messages of one request. The task and the examples are the same in
    all of them, as in a real service; the rest is not, also from run to run:
    or the server would answer from its cache what it should compute."""
    yield {"role": "system", "content": TASK}
    for example, asked, answer in EXAMPLES:
        yield {"role": "user", "content": f"{example}\n\nQuestion: {asked}"}
        yield {"role": "assistant", "content": answer}
    content = f"(Page {RUN}{number:02}) {text}\n\nQuestion: {question}"
    yield {"role": "user", "content": content}


def ask(numbered):
    """Score, prompt tokens and answer tokens of one question."""
    number, item = numbered
    body = {
        "model": "smollm2",
        "messages": list(conversation(item["text"], item["question"], number)),
        "max_tokens": MAX_NEW_TOKENS,
        "temperature": 0,
        "repeat_penalty": REPETITION_PENALTY,
    }
    request = urllib.request.Request(
        f"{BASE_URL}/v1/chat/completions",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=TIMEOUT) as response:
        reply = json.load(response)
    answer = reply["choices"][0]["message"]["content"] or ""
    score = rouge_l(item["answer"], answer)
    if os.environ.get("VERBOSE") == "1":
        print(f"{score:.2f} {item['answer']!r} <- {answer!r}", file=sys.stderr)
    usage = reply["usage"]
    return score, usage["prompt_tokens"], usage["completion_tokens"]


def main():
    lines = (Path(__file__).resolve().parent / "qa.jsonl").read_text().splitlines()
    items = [json.loads(line) for line in lines][: int(os.environ.get("N_PROMPTS", len(lines)))]
    begun = time.monotonic()
    try:
        with ThreadPoolExecutor(CONCURRENCY) as pool:
            scores, prompt, answer = zip(*pool.map(ask, enumerate(items, 1)))
    except urllib.error.HTTPError as error:
        said = error.read()[:300].decode(errors="replace")
        print(f"error: the server refused: HTTP {error.code}: {said}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"error: the server does not answer: {error}", file=sys.stderr)
        return 3
    seconds = time.monotonic() - begun
    prompt, answer = sum(prompt), sum(answer)
    print(f"Accuracy (RougeL-F1 mean, RAW): {sum(scores) / len(scores):.4f}")
    print(
        f"Throughput RAW: prompt_tokens/s={prompt / seconds:.1f} "
        f"answer_tokens/s={answer / seconds:.1f} "
        f"(prompt+answer)_tokens/s={(prompt + answer) / seconds:.1f}"
    )
    print(f"Total time: {seconds:.1f}s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
