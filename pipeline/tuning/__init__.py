"""Search for better settings: `python -m pipeline tune`.

    plan      what is searched: [tune] of the settings file, checked before anything runs
    study     what was tried so far: Optuna's study in a file; what to try next, what to give up
    search    the loop: hands trials to processes, hears of each epoch, tells the study and MLflow
    workers   the processes' side that the search sees;  worker: what runs in each of them
    journal   a child run in MLflow for each trial
    profile   the best settings as a TOML file for `run --config`
    report    one HTML page about the study, its pictures by figures

What a search leaves, below $PIPELINE_HOME/tune/:

    STUDY.db     Optuna's study: every trial with its settings, figures per epoch and end
    STUDY.toml   the best settings, unless --out names another file
    STUDY.html   the report
    STUDY.json   what `tune --json` printed; gc keeps the best training by it
    STUDY.log    what the trainings said

A trial that was finished is an artifact of the store like any other: `run` with its settings takes it.
"""
