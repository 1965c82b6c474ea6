"""Scores of answers to multiple-choice and to open questions.

Both evaluation tools, lm_eval and evalscope, score by these functions, so that
their numbers can be compared. Standard library only.

A multiple-choice question: {"question": …, "choices": [A, B, …], "answer": "B"},
where several are right "B,C". An open one: {"question": …, "answer": …}, with
"answers", a list, where there are several good ones, and with "key_points", a
list of what a good answer names; a key point may be a list of wordings.
"""

import json
import math
import re
import unicodedata
from collections import Counter
from pathlib import Path

LETTERS = "ABCDEFGHIJ"

# Letters that stand alone, one or several: "B", "B,C", "B、C", "A和C", "ABD".
_RUN = r"(?<![A-Za-z])[A-J](?:(?:\s*(?:[,，、/;；&+]|和|与|及|以及|and)\s*|\s?)[A-J])*(?![A-Za-z])"
_ONLY = re.compile(rf"[\W_]*({_RUN})[\W_]*")
_SAID = re.compile(
    rf"(?:答案|正确选项|应该选|应选|故选|选择|选|answers?|choose|options?)"
    rf"(?:\s*(?:应该|应|都|就|为|是|is|are|:|：|\*\*|\"|“|【|\[|\(|（))*\s*({_RUN})",
    re.IGNORECASE,
)
_FIRST = re.compile(rf"\s*[\(（【\[*]*({_RUN})\s*[\)）】\]*]*\s*(?:[.．、:：。)]|\n|$)")


def read(path: Path) -> list:
    """The questions in a file, checked; what is wrong with one is a ValueError that
    names its line."""
    questions = []
    with Path(path).open(encoding="utf-8-sig") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                question = json.loads(line)
                wrong = _fault(question)
            except json.JSONDecodeError as error:
                wrong = f"is not JSON ({error})"
            if wrong:
                raise ValueError(f"{path}, line {number}: {wrong}")
            questions.append(question)
    if not questions:
        raise ValueError(f"{path} has no question")
    if len({"choices" in question for question in questions}) > 1:
        raise ValueError(f"{path}: some questions have choices, some none; make two files")
    return questions


def _fault(question: object) -> str:
    """What is wrong with a question; "" for nothing."""
    if not isinstance(question, dict) or not isinstance(question.get("question"), str):
        return 'there is no text "question"'
    if "choices" in question:
        choices = question["choices"]
        if not isinstance(choices, list) or not 2 <= len(choices) <= len(LETTERS):
            return f'"choices" must be a list of 2 to {len(LETTERS)}'
        there = LETTERS[: len(choices)]
        right = right_letters(question.get("answer", ""))
        if not right or not set(right) <= set(there):
            return f'"answer" must name choices, A to {there[-1]}: "B" or "B,C"'
    elif not (question.get("answer") or question.get("answers")):
        return 'there is no "answer" and no list "answers"'
    return ""


def letters(text: str) -> str:
    """The distinct letters in a text such as "B,C", in their order: "BC"."""
    found = set(re.findall("[A-J]", text.upper()))
    return "".join(letter for letter in LETTERS if letter in found)


def right_letters(answer: object) -> str:
    """The right ones of a question: of "B", "B,C", "BC" or a list of letters."""
    text = ",".join(map(str, answer)) if isinstance(answer, list) else str(answer)
    return letters(text)


def chosen(text: str, choices: list) -> str:
    """The letters that an answer chooses; "" where it chooses none.

    What it calls its answer comes first, the last time that it does; then the
    letters that it begins with or consists of, the one choice whose words it
    repeats, and the letters that stand alone in its last line that has any.
    """
    text = unicodedata.normalize("NFKC", text).strip()
    if len(text) == 1:
        text = text.upper()
    there = LETTERS[: len(choices)]

    def among(found: str) -> str:
        return "".join(letter for letter in letters(found) if letter in there)

    only = _ONLY.fullmatch(text)
    if only and among(only[1]):
        return among(only[1])
    for said in reversed(list(_SAID.finditer(text))):
        if among(said[1]):
            return among(said[1])
    first = _FIRST.match(text)
    if first and among(first[1]):
        return among(first[1])
    words = [unicodedata.normalize("NFKC", str(choice)) for choice in choices]
    repeated = [letter for letter, word in zip(there, words) if word and word in text]
    if len(repeated) == 1:
        return repeated[0]
    for line in reversed(text.splitlines()):
        # A lone A is more often an article.
        alone = [run for run in re.findall(_RUN, line) if run != "A" or len(line) < 8]
        if among("".join(alone)):
            return among("".join(alone))
    return ""


def choice_scores(text: str, choices: list, answer: object) -> dict:
    """`exact_match`: 1 where just the right ones are chosen. `partial_credit`: the
    share of the right ones that are chosen, 0 where a wrong one is among them."""
    right, picked = set(right_letters(answer)), set(chosen(text, choices))
    if not right:
        raise ValueError(f"the answer {answer!r} names no choice: write \"B\" or \"B,C\"")
    wrong = picked - right
    return {
        "exact_match": float(picked == right),
        "partial_credit": 0.0 if wrong else len(picked) / len(right),
    }


def tokens(text: str) -> list:
    """Words of letters and digits, in lower case; each Chinese character alone."""
    text = unicodedata.normalize("NFKC", text).lower()
    return re.findall(r"[\u3400-\u9fff]|[^\W_\u3400-\u9fff]+", text)


def _f1(shared: float, given: int, wanted: int) -> float:
    return 2 * shared / (given + wanted) if shared else 0.0


def rouge_1(given: list, wanted: list) -> float:
    """F1 of the tokens that both have (C.-Y. Lin, ROUGE, 2004)."""
    shared = sum((Counter(given) & Counter(wanted)).values())
    return _f1(shared, len(given), len(wanted))


def rouge_l(given: list, wanted: list) -> float:
    """F1 of their longest common subsequence (C.-Y. Lin, ROUGE, 2004)."""
    row = [0] * (len(wanted) + 1)
    for token in given:
        above = 0
        for at, other in enumerate(wanted, 1):
            above, row[at] = row[at], above + 1 if token == other else max(row[at], row[at - 1])
    return _f1(row[-1], len(given), len(wanted))


def bleu(given: list, wanted: list) -> float:
    """BLEU of one answer: up to 4 tokens in a row, with a penalty for brevity
    (Papineni et al., 2002); 1 is added to the counts of more than one token, as
    a single answer is short (Lin and Och, ORANGE, 2004)."""
    if not given or not wanted:
        return 0.0
    logs = 0.0
    for length in range(1, 5):
        ours, theirs = (
            Counter(zip(*(row[start:] for start in range(length)))) for row in (given, wanted)
        )
        more = int(length > 1)
        hits = sum((ours & theirs).values()) + more
        if not hits:
            return 0.0
        logs += math.log(hits / (sum(ours.values()) + more)) / 4
    return math.exp(logs + min(0.0, 1 - len(wanted) / len(given)))


def key_points(text: str, points: list) -> float:
    """The share of the key points that the answer names, in one of their
    wordings; case, spaces and punctuation make no difference."""
    text = "".join(tokens(text))
    wordings = [point if isinstance(point, list) else [point] for point in points]
    named = [any("".join(tokens(word)) in text for word in words) for words in wordings]
    return sum(named) / len(named)


def open_scores(text: str, question: dict) -> dict:
    """`rouge_l`, `rouge_1` and `bleu`, each by the reference that fits best, and
    `key_points` where the question has any."""
    given = tokens(text)
    references = question.get("answers") or [question.get("answer") or ""]
    wanted = [tokens(str(reference)) for reference in references]
    scores = {
        score.__name__: max(score(given, reference) for reference in wanted)
        for score in (rouge_l, rouge_1, bleu)
    }
    if question.get("key_points"):
        scores["key_points"] = key_points(text, question["key_points"])
    return scores


def choice_prompt(question: dict) -> str:
    """What a model is asked."""
    several = len(right_letters(question["answer"])) > 1
    kind = "多选题，有一个以上的正确选项" if several else "单选题，只有一个正确选项"
    choices = zip(LETTERS, question["choices"])
    lines = [f"{letter}. {choice}" for letter, choice in choices]
    form = "只回答选项字母，例如：A,C" if several else "只回答选项字母，例如：A"
    return "\n".join([f"问：{question['question']}", f"（{kind}）", *lines, form, "答："])


def open_prompt(question: dict) -> str:
    """What a model is asked: the question, with its description as PsyQA has it."""
    parts = [question["question"], question.get("description")]
    return "\n".join(part for part in parts if part)
