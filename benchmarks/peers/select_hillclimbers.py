"""The package hillclimbers on two classes, since it takes one column a model: select_hillclimbers.py INPUT"""

from __future__ import annotations

import sys
import warnings
from functools import partial

import numpy as np
import pandas as pd
from hillclimbers import climb_hill
from serve import serve


def accuracy(target: np.ndarray, probs: np.ndarray) -> float:
    return float(((np.asarray(probs) > 0.5) == np.asarray(target)).mean())


def main() -> None:
    warnings.filterwarnings("ignore")
    data = np.load(sys.argv[1])
    names = [f"model{i}" for i in range(len(data["probs"]))]
    train = pd.DataFrame({"target": data["target"] == 1})
    oof = pd.DataFrame(data["probs"][:, :, 1].T.astype(np.float64), columns=names)
    each = pd.DataFrame(
        np.eye(len(names)), columns=names
    )  # as test predictions, they come back as the weights

    def work() -> np.ndarray:
        found = climb_hill(train, oof, each, "target", "maximize", partial(accuracy), plot_hill=False)
        return np.asarray(found)

    serve(work, warm_up=False)


if __name__ == "__main__":
    main()
