#!/usr/bin/env python3
"""Makes pairs of sentences to train on from the docstrings of Python's own library.

Each pair is what a function is called, in words, and what it does, as its
docstring's first sentence says: "zipfile: ZipFile extract all" and "Extract all
members from the archive to the current working directory." Whoever searches
documentation has one and wants the other.

Nothing is imported: the sources are read. The same Python gives the same pairs.
"""

import ast
import json
import pathlib
import random
import re
import sys
import sysconfig

# How many pairs are trained on, decide what is best, and are asked at the very end.
PARTS = {"train.jsonl": 400, "held-out.jsonl": 300, "test.jsonl": 400}


def words(name):
    """`ZipFile.extract_all` in words."""
    name = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", name)
    return re.sub(r"[_.\s]+", " ", name).strip().lower()


def first_sentence(text):
    """The first sentence of a docstring, on one line."""
    paragraph = text.strip().split("\n\n")[0]
    line = " ".join(paragraph.split())
    return re.split(r"(?<=[.!?]) ", line)[0]


def described(node, inside):
    """What is defined below a node, with what it does."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            continue
        if child.name.startswith("_"):
            continue
        name = [*inside, child.name]
        text = ast.get_docstring(child)
        if text:
            yield ".".join(name), first_sentence(text)
        if isinstance(child, ast.ClassDef):
            yield from described(child, name)


def pairs():
    library = pathlib.Path(sysconfig.get_paths()["stdlib"])
    seen = set()
    for path in sorted(library.rglob("*.py")):
        place = path.relative_to(library)
        if {"test", "tests", "idlelib", "lib2to3", "site-packages"} & set(place.parts):
            continue
        try:
            tree = ast.parse(path.read_text(encoding="utf-8"))
        except (SyntaxError, UnicodeDecodeError):
            continue
        module = ".".join(part for part in place.with_suffix("").parts if part != "__init__")
        for name, sentence in described(tree, []):
            if not 20 <= len(sentence) <= 160 or sentence in seen:
                continue
            seen.add(sentence)
            yield {"name": f"{words(module)}: {words(name)}", "does": sentence}


def main():
    found = list(pairs())
    random.Random(0).shuffle(found)
    if len(found) < sum(PARTS.values()):
        sys.exit(f"error: only {len(found)} pairs in {sysconfig.get_paths()['stdlib']}")
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "local/data")
    folder.mkdir(parents=True, exist_ok=True)
    for name, size in PARTS.items():
        part, found = found[:size], found[size:]
        with open(folder / name, "w", encoding="utf-8") as file:
            file.writelines(json.dumps(pair) + "\n" for pair in part)
        print(f"{folder / name}: {len(part)} pairs")


if __name__ == "__main__":
    main()
