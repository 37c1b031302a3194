"""A seeded fuzzer: inputs of every kind that kagglekit reads, damaged at random, each of which must be explained.

An input is a kind and a number: the same ones give the same input. `runner.run` tries inputs in forked processes;
`PYTHONPATH=tests python -m support.fuzz 20000` writes docs/results/fuzz.md, and `... --only yaml 17` tries one input
in this process, with its traceback.
"""
