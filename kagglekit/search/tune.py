"""Search an architecture's hyperparameters in one process, in several, or on a Ray cluster."""

from collections.abc import Sequence

from kagglekit.data.prepare import Prepared
from kagglekit.search.claim import retry_interrupted
from kagglekit.search.jobs import search_in_processes
from kagglekit.search.limits import SearchLimits
from kagglekit.search.progress import TrialRows
from kagglekit.search.results import StudySummary, summarize
from kagglekit.search.storage import is_storage_error, storage_error
from kagglekit.search.study import open_study
from kagglekit.search.warm_start import enqueue_first
from kagglekit.search.worker import run_trials
from kagglekit.terminal import progress
from kagglekit.training.plan import resolve


def tune(
    prepared: Prepared,
    model: str,
    *,
    trials: int | None = None,
    deadline: float | None = None,
    stagnation: int | None = None,
    jobs: int = 1,
    cluster: str | None = None,
    sources: Sequence[str] = (),
) -> StudySummary:
    """Search until the study has enough trials, the deadline passes, or scores stop improving.

    The recipe is the first trial, so a search never ends below it. After a kill or the deadline, the next
    call tries the interrupted trial's parameters again, from its last complete epoch. Several processes can
    search the same study at once.

    Args:
        prepared: the competition; `config.search` sets trials, epochs and folds.
        trials: total trials, earlier calls included; by default search.trials, or no limit with `stagnation`.
        deadline: time.monotonic() after which no epoch begins.
        stagnation: stop after this many trials without progress.
        jobs: processes on this machine, each with its share of the cores.
        cluster: address of the Ray cluster that trains the folds; None trains them here.
        sources: studies or architectures whose best trials are tried after the recipe.

    Raises:
        ConfigError: the model is not trained, or its search space contradicts it.
        KagglekitError: the storage cannot be opened, or failed.
    """
    config, plan = prepared.config, resolve(prepared.config, model)
    limits = SearchLimits(trials if trials or stagnation else config.search.trials, deadline, stagnation)
    with open_study(prepared, plan) as handle:
        try:
            with handle.locks.hold(handle.study.study_name):
                retry_interrupted(handle)
                enqueue_first(handle, sources)
            with progress.bar(f"tune {plan.model}", limits.trials, "trials") as advance:
                show = TrialRows(handle, limits, advance).show
                if cluster is not None:
                    from kagglekit.search.cluster import search_on_cluster

                    search_on_cluster(handle, limits, cluster, show)
                elif jobs > 1:
                    search_in_processes(handle, limits, jobs, show)
                else:
                    run_trials(handle, limits, show)
        except Exception as error:
            if not is_storage_error(error):
                raise
            raise storage_error(error, "search.storage" if config.search.storage else model) from error
        return summarize(handle)
