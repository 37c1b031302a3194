"""A competition in one value: every verb as a method, and its data as polars and torch.

    import kagglekit

    project = kagglekit.open("competition.yaml", "train.epochs=10")
    (run,) = project.train("tcresnet")
    wrong = project.oof(run).filter(pl.col("predicted") != pl.col("label"))
    x = project.audio(wrong)                 # (clips, samples), float32 in [-1, 1)

A method takes the options of its verb, as `kagglekit VERB --help` explains them, and returns what the verb
shows; it prints no result. A `time_limit` is in seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kagglekit.project.base import Names, split_names
from kagglekit.project.data import DataMethods
from kagglekit.project.distillation import DistillationMethods
from kagglekit.project.notebooks import NotebookMethods
from kagglekit.project.report import ReportMethods
from kagglekit.project.results import SubmissionResult
from kagglekit.project.runs import RunMethods
from kagglekit.project.training import TrainingMethods

if TYPE_CHECKING:
    from kagglekit.runs.store import Run

MODELS = ("tcresnet", "gru", "lstm", "convs2s")
"""What `run` trains: the quickest first, so that a short limit still ends with one."""


class Project(DataMethods, TrainingMethods, RunMethods, DistillationMethods, NotebookMethods, ReportMethods):
    """Give access to a competition and its workspace. Arguments are as for `kagglekit.open`."""

    def __repr__(self) -> str:
        return f"<kagglekit project {self.config.competition.slug} in {self.workspace.root}>"

    def run(
        self,
        model: Names = (),
        *,
        time_limit: float | None = None,
        trials: int = 0,
        trained: Callable[[list[Run]], None] = lambda runs: None,
        **submit: Any,
    ) -> tuple[list[Run], SubmissionResult]:
        """Fetch, prepare, train several models, blend them and write a submission.

        Args:
            trained: called with the runs before they are blended.
            submit: arguments of `submit`, such as upload.

        Raises:
            KagglekitError: the limit is too short for a single model.
        """
        from kagglekit.hosts.local_grading import check_solution
        from kagglekit.pipeline import Clock, train_models

        self.workspace.check_edition()
        self.workspace.check_writable("workspace", "submissions")
        clock = Clock(time_limit)
        self.fetch(reread=False)
        if submit.get("upload"):  # before anything is trained
            check_solution(self.config)
        runs = train_models(self.workspace, split_names(model) or MODELS, clock, trials=trials)
        trained(runs)
        return runs, self.submit([run.model for run in runs], skip_sent=True, **submit)
