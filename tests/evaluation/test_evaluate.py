"""packaging/ms-swift/evaluate.py: what it reads of the tools' own files, and
how it runs them. The files in fixtures/ms-swift are what the tools wrote when
they evaluated a real model; a stand-in for a tool writes them again."""

import json
import os
import subprocess
import sys
import tempfile
import unittest
import unittest.mock
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "tests/fixtures/ms-swift"
sys.path.insert(0, str(ROOT / "packaging/ms-swift"))
import evaluate

# A package of the tool's name: it tells its arguments and writes what was
# recorded, or fails, as it is told.
STAND_IN = """
import json, os, pathlib, shutil, sys
sys.stderr.write(json.dumps(sys.argv[1:]) + "\\n")
if os.environ.get("STATUS"):
    sys.exit(int(os.environ["STATUS"]))
folder = pathlib.Path(sys.argv[sys.argv.index("--output_path") + 1])
folder.mkdir(parents=True, exist_ok=True)
settings = sys.argv[sys.argv.index("--model_args") + 1].split(",")
model = dict(pair.split("=", 1) for pair in settings).get("model", "")
recorded = os.environ["RECORDED"].replace("MODEL", model)
for file in filter(None, recorded.split(os.pathsep)):
    (folder / "results_1.json").write_text(pathlib.Path(file).read_text())
"""


def recorded(name):
    return json.loads((FIXTURES / name).read_text(encoding="utf-8"))


class Results(unittest.TestCase):
    def test_of_lm_eval(self):
        found = evaluate.lm_eval_metrics(recorded("lm_eval-results.json"))
        self.assertEqual(found, EXPECTED_LM_EVAL)

    def test_of_evalscope(self):
        found = {}
        for name in "pceb_mcq", "psyqa":
            found.update(evaluate.evalscope_metrics(recorded(f"evalscope-{name}.json")))
        self.assertEqual(found, EXPECTED_EVALSCOPE)
        found = evaluate.evalscope_metrics(recorded("evalscope-ceval.json"))
        self.assertEqual(found, {"ceval": 0.0, "ceval.accuracy": 0.0, "ceval.samples": 3})

    def test_of_a_benchmark_of_evalscope_itself(self):
        found = evaluate.evalscope_metrics(recorded("evalscope-general_qa.json"))
        self.assertEqual(found["general_qa"], found["general_qa.rouge_l_recall"])
        self.assertIn("general_qa.bleu_4", found)
        self.assertIn("general_qa.rouge_l", found)

    def test_filters_of_lm_eval_are_told_apart(self):
        numbers = {"alias": "gsm8k", "em,strict": 0.2, "em_stderr,strict": 0.1, "em,loose": 0.4}
        found = evaluate.lm_eval_metrics({"results": {"gsm8k": numbers}})
        self.assertEqual(
            found, {"gsm8k": 0.2, "gsm8k.em": 0.2, "gsm8k.em.strict": 0.2, "gsm8k.em.loose": 0.4}
        )

    def test_a_report_of_an_older_evalscope(self):
        report = {"dataset_name": "ceval", "metrics": [{"name": "AverageAccuracy", "score": 0.5}]}
        found = evaluate.evalscope_metrics(report)
        self.assertEqual(found, {"ceval": 0.5, "ceval.AverageAccuracy": 0.5})

    def test_what_is_no_report_is_passed_over(self):
        for other in ({}, [], {"model": "x"}, {"dataset_name": "a", "metrics": None}):
            self.assertEqual(evaluate.evalscope_metrics(other), {})
        self.assertEqual(evaluate.lm_eval_metrics({"a": 1}), {})


class Weights(unittest.TestCase):
    def test_a_weighted_mean(self):
        metrics = {"a": 1.0, "b": 0.0, "b.c": 0.5}
        self.assertEqual(evaluate.score(metrics, {}, ["a", "b"]), 0.5)
        self.assertEqual(evaluate.score(metrics, {"a": 3, "b.c": 1}, []), 0.875)
        with self.assertRaisesRegex(ValueError, "names d, which was not measured; there are a, b"):
            evaluate.score(metrics, {"d": 1}, [])

    def test_what_is_no_weight_is_refused(self):
        self.assertEqual(evaluate.weights("a=1, b.c=0.5"), {"a": 1, "b.c": 0.5})
        for text in "a", "a=", "=1", "a=-1", "a=nan", "a=inf", "a=0,b=0":
            with self.subTest(text), self.assertRaises(evaluate.argparse.ArgumentTypeError):
                evaluate.weights(text)


class Commands(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        package = self.folder / "lm_eval"
        package.mkdir()
        (package / "__main__.py").write_text(STAND_IN)
        (package / "__init__.py").write_text("")
        data = self.folder / "data"
        data.mkdir()
        (data / "pceb_mcq.jsonl").write_text('{"question": "?", "choices": ["x", "y"], "answer": "A"}\n')
        (data / "psyqa.jsonl").write_text('\n{"question": "?", "answer": "x"}\n')

    def run_it(self, *arguments, recorded="lm_eval-results.json", **environment):
        files = [str(FIXTURES / recorded)] if recorded else []
        command = [sys.executable, "-B", str(ROOT / "packaging/ms-swift/evaluate.py")]
        command += ["--model", "m", "--output", str(self.folder / "out")]
        command += ["--data", str(self.folder / "data"), *arguments]
        environment = {
            **os.environ,
            "PYTHONPATH": str(self.folder),
            "RECORDED": os.pathsep.join(files),
            **environment,
        }
        return subprocess.run(command, env=environment, capture_output=True, text=True)

    def test_the_last_line_has_all_metrics(self):
        ended = self.run_it(
            "--lm-eval=pceb_mcq,psyqa", "--url=http://127.0.0.1:1/v1",
            "--weights=pceb_mcq.partial_credit=1,psyqa.key_points=1",
            "--limit=3", "--workers=2",
        )
        self.assertEqual(ended.returncode, 0, ended.stderr)
        last = json.loads(ended.stdout.splitlines()[-1])
        expected = dict(EXPECTED_LM_EVAL)
        partial, points = expected["pceb_mcq.partial_credit"], expected["psyqa.key_points"]
        self.assertEqual(last, {**expected, "score": (partial + points) / 2})
        told = json.loads(ended.stderr.splitlines()[0])
        self.assertIn("local-chat-completions", told)
        settings = told[told.index("--model_args") + 1]
        self.assertIn("base_url=http://127.0.0.1:1/v1/chat/completions,num_concurrent=2", settings)
        self.assertEqual(told[told.index("--limit") + 1], "3")
        # The task files: one for each file of the data.
        tasks = Path(told[told.index("--include_path") + 1])
        included = {
            file.stem: Path(json.loads(file.read_text())["include"]).name
            for file in tasks.iterdir()
        }
        self.assertEqual(included, {"pceb_mcq": "pceb_mcq.yaml", "psyqa": "psyqa.yaml"})

    def test_a_model_in_a_folder_is_loaded(self):
        ended = self.run_it("--lm-eval=psyqa", "--dtype=float32", "--batch-size=4")
        self.assertEqual(ended.returncode, 0, ended.stderr)
        told = json.loads(ended.stderr.splitlines()[0])
        self.assertEqual(told[told.index("--model") + 1], "hf")
        self.assertIn("pretrained=m,dtype=float32", told)
        self.assertEqual(told[told.index("--batch_size") + 1], "4")

    def adapter(self, path):
        """A folder with an adapter of the base model /b."""
        adapter = self.folder / path
        adapter.mkdir(parents=True)
        config = json.dumps({"base_model_name_or_path": "/b"})
        (adapter / "adapter_config.json").write_text(config)
        (adapter / "trainer_state.json").write_text("{}")
        return str(adapter)

    def loaded(self, *arguments):
        """What lm_eval was told of the models it loads, one run after the other."""
        ended = self.run_it("--lm-eval=psyqa", *arguments)
        self.assertEqual(ended.returncode, 0, ended.stderr)
        told = [json.loads(line) for line in ended.stderr.splitlines()]
        for words in told:
            self.assertEqual(words[words.index("--model") + 1], "hf")
        return [words[words.index("--model_args") + 1] for words in told]

    def test_an_adapter_in_a_folder_is_put_on_its_base_model(self):
        adapter = self.adapter("adapter")
        asked = [f"--model={adapter}", "--base", "--dtype=float32", "--attn=sdpa"]
        rest = "attn_implementation=sdpa"
        of_adapter = f"pretrained=/b,dtype=float32,peft={adapter},{rest}"
        self.assertEqual(self.loaded(*asked), [of_adapter, f"pretrained=/b,dtype=float32,{rest}"])
        self.assertEqual(self.loaded(*asked), [of_adapter])
        # A model is its own.
        ended = self.run_it("--lm-eval=psyqa", f"--model={self.folder}", "--base")
        self.assertEqual(ended.returncode, 2)
        self.assertIn("--base wants the name of the base model", ended.stderr)

    def test_checkpoints_are_loaded_from_their_folders(self):
        two = [self.adapter(f"run/v0-1/checkpoint-{step}") for step in (1, 2)]
        run = f"--run={self.folder}/run"
        found = self.loaded("--checkpoints=all", run, f"--model={two[1]}", "--base")
        self.assertEqual([text.rpartition("peft=")[2] for text in found[:2]], two)
        self.assertEqual(found[2:], ["pretrained=/b,dtype=auto"])

    def test_a_task_file_of_ones_own_takes_the_place_of_ours(self):
        own = self.folder / "data/psyqa.yaml"
        own.write_text("task: psyqa\n")
        ended = self.run_it("--lm-eval=pceb_mcq,psyqa")
        self.assertEqual(ended.returncode, 0, ended.stderr)
        told = json.loads(ended.stderr.splitlines()[0])
        tasks = Path(told[told.index("--include_path") + 1])
        task = json.loads((tasks / "psyqa.yaml").read_text())
        self.assertEqual(task, {"include": str(own.resolve())})
        self.assertIn("pceb_mcq", (tasks / "pceb_mcq.yaml").read_text())

    def test_the_base_model_is_evaluated_once(self):
        def models(ended):
            self.assertEqual(ended.returncode, 0, ended.stderr)
            told = [json.loads(line) for line in ended.stderr.splitlines()]
            settings = [words[words.index("--model_args") + 1] for words in told]
            return [words.split(",")[0] for words in settings]

        asked = ["--lm-eval=pceb_mcq,psyqa", "--url=http://127.0.0.1:1/v1", "--base=b"]
        first = self.run_it(*asked)
        self.assertEqual(models(first), ["model=m", "model=b"])
        last = json.loads(first.stdout.splitlines()[-1])
        self.assertEqual(last["base.psyqa.bleu"], EXPECTED_LM_EVAL["psyqa.bleu"])
        self.assertEqual(last["base.score"], last["score"])
        self.assertEqual(last["gain"], 0)
        # Other weights want no other answers.
        second = self.run_it(*asked, "--workers=3", "--weights=psyqa=1")
        self.assertEqual(models(second), ["model=m"])
        last = json.loads(second.stdout.splitlines()[-1])
        self.assertEqual(last["base.score"], EXPECTED_LM_EVAL["psyqa"])
        # Other questions do.
        with (self.folder / "data/psyqa.jsonl").open("a") as file:
            file.write('{"question": "!", "answer": "y"}\n')
        self.assertEqual(models(self.run_it(*asked)), ["model=m", "model=b"])
        (self.folder / "out/base.json").write_text("{torn")
        self.assertEqual(models(self.run_it(*asked)), ["model=m", "model=b"])

    def test_the_best_of_several_checkpoints_counts(self):
        def results(model, value):
            text = json.dumps({"results": {"psyqa": {"bleu,none": value}}})
            (self.folder / f"{model}.json").write_text(text)

        for step in 9, 10, 200:
            checkpoint = self.folder / f"run/v0-2026/checkpoint-{step}"
            checkpoint.mkdir(parents=True)
            (checkpoint / "trainer_state.json").write_text("{}")
            (checkpoint / "adapter.safetensors").write_text(str(step))
        # Cut short, merged, and one to which a later start came again.
        (self.folder / "run/v0-2026/checkpoint-300").mkdir()
        merged = self.folder / "run/v0-2026/checkpoint-200-merged"
        merged.mkdir()
        (merged / "trainer_state.json").write_text("{}")
        again = self.folder / "run/v1-2026/checkpoint-200"
        again.mkdir(parents=True)
        (again / "trainer_state.json").write_text("{}")
        (again / "adapter.safetensors").write_text("again")
        os.utime(self.folder / "run/v0-2026/checkpoint-200/trainer_state.json", (1, 1))

        for model, value in (("m", 0.2), ("m-10", 0.4), ("m-9", 0.4)):
            results(model, value)
        asked = ["--lm-eval=psyqa", "--url=http://127.0.0.1:1/v1", f"--run={self.folder / 'run'}"]
        best = self.folder / "best"
        for number, told, step in (
            ("all", "9: 0.4 (the best), 10: 0.4, 200: 0.2", 9),
            ("2", "10: 0.4 (the best), 200: 0.2", 10),
            ("1", "200: 0.2 (the best)", 200),
        ):
            with self.subTest(number):
                ended = self.run_it(
                    *asked, f"--checkpoints={number}", f"--best={best}", recorded=None,
                    RECORDED=str(self.folder / "MODEL.json"),
                )
                self.assertEqual(ended.returncode, 0, ended.stderr)
                *_, line, last = ended.stdout.splitlines()
                self.assertEqual(line, f"checkpoints by score: {told}")
                self.assertEqual(json.loads(last)["checkpoint"], step)
                self.assertIn((best / "adapter.safetensors").read_text(), (str(step), "again"))
        self.assertEqual((best / "adapter.safetensors").read_text(), "again")
        self.assertEqual(list(self.folder.glob("best.new")), [])

        for arguments, words in (
            (["--checkpoints=0"], "'0' is neither a number, 1 or more, nor `all`"),
            (["--checkpoints=2", "--run="], "--checkpoints wants --run"),
            (["--checkpoints=2", f"--run={best}"], "there is no whole checkpoint in"),
        ):
            with self.subTest(words):
                ended = self.run_it(*asked, *arguments)
                self.assertEqual(ended.returncode, 2)
                self.assertIn(words, ended.stderr)

    def test_checkpoints_are_served_by_these_names(self):
        command = [sys.executable, "-B", str(ROOT / "packaging/ms-swift/checkpoints.py")]
        run = self.folder / "run"
        for step in 4, 8:
            checkpoint = run / f"v0-2026/checkpoint-{step}"
            checkpoint.mkdir(parents=True)
            (checkpoint / "trainer_state.json").write_text("{}")

        def served(*words):
            return subprocess.run([*command, *words], capture_output=True, text=True)

        ended = served("all", str(run), "tuned", "echo", "deploy", "--port=1")
        names = f"tuned={run}/v0-2026/checkpoint-8 tuned-4={run}/v0-2026/checkpoint-4"
        self.assertEqual(ended.stdout, f"deploy --port=1 --adapters {names}\n")
        for words, told in (
            (("no", str(run), "tuned", "echo"), "a number, 1 or more, or all"),
            (("1", str(self.folder), "tuned", "echo"), "no whole checkpoint in"),
        ):
            ended = served(*words)
            self.assertEqual(ended.returncode, 1)
            self.assertIn(told, ended.stderr)

    def test_what_an_earlier_run_wrote_does_not_count(self):
        self.assertEqual(self.run_it("--lm-eval=psyqa").returncode, 0)
        ended = self.run_it("--lm-eval=psyqa", recorded=None)
        self.assertEqual(ended.returncode, 2)
        self.assertIn("lm_eval wrote no result of psyqa into", ended.stderr)

    def test_what_goes_wrong_is_told(self):
        ended = self.run_it("--lm-eval=psyqa", STATUS="3")
        self.assertEqual(ended.returncode, 3)
        self.assertIn("lm_eval ended with exit code 3", ended.stderr)
        (self.folder / "data/torn.jsonl").write_text('{"question": "?", "answer": "x"}\n{"')
        for arguments, words in (
            (["--lm-eval=torn"], "torn.jsonl, line 2: is not JSON"),
            ([], "no data set is named"),
            (["--lm-eval=a", "--evalscope=a"], "a is named for both tools"),
            (["--lm-eval=psyqa", "--weights=x=1"], "names x, which was not measured"),
            (["--lm-eval=psyqa", "--weights=x"], "'x' is not SET=NUMBER"),
        ):
            with self.subTest(words):
                ended = self.run_it(*arguments)
                self.assertEqual(ended.returncode, 2)
                self.assertIn(words, ended.stderr)
                self.assertNotIn("Traceback", ended.stderr)

    def test_evalscope_is_told_what_lm_eval_is_told(self):
        text = (
            "--evalscope=ceval,pceb_mcq --model=m --output=o --limit=5 --subset=ceval=law,logic"
            " --subset=cmmlu=agronomy --local=ceval=/data/ceval --name=trial-7 --max-tokens=9"
        )
        with unittest.mock.patch.object(sys, "argv", ["evaluate.py", *text.split()]):
            options = evaluate.arguments()
        local = evaluate.evalscope_command(options, Path("o/evalscope"))
        pairs = dict(zip(local, local[1:]))
        self.assertEqual(pairs["--eval-type"], "llm_ckpt")
        self.assertEqual(pairs["--work-dir"], "o/evalscope")
        self.assertEqual(pairs["--limit"], "5")
        self.assertEqual(pairs["--model-id"], "trial-7")
        self.assertEqual(
            json.loads(pairs["--dataset-args"]),
            {
                "ceval": {"subset_list": ["law", "logic"], "local_path": "/data/ceval"},
                "cmmlu": {"subset_list": ["agronomy"]},
            },
        )
        self.assertEqual(json.loads(pairs["--generation-config"])["max_tokens"], 9)
        self.assertEqual(json.loads(pairs["--model-args"]), {"precision": "auto"})
        options.model, options.attn = self.adapter("adapter"), "sdpa"
        local = evaluate.evalscope_command(options, Path("o/evalscope"))
        self.assertEqual(local[local.index("--model") + 1], options.model)
        self.assertEqual(
            json.loads(local[local.index("--model-args") + 1]),
            {"precision": "auto", "tokenizer_path": "/b", "attn_implementation": "sdpa"},
        )
        options.url = "http://127.0.0.1:8000/v1"
        served = evaluate.evalscope_command(options, Path("o/evalscope"))
        pairs = dict(zip(served, served[1:]))
        self.assertEqual(pairs["--eval-type"], "openai_api")
        self.assertEqual(pairs["--api-url"], options.url)


# As the tools printed them.
EXPECTED_LM_EVAL = {
    "pceb_mcq": 0.0,
    "pceb_mcq.exact_match": 0.0,
    "pceb_mcq.partial_credit": 0.1111111111111111,
    "psyqa": 0.12882238126219908,
    "psyqa.rouge_l": 0.12882238126219908,
    "psyqa.rouge_1": 0.18542615484710473,
    "psyqa.bleu": 0.03758062403362844,
    "psyqa.key_points": 0.25,
    "pceb_mcq.samples": 3,
    "psyqa.samples": 2,
}
EXPECTED_EVALSCOPE = {
    "pceb_mcq.exact_match": 0.0,
    "pceb_mcq": 0.0,
    "pceb_mcq.partial_credit": 0.1111,
    "psyqa.rouge_l": 0.1288,
    "psyqa": 0.1288,
    "psyqa.rouge_1": 0.1854,
    "psyqa.bleu": 0.0376,
    "psyqa.key_points": 0.25,
    "pceb_mcq.samples": 3,
    "psyqa.samples": 2,
}
