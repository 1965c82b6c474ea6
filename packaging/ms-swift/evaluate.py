#!/usr/bin/env python3
"""Evaluates a model with lm_eval, evalscope or both, and prints what they found.

    evaluate.py --lm-eval pceb_mcq,psyqa --evalscope ceval,cmmlu \\
        --model NAME --url http://127.0.0.1:8000/v1 \\
        --weights pceb_mcq=2,ceval=1 --output FOLDER

The last line of output is a JSON object with every metric that the tools' own
result files hold: a data set's main metric under the set's name, all of them
as SET.METRIC, and `score`, the weighted mean of those that --weights names (all
main metrics alike, without it). The files stay in FOLDER/lm_eval and
FOLDER/evalscope, each run in a folder of its own; `evalscope app --outputs
FOLDER/evalscope` shows the latter.

Without --url the tools load the model themselves from its folder, FOLDER in --model
FOLDER, which may be that of an adapter: it is put on the model that it was trained on.

With --base the base model is evaluated, too, once: `base.SET`, `base.score` and so
on are its metrics, and `gain` is how much larger the score is than its.

With --checkpoints several checkpoints of one training run are evaluated, as
checkpoints.py serves them, or each from its folder. The metrics are those of the one with the highest score,
`checkpoint` is its step; a line before tells the scores of all.
"""

import argparse
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from datetime import datetime
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
sys.dont_write_bytecode = True
import checkpoints
import scoring


class Failed(Exception):
    """A tool failed, with this exit code."""

    def __init__(self, message: str, status: int = 2) -> None:
        super().__init__(message)
        self.status = status


def main() -> int:
    options = arguments()
    try:
        metrics = evaluate_checkpoints(options) if options.checkpoints else evaluate(options)
        if options.base is not None:
            of_base = evaluate_base(options)
            metrics.update({f"base.{name}": value for name, value in of_base.items()})
            metrics["gain"] = metrics["score"] - of_base["score"]
    except (Failed, OSError, ValueError) as error:
        print(f"evaluate.py: error: {error}", file=sys.stderr)
        return getattr(error, "status", 2)
    print(json.dumps(metrics, ensure_ascii=False))
    return 0


def evaluate(options: argparse.Namespace) -> dict:
    """What the tools find of a model, and its score."""
    sets = options.lm_eval + options.evalscope
    if not sets:
        raise Failed("no data set is named: give --lm-eval or --evalscope")
    twice = sorted(set(options.lm_eval) & set(options.evalscope))
    if twice:
        raise Failed(f"{twice[0]} is named for both tools; evaluate it by one")
    for file in own_files(options, sets):
        scoring.read(file)
    environment = dict(os.environ)
    # A proxy is for what is elsewhere.
    for name in ("NO_PROXY", "no_proxy"):
        others = [os.environ[name]] if os.environ.get(name) else []
        environment[name] = ",".join(["127.0.0.1,localhost,::1", *others])
    # Beside installed files nothing is to be written.
    environment["PYTHONDONTWRITEBYTECODE"] = "1"
    environment["EVAL_DATA"] = str(Path(options.data).resolve())
    environment.setdefault("OPENAI_API_KEY", "EMPTY")
    metrics, now = {}, datetime.now()
    for tool, wanted, command, files, read in (
        ("lm_eval", options.lm_eval, lm_eval_command, "**/results_*.json", lm_eval_metrics),
        ("evalscope", options.evalscope, evalscope_command, "reports/*/*.json", evalscope_metrics),
    ):
        if not wanted:
            continue
        # Of its own, whoever else evaluates at the same time.
        folder = Path(options.output) / tool / f"{options.name}-{now:%Y%m%d_%H%M%S_%f}"
        folder.mkdir(parents=True)
        status = subprocess.run(command(options, folder), env=environment).returncode
        if status != 0:
            raise Failed(f"{tool} ended with exit code {status}", status if status > 0 else 1)
        for file in sorted(folder.glob(files)):
            metrics.update(read(json.loads(file.read_text(encoding="utf-8"))))
        missing = [name for name in wanted if name not in metrics]
        if missing:
            raise Failed(f"{tool} wrote no result of {', '.join(missing)} into {folder}")
    metrics["score"] = score(metrics, options.weights, sets)
    return metrics


def evaluate_checkpoints(options: argparse.Namespace) -> dict:
    """What is found of the best of several checkpoints, which is put into the
    folder --best."""
    if not options.run:
        raise Failed("--checkpoints wants --run")
    found = checkpoints.named(options.run, options.checkpoints, options.model)
    if not found:
        raise Failed(f"there is no whole checkpoint in {options.run}")
    measured = []
    # The order of training; of equals the earlier is the better.
    for step, path, served in reversed(found):
        name = f"{options.name}-checkpoint-{step}"
        model = served if options.url else str(path)
        one = argparse.Namespace(**{**vars(options), "model": model, "name": name})
        measured.append((step, path, evaluate(one)))
    best = max(measured, key=lambda one: one[2]["score"])
    told = [
        f"{step}: {metrics['score']:.4g}" + (" (the best)" if step == best[0] else "")
        for step, _, metrics in measured
    ]
    print(f"checkpoints by score: {', '.join(told)}", flush=True)
    if options.best:
        keep(best[1], Path(options.best))
    return {**best[2], "checkpoint": best[0]}


def keep(checkpoint: Path, folder: Path) -> None:
    """Makes `folder` a copy of the checkpoint, which takes no room where the disk
    has hard links."""

    def link(old: str, new: str) -> None:
        try:
            os.link(old, new)
        except OSError:
            shutil.copy2(old, new)

    new = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    shutil.copytree(checkpoint, new, copy_function=link)
    shutil.rmtree(folder, ignore_errors=True)
    new.rename(folder)


def evaluate_base(options: argparse.Namespace) -> dict:
    """The same of the base model, which is evaluated once: what was found is kept
    in OUTPUT/base.json for as long as the same is asked. Who else needs it at the
    same time waits."""
    Path(options.output).mkdir(parents=True, exist_ok=True)
    with open(Path(options.output) / "base.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return known_or_new_base(options)


def known_or_new_base(options: argparse.Namespace) -> dict:
    base = options.base or ("" if options.url else trained_on(options.model))
    if not base:
        raise Failed(f"--base wants the name of the base model: {options.model} does not tell it")
    of_base = argparse.Namespace(**{**vars(options), "model": base, "name": "base"})
    own = own_files(options, options.lm_eval + options.evalscope) + own_tasks(options)
    data = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in own}
    # How many are asked at a time, and where, makes no difference.
    same = ("lm_eval", "evalscope", "limit", "subset", "local", "max_tokens", "dtype")
    asked = {"data": data, "base": base, **{name: getattr(options, name) for name in same}}
    # As it comes back from the file.
    asked = json.loads(json.dumps(asked))
    kept = Path(options.output) / "base.json"
    try:
        known = json.loads(kept.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        known = {}
    if known.get("asked") != asked:
        known = {"asked": asked, "metrics": evaluate(of_base)}
        new = kept.with_name(f"base.json.{os.getpid()}")
        new.write_text(json.dumps(known, ensure_ascii=False), encoding="utf-8")
        new.replace(kept)
    found = {name: value for name, value in known["metrics"].items() if name != "score"}
    # The weights may be others by now.
    found["score"] = score(found, options.weights, options.lm_eval + options.evalscope)
    return found


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    names = {"type": words, "default": [], "metavar": "SET,…"}
    add("--lm-eval", help="data sets for lm_eval", **names)
    add("--evalscope", help="data sets for evalscope", **names)
    add("--model", required=True,
        help="the served model's name, or the folder of a model or of an adapter")
    add("--url", help="a server, up to /v1; without it the model is loaded from its folder")
    add("--base", nargs="?", const="", metavar="MODEL",
        help="the base model, evaluated once for the same OUTPUT; of an adapter's folder it"
        " need not be named")
    add("--checkpoints", type=count, metavar="N", help="of one run the N newest, or `all`")
    add("--run", metavar="FOLDER", help="the --output_dir of that run")
    add("--best", metavar="FOLDER", help="becomes a copy of the best of them, by hard links")
    add("--data", default="data", metavar="FOLDER",
        help="NAME.jsonl in it is the data set NAME, see scoring.py (default: data)")
    add("--output", required=True, metavar="FOLDER", help="what the tools write")
    add("--name", default="model", help="what this run's folders, and evalscope, call the model")
    add("--weights", type=weights, default={}, metavar="SET=NUMBER,…")
    add("--limit", help="so many questions of each data set, or a share below 1")
    pairs = {"type": pair, "action": "append", "default": []}
    add("--subset", metavar="SET=A,B", help="only these parts of a data set (evalscope)", **pairs)
    add("--local", metavar="SET=FOLDER", help="where a data set is, not at a hub (evalscope)", **pairs)
    add("--batch-size", default="1", help="questions in one batch, of a loaded model")
    add("--workers", default="1", help="questions that a server is asked at a time")
    add("--max-tokens", help="tokens of an answer")
    add("--dtype", default="auto", help="of a loaded model")
    add("--attn", metavar="NAME", help="the attention of a loaded model: sdpa, flash_attention_2")
    return parser.parse_args()


def count(text: str) -> str:
    if not checkpoints.is_count(text):
        raise argparse.ArgumentTypeError(f"{text!r} is neither a number, 1 or more, nor `all`")
    return text


def words(text: str) -> list:
    return [word for word in text.replace(",", " ").split() if word]


def weights(text: str) -> dict:
    """`ceval=1,psyqa.rouge_l=0.5` as a table."""
    table = {}
    for word in words(text):
        name, _, number = word.rpartition("=")
        try:
            table[name] = float(number)
        except ValueError:
            name = ""
        if not name or not 0 <= table[name] < float("inf"):
            raise argparse.ArgumentTypeError(f"{word!r} is not SET=NUMBER, 0 or more")
    if table and not any(table.values()):
        raise argparse.ArgumentTypeError("one weight must be above 0")
    return table


def pair(text: str) -> tuple:
    name, _, value = text.partition("=")
    if not (name and value):
        raise argparse.ArgumentTypeError(f"{text!r} is not SET=…")
    return name, value


def lm_eval_command(options: argparse.Namespace, folder: Path) -> list:
    if options.url:
        model = "local-chat-completions"
        settings = {
            "model": options.model,
            "base_url": options.url.rstrip("/") + "/chat/completions",
            "num_concurrent": options.workers,
            "max_retries": 3,
        }
    else:
        model = "hf"
        base = trained_on(options.model)
        settings = {"pretrained": base or options.model, "dtype": options.dtype}
        if base:
            settings["peft"] = options.model
        if options.attn:
            settings["attn_implementation"] = options.attn
    command = [sys.executable, "-m", "lm_eval", "run", "--model", model, "--model_args"]
    command.append(",".join(f"{name}={value}" for name, value in settings.items()))
    command += ["--tasks", ",".join(options.lm_eval), "--include_path", str(task_files(options, folder))]
    # A server takes one question a request.
    command += ["--batch_size", "1" if options.url else options.batch_size]
    command += ["--apply_chat_template", "--log_samples", "--output_path", str(folder)]
    if options.max_tokens:
        command += ["--gen_kwargs", f"max_gen_toks={options.max_tokens}"]
    return command + (["--limit", options.limit] if options.limit else [])


def task_files(options: argparse.Namespace, folder: Path) -> Path:
    """A folder with a task file for each data set of the user's own: that of psyqa,
    or of pceb_mcq where its questions have choices, under its own name; and with the
    user's own task files."""
    tasks = folder / "tasks"
    tasks.mkdir()
    for file in own_tasks(options):
        text = json.dumps({"include": str(file.resolve())}, ensure_ascii=False)
        (tasks / file.name).write_text(text, encoding="utf-8")
    for file in own_files(options, options.lm_eval):
        is_choice = "choices" in scoring.read(file)[0]
        like = HERE / "lm_eval" / ("pceb_mcq.yaml" if is_choice else "psyqa.yaml")
        # JSON is YAML.
        task = {"include": str(like), "task": file.stem, "dataset_kwargs": {"file": file.name}}
        text = json.dumps(task, ensure_ascii=False)
        (tasks / f"{file.stem}.yaml").write_text(text, encoding="utf-8")
    return tasks


def own_files(options: argparse.Namespace, sets: list) -> list:
    """The files of those data sets that are the user's own."""
    tasks = {file.stem for file in own_tasks(options)}
    files = [Path(options.data) / f"{name}.jsonl" for name in sets if name not in tasks]
    return [file for file in files if file.is_file()]


def own_tasks(options: argparse.Namespace) -> list:
    """The task files for lm_eval that the user has written for those data sets."""
    files = [Path(options.data) / f"{name}.yaml" for name in options.lm_eval]
    return [file for file in files if file.is_file()]


def trained_on(folder: str) -> str:
    """The model that the adapter in a folder was trained on; "" if it is none."""
    try:
        text = (Path(folder) / "adapter_config.json").read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return ""
    base = json.loads(text).get("base_model_name_or_path")
    if not base:
        raise Failed(f"{folder}/adapter_config.json does not name the adapter's base model")
    return base


def evalscope_command(options: argparse.Namespace, folder: Path) -> list:
    command = [sys.executable, str(HERE / "evalscope_tasks.py"), "eval"]
    command += ["--model", options.model, "--datasets", *options.evalscope]
    if options.url:
        command += ["--eval-type", "openai_api", "--api-url", options.url]
        command += ["--eval-batch-size", options.workers]
    else:
        command += ["--eval-type", "llm_ckpt", "--eval-batch-size", options.batch_size]
        # transformers puts an adapter on its base model by itself.
        settings = {"precision": dtype(options.dtype)}
        base = trained_on(options.model)
        if base:
            settings["tokenizer_path"] = base
        if options.attn:
            settings["attn_implementation"] = options.attn
        command += ["--model-args", json.dumps(settings)]
    command += ["--model-id", options.name, "--work-dir", str(folder), "--no-timestamp"]
    generation = {"temperature": 0.0}
    if options.max_tokens:
        generation["max_tokens"] = int(options.max_tokens)
    command += ["--generation-config", json.dumps(generation)]
    data_sets = {}
    for name, parts in options.subset:
        data_sets.setdefault(name, {})["subset_list"] = words(parts)
    for name, local in options.local:
        data_sets.setdefault(name, {})["local_path"] = local
    if data_sets:
        command += ["--dataset-args", json.dumps(data_sets)]
    return command + (["--limit", options.limit] if options.limit else [])


def dtype(name: str) -> str:
    """A number format as evalscope names it."""
    return name if name == "auto" else f"torch.{name}"


def lm_eval_metrics(results: dict) -> dict:
    """What a results file of lm_eval holds: `results.SET["METRIC,FILTER"]`."""
    found = {}
    for data_set, numbers in (results.get("results") or {}).items():
        for key, value in numbers.items():
            metric, comma, filtered = key.partition(",")
            if not comma or metric.endswith("_stderr") or not is_number(value):
                continue
            # That of the first filter is the metric.
            found.setdefault(data_set, value)
            found.setdefault(f"{data_set}.{metric}", value)
            if filtered != "none":
                found[f"{data_set}.{metric}.{filtered}"] = value
    for data_set, count in (results.get("n-samples") or {}).items():
        if is_number(count.get("effective")):
            found[f"{data_set}.samples"] = count["effective"]
    return found


def evalscope_metrics(report: dict) -> dict:
    """What a report of evalscope holds: `metrics[]` of one data set."""
    if not (isinstance(report, dict) and "dataset_name" in report):
        return {}
    data_set, found = report["dataset_name"], {}
    main = report.get("primary_metric_identity")
    for metric in report.get("metrics") or []:
        value = metric.get("score")
        if not is_number(value):
            continue
        found[f"{data_set}.{metric_name(metric)}"] = value
        if data_set not in found or metric.get("identity") == main:
            found[data_set] = value
            if is_number(metric.get("num")):
                found[f"{data_set}.samples"] = metric["num"]
    return found


def metric_name(metric: dict) -> str:
    """`bleu_4`, `rouge_l_recall` of an identity with dimensions, where F1 goes
    without saying; releases before 1.14 had a plain name."""
    identity = metric.get("identity")
    if not identity:
        return metric["name"]
    dimensions = identity.get("dimensions") or {}
    said = sorted(dimensions.items(), key=lambda item: item[0] == "statistic")
    return "_".join([identity["name"], *(str(value) for _, value in said if value != "f1")])


def is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value == value


def score(metrics: dict, weights: dict, sets: list) -> float:
    """The weighted mean."""
    weights = weights or dict.fromkeys(sets, 1.0)
    for name in weights:
        if name not in metrics:
            there = ", ".join(sorted(metrics))
            raise ValueError(f"--weights names {name}, which was not measured; there are {there}")
    total = sum(weights.values())
    return sum(metrics[name] * weight for name, weight in weights.items()) / total


if __name__ == "__main__":
    sys.exit(main())
