"""What packaging/ms-swift/scoring.py makes of answers."""

import math
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "packaging/ms-swift"))
import scoring

CHOICES = ["变形", "趋避式", "常形", "同趋式"]


class Chosen(unittest.TestCase):
    def test_letters_are_found_in_what_a_model_says(self):
        for text, expected in {
            "B": "B",
            " b ": "B",
            "B.": "B",
            "(B)": "B",
            "**B**": "B",
            "Ｂ": "B",
            "A,C": "AC",
            "C、A": "AC",
            "ACD": "ACD",
            "A和C": "AC",
            "B. 趋避式": "B",
            "B、趋避式": "B",
            "B\n因为……": "B",
            "答案：B": "B",
            "答案是 A、C。": "AC",
            "正确答案为【D】": "D",
            "答案：**C**": "C",
            "A 不对，C 也不对，所以选B": "B",
            "先选A，再想想，答案应该是 C": "C",
            "The answer is B.": "B",
            "I would choose option C because A is wrong": "C",
            "这是趋避式冲突": "B",
            "分析如下\n综上，A 和 D": "AD",
            "A person who is sad": "",
            "不知道": "",
            "": "",
            "E": "",
        }.items():
            with self.subTest(text):
                self.assertEqual(scoring.chosen(text, CHOICES), expected)

    def test_only_choices_that_there_are_count(self):
        self.assertEqual(scoring.chosen("答案：E", ["a1", "b1"]), "")
        self.assertEqual(scoring.chosen("答案：A,E", ["a1", "b1"]), "A")

    def test_the_right_ones_may_be_written_in_many_ways(self):
        for answer in ("B,C", "BC", "C、B", ["B", "C"], "b, c"):
            self.assertEqual(scoring.right_letters(answer), "BC")


class Read(unittest.TestCase):
    def read(self, text):
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "q.jsonl")
            file.write_text(text, encoding="utf-8")
            return scoring.read(file)

    def test_questions(self):
        one = '{"question": "?", "choices": ["x", "y"], "answer": "B,A"}'
        self.assertEqual(len(self.read(f"\ufeff{one}\n\n{one}\n")), 2)
        self.assertEqual(len(self.read('{"question": "?", "answers": ["x"]}')), 1)

    def test_what_is_wrong_is_told_with_its_line(self):
        good = '{"question": "?", "answer": "x"}\n'
        for text, words in {
            "": "has no question",
            good + "{": "line 2: is not JSON",
            good + "[]": 'line 2: there is no text "question"',
            good + '{"question": "?"}': 'line 2: there is no "answer"',
            '{"question": "?", "choices": ["x"], "answer": "A"}': "a list of 2 to 10",
            '{"question": "?", "choices": ["x", "y"], "answer": "C"}': "A to B",
            '{"question": "?", "choices": ["x", "y"]}': "A to B",
            good + '{"question": "?", "choices": ["x", "y"], "answer": "A"}': "make two files",
        }.items():
            with self.subTest(text), self.assertRaisesRegex(ValueError, words):
                self.read(text)


class Choice(unittest.TestCase):
    def scores(self, text, answer):
        scores = scoring.choice_scores(text, CHOICES, answer)
        return scores["exact_match"], scores["partial_credit"]

    def test_one_right_choice(self):
        self.assertEqual(self.scores("B", "B"), (1, 1))
        self.assertEqual(self.scores("C", "B"), (0, 0))
        self.assertEqual(self.scores("B,C", "B"), (0, 0))
        self.assertEqual(self.scores("", "B"), (0, 0))

    def test_several_right_choices(self):
        self.assertEqual(self.scores("B,C", "B,C"), (1, 1))
        self.assertEqual(self.scores("C", "B,C"), (0, 0.5))
        self.assertEqual(self.scores("B,D", "B,C"), (0, 0))
        self.assertEqual(self.scores("A,B,C", "A,B,C,D"), (0, 0.75))

    def test_a_question_without_an_answer_is_told(self):
        with self.assertRaisesRegex(ValueError, "names no choice"):
            self.scores("B", "趋避式")

    def test_what_is_asked(self):
        question = {"question": "共情是指？", "choices": ["同情", "理解"], "answer": "B"}
        prompt = scoring.choice_prompt(question)
        self.assertIn("问：共情是指？\n（单选题", prompt)
        self.assertIn("\nA. 同情\nB. 理解\n", prompt)
        several = scoring.choice_prompt({**question, "answer": "A,B"})
        self.assertIn("多选题", several)


class Open(unittest.TestCase):
    def test_tokens(self):
        self.assertEqual(scoring.tokens("你好，World-2 ＡＢ!"), ["你", "好", "world", "2", "ab"])

    def test_rouge(self):
        given, wanted = "the cat sat down".split(), "the cat on the mat".split()
        self.assertAlmostEqual(scoring.rouge_1(given, wanted), 2 * 2 / 9)
        self.assertAlmostEqual(scoring.rouge_l(given, wanted), 2 * 2 / 9)
        # The same tokens in another order.
        self.assertAlmostEqual(scoring.rouge_1(list("abc"), list("cba")), 1)
        self.assertAlmostEqual(scoring.rouge_l(list("abc"), list("cba")), 1 / 3)
        # A token that is repeated counts as often as both have it.
        self.assertAlmostEqual(scoring.rouge_1(list("aaa"), list("ab")), 2 / 5)
        for score in scoring.rouge_1, scoring.rouge_l, scoring.bleu:
            self.assertEqual(score([], ["a"]), 0)
            self.assertEqual(score(["a"], []), 0)
            self.assertEqual(score(["a"], ["b"]), 0)

    def test_bleu(self):
        same = "a b c d e".split()
        self.assertAlmostEqual(scoring.bleu(same, same), 1)
        # 3 of 4 tokens, 1 + 1 of 3 + 1 pairs, 0 + 1 of 2 + 1, 0 + 1 of 1 + 1;
        # 4 tokens for 5.
        expected = (3 / 4 * 2 / 4 * 1 / 3 * 1 / 2) ** 0.25 * math.exp(1 - 5 / 4)
        given, wanted = "a b x d".split(), "a b c d e".split()
        self.assertAlmostEqual(scoring.bleu(given, wanted), expected)

    def test_the_best_reference_counts(self):
        scores = scoring.open_scores("深呼吸", {"question": "?", "answers": ["跑步", "深呼吸"]})
        self.assertEqual(scores["rouge_l"], 1)
        self.assertNotIn("key_points", scores)

    def test_key_points(self):
        points = [["压力", "焦虑"], "规律 作息", "Doctor"]
        question = {"question": "?", "answer": "…", "key_points": points}
        scores = scoring.open_scores("缓解焦虑，规律，作息。", question)
        self.assertAlmostEqual(scores["key_points"], 2 / 3)
        self.assertEqual(scoring.key_points("see a DOCTOR", ["doctor"]), 1)

    def test_what_is_asked(self):
        self.assertEqual(scoring.open_prompt({"question": "q"}), "q")
        self.assertEqual(scoring.open_prompt({"question": "q", "description": "d"}), "q\nd")
