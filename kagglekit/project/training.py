"""Training: every fold of a model, a search for its hyperparameters, and the shipped recipes."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from kagglekit.errors import ConfigError, MissingError
from kagglekit.project.base import Names, ProjectBase, split_names

if TYPE_CHECKING:
    from kagglekit.data.prepare import Prepared
    from kagglekit.models.catalog import CatalogRow
    from kagglekit.recipes import Recipe
    from kagglekit.runs.store import Run
    from kagglekit.search.results import StudySummary
    from kagglekit.training.plan import Plan


DEFAULT_CLASSES = 12  # as in TensorFlow Speech Recognition: what models() counts with, without a competition


class Tuned(NamedTuple):
    """A search and the run that was trained with its best parameters."""

    model: str
    study: StudySummary
    run: Run | None
    """None where `train` was off."""


class TrainingMethods(ProjectBase):
    """The part of `Project` that trains."""

    def recipes(self) -> list[Recipe]:
        """List the shipped recipes."""
        from kagglekit import recipes

        return [recipes.load(name) for name in recipes.names()]

    def models(self) -> list[CatalogRow]:
        """List the architectures: input, parameters, source, and which weights they need.

        Parameters are counted for the competition, or for default settings and 12 classes without one.
        """
        from kagglekit.config.load import DEFAULT_NAME
        from kagglekit.models.catalog import catalog

        if self.path is None and not self.settings and not Path(DEFAULT_NAME).is_file():
            return catalog({}, DEFAULT_CLASSES)
        return catalog(self.config.models, len(self.classes))

    def train(
        self,
        model: Names = (),
        *,
        recipe: Names = (),
        tuned: bool = False,
        seeds: int = 1,
        processes: int | None = None,
        only: Names = (),
    ) -> list[Run]:
        """Train every fold, score it on clips it has not seen, and predict the test clips.

        Returns:
            The runs: all seeds of the first model, of the second ...

        Raises:
            ConfigError: an argument is invalid.
        """
        from kagglekit.runs.train import train_run

        if seeds < 1:
            raise ConfigError(f"--seeds {seeds}: must be at least 1", hint="for example --seeds 3")
        self.workspace.check_writable("workspace")
        project = self.with_settings(
            *([f"train.only={json.dumps(split_names(only))}"] if only else []),
            *([f"processes={processes}"] if processes is not None else []),
        )
        runs = []
        for prepared, plan, source in project._plans(split_names(model), split_names(recipe), tuned):
            for number in range(seeds):
                train = plan.train.model_copy(update={"seed": plan.train.seed + number})
                runs.append(train_run(prepared, replace(plan, train=train), source=source))
        return runs

    def _plans(
        self, models: list[str], recipe_names: list[str], tuned: bool
    ) -> Iterator[tuple[Prepared, Plan, str]]:
        """Resolve what to train, so that a wrong name fails before work begins.

        Returns:
            (prepared data under the plan's settings, the plan, where its settings come from), one by one.
        """
        from kagglekit import recipes
        from kagglekit.search.results import best_plan
        from kagglekit.training.plan import resolve

        if tuned and recipe_names:
            raise ConfigError("--tuned and --recipe both choose the settings", hint="leave one of them out")
        chosen = [(self, resolve(self.config, model), "recipe") for model in models]
        for recipe in map(recipes.load, recipe_names):
            project = type(self)(self.path, *self.settings)
            project.config = recipes.configure(self.path, recipe, self.settings)
            chosen.append((project, resolve(project.config, recipe.model), recipe.source))
        if tuned:
            return iter([best_plan(self.prepared, plan.model) for _, plan, _ in chosen])
        return ((project.prepared, plan, source) for project, plan, source in chosen)

    def tune(
        self,
        model: Names,
        *,
        trials: int | None = None,
        time_limit: float | None = None,
        until_stagnation: int | bool | None = None,
        train: bool = True,
        jobs: int = 1,
        storage: str | None = None,
        cluster: str | None = None,
        objectives: Names = (),
        from_: Names = (),
    ) -> list[Tuned]:
        """Search each architecture's hyperparameters, then train the best; an earlier search continues.

        `from_` is the option --from. until_stagnation=True means 15 trials.

        Raises:
            ConfigError: an argument is invalid.
            MissingError: no trial has finished.
        """
        from kagglekit.search.limits import STAGNATION
        from kagglekit.training.plan import resolve

        deadline = None if time_limit is None else time.monotonic() + time_limit
        _check_search(trials, until_stagnation, jobs, cluster)
        self.workspace.check_writable("workspace")
        project = self.with_settings(
            *([f"search.storage={json.dumps(storage)}"] if storage is not None else []),
            *([f"search.objectives={json.dumps(split_names(objectives))}"] if objectives else []),
        )
        models = split_names(model)
        for name in models:
            resolve(project.config, name)  # a wrong name fails before work begins
        search = {
            "trials": trials,
            "deadline": deadline,
            "stagnation": STAGNATION if until_stagnation is True else until_stagnation,
            "jobs": jobs,
            "cluster": cluster,
            "sources": split_names(from_),
        }
        return [project._tune(name, train, search) for name in models]

    def _tune(self, model: str, train: bool, search: dict[str, Any]) -> Tuned:
        from kagglekit.runs.train import train_run
        from kagglekit.search.results import best_plan
        from kagglekit.search.tune import tune

        study = tune(self.prepared, model, **search)
        if study.best is None:
            raise MissingError(
                f"no trial of {model} has finished: {study.trials} trials, {study.failed} failed",
                hint="give it more time or trials; the notes above say why trials failed",
            )
        if not train:
            return Tuned(model, study, None)
        prepared, plan, source = best_plan(self.prepared, model)
        return Tuned(model, study, train_run(prepared, plan, source=source))

    def best_settings(self, model: Names) -> list[tuple[dict[str, Any], str]]:
        """Return the best settings of each architecture's study, nested as in competition.yaml and as YAML.

        Raises:
            MissingError: no trial has finished.
        """
        from kagglekit.search.results import best_settings

        return [best_settings(self.prepared, name) for name in split_names(model)]

    def study_plots(self, model: Names, out: str | Path = "study.html") -> list[str]:
        """Write Optuna's plots of each architecture's study to an HTML file; return the plots' names."""
        from kagglekit.search.plots import write_plots

        return write_plots(self.prepared, split_names(model), Path(out))

    def study_dashboard(self, model: str) -> None:
        """Serve optuna-dashboard for an architecture's study on this machine, until Ctrl-C."""
        from kagglekit.search.plots import serve_dashboard

        serve_dashboard(self.prepared, model)

    def reproduce(
        self, recipe: Names = (), *, epochs: int | None = None, time_limit: float | None = None
    ) -> list[dict[str, Any]]:
        """Train recipes one after the other, and return a row for each, also for a failure."""
        from kagglekit.recipes.reproduce import reproduce

        self.workspace.check_edition()
        return reproduce(self.path, self.settings, split_names(recipe), epochs, time_limit)


def _check_search(
    trials: int | None, until_stagnation: int | bool | None, jobs: int, cluster: str | None
) -> None:
    """Raise a ConfigError for numbers below 1, and for --jobs together with --cluster."""
    if trials is not None and trials < 1:
        raise ConfigError(f"--trials {trials}: must be at least 1", hint="for example --trials 20")
    if until_stagnation is not None and until_stagnation < 1:
        raise ConfigError(
            f"--until-stagnation {until_stagnation}: must be at least 1", hint="or leave the number out"
        )
    if jobs != 1:
        if cluster is not None:
            raise ConfigError("--jobs and --cluster both say where to train", hint="leave one of them out")
        from kagglekit.search.jobs import check_jobs

        check_jobs(jobs)
