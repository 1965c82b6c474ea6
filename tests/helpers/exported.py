"""Opens what autotune has exported with the programs that it is for, and prints
what they find as JSON."""

import json
import sys
import time
import urllib.request


def optuna(path, name):
    import logging

    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend
    from optuna_dashboard import wsgi

    optuna.logging.set_verbosity(logging.ERROR)
    storage = JournalStorage(JournalFileBackend(path))
    study = optuna.load_study(study_name=name, storage=storage)
    trials = study.trials
    found = {
        "direction": study.direction.name,
        "states": [trial.state.name for trial in trials],
        "best": [study.best_trial.number, study.best_value],
        "params": [trial.params for trial in trials],
        "constraints": [trial.system_attrs.get("constraints") for trial in trials],
        "intermediate": [trial.intermediate_values for trial in trials],
        "cause": [trial.user_attrs.get("cause") for trial in trials],
        "log": trials[0].distributions["lr"].log,
    }
    study.trials_dataframe()
    asked = study.ask(trials[0].distributions)
    found["asked"] = asked.params
    study.tell(asked, 1.0)
    asked = study.ask(trials[0].distributions)

    # The dashboard's own answers.
    app = wsgi(storage)

    def get(address):
        status = []
        environ = {
            "REQUEST_METHOD": "GET",
            "PATH_INFO": address,
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "80",
            "wsgi.url_scheme": "http",
            "wsgi.input": sys.stdin.buffer,
            "wsgi.errors": sys.stderr,
        }
        body = b"".join(app(environ, lambda line, headers, *rest: status.append(line)))
        assert status[0].startswith("200"), (status, body)
        return json.loads(body)

    summary = get("/api/studies")["study_summaries"][0]
    trials = get("/api/studies/%d" % summary["study_id"])["trials"]
    found["dashboard"] = [summary["study_name"], len(trials)]
    return found


def wait(address):
    # It imports a great deal before it listens.
    for _ in range(1800):
        try:
            with urllib.request.urlopen(address + "/health", timeout=5) as answer:
                return answer.status == 200
        except OSError:
            time.sleep(0.1)
    return False


def mlflow(address, name):
    from mlflow import MlflowClient

    client = MlflowClient(address)
    experiment = client.get_experiment_by_name(name)
    runs = client.search_runs([experiment.experiment_id])
    runs.sort(key=lambda run: int(run.data.tags["autotune.trial"]))

    def history(run, metric):
        points = client.get_metric_history(run.info.run_id, metric)
        return sorted([point.step, point.value] for point in points)

    return {
        "status": [run.info.status for run in runs],
        "names": [run.info.run_name for run in runs],
        "params": [run.data.params for run in runs],
        "tags": [run.data.tags for run in runs],
        "score": [run.data.metrics.get("score") for run in runs],
        "runs": [history(run, "score.runs") for run in runs],
    }


if __name__ == "__main__":
    verbs = {"optuna": optuna, "await": wait, "mlflow": mlflow}
    print(json.dumps(verbs[sys.argv[1]](*sys.argv[2:])))
