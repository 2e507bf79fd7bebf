"""Search for better settings: `python -m pipeline tune`.

    plan           [tune] of the settings file, checked before anything runs
    tune           one call: search, then write the best settings and the report
    study          the trials so far, and which of them may be resumed;  journal: their file
    search         starts the processes that run trials, and reports each trial that ends
    trial_worker   such a process;  optimize: its trials, chosen and pruned by Optuna
    tracking       a child run in MLflow for each trial
    best_settings  the best settings as a TOML file for `run --config`
    report         an HTML page about the study, with figures;  summary: its lines on the console

Files of a search, in $PIPELINE_HOME/tune/:

    STUDY.journal  Optuna's study: the settings, the value of each epoch and the outcome of every trial
    STUDY.toml     the best settings, unless --out names another file
    STUDY.html     the report
    STUDY.json     the answer of `tune --json`; gc keeps the best training because of it
    STUDY.log      output of the processes that train

The training of a completed trial is an artifact of the store like any other: `run` with its settings reuses it.
"""
