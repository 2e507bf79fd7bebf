"""Benchmarks: ratios within one run. They are not tests: nothing fails because it is slow.

    python -m benchmarks [--quick]            speed, memory and accuracy: make bench
    python -m benchmarks.training [ROW...]    the recipes of docs/training.md: make bench-training
    python -m benchmarks.workers [WORKERS]    distributed training
    python -m benchmarks.transfer [SEEDS]     transfer learning from digits 0 to 4 to 5 to 9
    python -m benchmarks.defaults [SET...]    what the defaults reach on images of several kinds
    python -m benchmarks.task_overhead        a task on CeleryExecutor and on LocalExecutor
    python -m benchmarks.containers           the containers of make up

The other modules are programs that these start.
"""
