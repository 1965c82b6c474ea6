"""Optimises something with Optuna, into the journal that is named: of five trials
the second fails and the third is pruned."""

import sys

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend


def objective(trial):
    n = trial.suggest_categorical("N", [1, 2, 3, 4, 5, 6, 7])
    trial.suggest_float("lr", 1e-5, 1e-3, log=True)
    trial.set_user_attr("quality", 0.75)
    trial.report(float(n), 0)
    if trial.number == 1:
        raise RuntimeError("it does not start")
    if trial.number == 2:
        raise optuna.TrialPruned()
    return n * 100 + 1


study = optuna.create_study(
    study_name="optimised",
    storage=JournalStorage(JournalFileBackend(sys.argv[1])),
    direction="maximize",
    sampler=optuna.samplers.RandomSampler(seed=1),
)
study.optimize(objective, n_trials=5, catch=(RuntimeError,))
