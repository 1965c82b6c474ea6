"""`evalscope`, with the data sets of the user's own folder added to its own.

    python evalscope_tasks.py eval --datasets pceb_mcq psyqa ceval …

A NAME.jsonl in the folder EVAL_DATA (default: data) is the data set NAME:
multiple-choice where its questions have choices, open otherwise. What a line
holds is told in scoring.py.
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import scoring
from evalscope.api.benchmark import BenchmarkMeta, DefaultDataAdapter
from evalscope.api.dataset import Sample
from evalscope.api.metric import Score
from evalscope.api.metric.semantics import MetricSelector
from evalscope.api.registry import register_benchmark
from evalscope.cli.cli import run_cmd


class Questions(DefaultDataAdapter):
    """Questions of one file; `scores` and `prompt` are those of their kind."""

    def load_from_disk(self, **_kwargs):
        return super().load_from_disk(use_local_loader=True)

    def record_to_sample(self, record):
        return Sample(
            input=self.prompt(record),
            target=self.target(record),
            metadata={"question": record},
        )

    def match_score(self, original_prediction, filtered_prediction, reference, task_state):
        question = task_state.metadata["question"]
        value = self.scores(original_prediction, question)
        return Score(
            prediction=original_prediction,
            extracted_prediction=self.extracted(original_prediction, question),
            value=value,
            main_score_name=next(iter(value)),
        )


class Choices(Questions):
    """Multiple-choice questions."""

    prompt = staticmethod(scoring.choice_prompt)

    @staticmethod
    def target(question):
        return ",".join(scoring.right_letters(question["answer"]))

    @staticmethod
    def scores(text, question):
        return scoring.choice_scores(text, question["choices"], question["answer"])

    @staticmethod
    def extracted(text, question):
        return ",".join(scoring.chosen(text, question["choices"]))


class OpenQuestions(Questions):
    """Open questions."""

    prompt = staticmethod(scoring.open_prompt)
    # As evalscope calls them: it knows what they mean by that.
    NAMES = {"rouge_l": "Rouge-L-F", "rouge_1": "Rouge-1-F"}

    @classmethod
    def scores(cls, text, question):
        scores = scoring.open_scores(text, question)
        return {cls.NAMES.get(name, name): value for name, value in scores.items()}

    @staticmethod
    def target(question):
        return str((question.get("answers") or [question.get("answer") or ""])[0])

    @staticmethod
    def extracted(text, _question):
        return text


def add(path: Path) -> None:
    """Adds the data set that a file holds."""
    if "choices" in scoring.read(path)[0]:
        adapter, metrics = Choices, ["exact_match", "partial_credit"]
        main = MetricSelector(name="exact_match")
    else:
        adapter, metrics = OpenQuestions, ["Rouge", "bleu", "key_points"]
        main = MetricSelector(name="rouge", dimensions={"variant": "l"})
    meta = BenchmarkMeta(
        name=path.stem,
        pretty_name=path.stem,
        description=f"Questions of {path.name}.",
        dataset_id=str(path.resolve()),
        metric_list=metrics,
        primary_metric=main,
        subset_list=["default"],
        few_shot_num=0,
        eval_split="test",
        prompt_template="{question}",
    )
    register_benchmark(meta)(type(path.stem, (adapter,), {}))


if __name__ == "__main__":
    for file in sorted(Path(os.environ.get("EVAL_DATA") or "data").glob("*.jsonl")):
        # What else lies there need not be questions.
        if file.stem in sys.argv:
            add(file)
    run_cmd()
