"""AutoGluon's ensemble selection: select_autogluon.py INPUT ROUNDS"""

from __future__ import annotations

import sys
import warnings

import numpy as np
from autogluon.core.metrics import accuracy
from autogluon.core.models.greedy_ensemble.ensemble_selection import EnsembleSelection
from serve import serve


def main() -> None:
    warnings.filterwarnings("ignore")
    data = np.load(sys.argv[1])
    probs, target = [*data["probs"].astype(np.float64)], data["target"]

    def work() -> np.ndarray:
        selection = EnsembleSelection(int(sys.argv[2]), "multiclass", accuracy, tie_breaker="second_metric")
        selection.fit(probs, target)
        return selection.weights_

    serve(work, warm_up=False)


if __name__ == "__main__":
    main()
