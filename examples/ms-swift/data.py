"""Makes the data: short invented texts with a question about each.

python data.py FOLDER

train.jsonl and val.jsonl are for `swift sft`, test.jsonl is for the evaluation;
no text is in two of them.
"""

import json
import random
import sys
from pathlib import Path

ANIMALS = "fox heron otter badger lynx crow toad hare stoat finch".split()
PLACES = "mill harbour bakery chapel quarry orchard tower bridge market library".split()
THINGS = "lamp bell rope ladder book drum kettle map coat key".split()
COLOURS = "red blue green white black yellow".split()


def invent(choose: random.Random) -> tuple[str, str]:
    """A question with its text, and the answer."""
    animal, place = choose.choice(ANIMALS), choose.choice(PLACES)
    thing, colour = choose.choice(THINGS), choose.choice(COLOURS)
    year = choose.randint(1801, 1999)
    text = (
        f"In {year} a {animal} was seen at the old {place}. "
        f"It carried off a {colour} {thing} and hid it under a stone."
    )
    question, answer = choose.choice(
        [
            ("When was the animal seen?", f"The {animal} was seen in {year}."),
            ("What did it carry off?", f"It carried off a {colour} {thing}."),
            ("Where was the animal seen?", f"The {animal} was seen at the old {place}."),
            ("Where did it hide it?", f"It hid the {thing} under a stone."),
        ]
    )
    return f"{text}\n\nQuestion: {question}\nAnswer in one short sentence.", answer


def main() -> None:
    folder = Path(sys.argv[1])
    choose = random.Random(0)
    seen: dict[str, str] = {}
    while len(seen) < 240:
        question, answer = invent(choose)
        seen.setdefault(question, answer)
    pairs = list(seen.items())
    for name, part in ("train", pairs[:200]), ("val", pairs[200:216]):
        rows = [
            {
                "messages": [
                    {"role": "user", "content": question},
                    {"role": "assistant", "content": answer},
                ]
            }
            for question, answer in part
        ]
        write(folder / f"{name}.jsonl", rows)
    rows = [
        {"id": f"r{number}", "question": question, "answer": answer}
        for number, (question, answer) in enumerate(pairs[216:], 1)
    ]
    write(folder / "reading.jsonl", rows)


def write(path: Path, rows: list[dict]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


main()
