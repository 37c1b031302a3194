"""Check the host, this machine and the workspace before work begins; each finding names its remedy."""

import platform
import shutil
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Literal, NamedTuple

from kagglekit.config import Config
from kagglekit.config.load import load_config
from kagglekit.errors import ConfigError, KagglekitError, plural
from kagglekit.files.faults import MachineError
from kagglekit.files.passed_over import passed_over
from kagglekit.files.patterns import parse
from kagglekit.files.places import mounted
from kagglekit.files.resolve import is_there, list_files
from kagglekit.files.wanted import host_files
from kagglekit.files.workspace import FOLDERS, Workspace
from kagglekit.hosts import open_host
from kagglekit.hosts.base import Details, Host, HostFile
from kagglekit.hosts.local_grading import check_solution
from kagglekit.hosts.plan import choose, optional
from kagglekit.submission.ledger import Ledger

NO_CREDENTIAL = "none found"
Verdict = Literal["ok", "warn", "bad"]

PACKAGES = ("kagglekit", "kaggle", "kagglesdk", "torch", "polars", "optuna", "transformers")
# Disk space for archives, decoded audio (2 x) and log-mels (1 x). In the 2017 challenge, 3.6 GB of 7z hold
# 223,000 clips of 32 kB, and the log-mels of a clip take 16 kB.
DISK_PER_ARCHIVE = 4


class Check(NamedTuple):
    """A finding: its verdict, its text, and how to mend it."""

    name: str
    verdict: Verdict
    what: str
    remedy: str = ""


def examine(
    path: Path | None = None, overrides: Sequence[str] = (), *, deep: bool = False
) -> Iterator[Check]:
    """Run every check, in the order in which the stages need their subjects.

    Args:
        path, overrides: as for load_config.
        deep: also read every file of the workspace and compare it with its checksum, and decode the
            recordings whose lengths were taken from their headers.
    """
    config = None
    try:
        config = load_config(path, overrides)
        competition = config.competition
        yield Check("config", "ok", f"{competition.slug} on the host '{competition.host}'")
    except ConfigError as error:
        yield _failed("config", error)
    can_sign_in = True
    if config is None or config.competition.host == "kaggle":
        sign_in = _credential()
        can_sign_in = sign_in.verdict == "ok"
        yield (config and _not_needed(config, sign_in)) or sign_in
    if config is not None:
        if can_sign_in:
            yield from _host(config)
        else:
            yield _disk(config, [])
        yield _folders(config)
        yield _try("workspace", lambda: _workspace(config))
        if config.competition.host == "local":
            yield _try("solution", lambda: Check("solution", "ok", check_solution(config)))
        yield _try("recordings", lambda: _recordings(Workspace(config)))
        if deep:
            yield from _files_of_workspace(Workspace(config))
            yield _try("lengths", lambda: _lengths(Workspace(config)))
    yield _versions()
    yield _device()


def _failed(name: str, error: KagglekitError) -> Check:
    return Check(name, "bad", str(error), error.hint or "")


def _try(name: str, check: Callable[[], Check]) -> Check:
    """Return the check's finding, or its failure as a finding."""
    try:
        return check()
    except KagglekitError as error:
        return _failed(name, error)


# --- the host ---


def _credential() -> Check:
    from kagglekit.hosts.credentials import NOWHERE, broken, credential, home_folder
    from kagglekit.hosts.replies import NO_HOME, NO_HOME_HINT, SIGN_IN_HINT

    login = credential()
    if login is None and (fault := broken()):
        return Check("credential", "bad", *fault)
    if login is None and home_folder() == NOWHERE:
        return Check("credential", "bad", NO_HOME, NO_HOME_HINT)
    if login is None:
        return Check("credential", "bad", NO_CREDENTIAL, SIGN_IN_HINT)
    return Check("credential", "ok", f"{login.kind} in {login.where}")


def _not_needed(config: Config, sign_in: Check) -> Check | None:
    """Return the finding where a credential is missing, and everything is mounted; else None."""
    workspace = Workspace(config)
    if sign_in.what != NO_CREDENTIAL or not (places := mounted(workspace)):
        return None
    if not all(is_there(workspace, path) for path in set(host_files(config)) - optional(config)):
        return None
    what = f"{NO_CREDENTIAL}, and none needed: the files are mounted in {places[0].path}"
    return Check("credential", "ok", f"{what}; submit --upload needs one")


def _host(config: Config) -> Iterator[Check]:
    """Run the checks that ask the host, with a single try per request, so that the diagnosis is quick."""
    network = config.network.model_copy(update={"tries": 1})
    try:
        host = open_host(config.model_copy(update={"network": network}), config.workspace)
        details = host.details()
    except KagglekitError as error:
        yield _failed("host", error)
        yield _disk(config, [])
        return
    yield Check("host", "ok", f"answers: {details.title}")
    yield _rules(details)
    files: list[HostFile] = []
    try:
        files = choose(Workspace(config), host)
        yield _files(files, host)
    except KagglekitError as error:
        yield _failed("files", error)
    yield _deadline(details)
    yield _metric(config, details)
    yield _try("submissions", lambda: _submissions(config, host, details))
    yield _disk(config, files)


def _rules(details: Details) -> Check:
    if details.entered:
        return Check("rules", "ok", "accepted")
    where = details.rules_url or "the competition's page"
    if details.entered is None:
        return Check("rules", "warn", "the host does not report whether they are accepted", f"see {where}")
    return Check("rules", "bad", "not accepted", f"accept them at {where}")


def _files(wanted: Sequence[HostFile], host: Host) -> Check:
    """Say which files are to be fetched, and how large they are where the host says it."""
    size = sum(file.size or 0 for file in wanted)
    if host.bundle() in wanted:
        return Check("files", "ok", f"all of them, as {wanted[0].name}")
    return Check("files", "ok", f"{len(wanted)}, {size / 1e6:,.1f} MB")


def _deadline(details: Details) -> Check:
    if details.deadline is None:
        return Check("deadline", "ok", "none")
    when = f"{details.deadline.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    left = details.deadline - datetime.now(UTC)
    if left.total_seconds() < 0:
        remedy = "late submissions, if the host accepts them, are scored but not ranked"
        return Check("deadline", "warn", f"{when} has passed", remedy)
    return Check("deadline", "ok", f"{when}, in {left.days} days {left.seconds // 3600} h")


def _metric(config: Config, details: Details) -> Check:
    ours = config.competition.metric
    if details.metric and ours not in details.metric.lower():
        remedy = "do not expect the CV score to be near the public score"
        return Check("metric", "warn", f"the host scores by {details.metric}, CV is {ours}", remedy)
    return Check("metric", "ok", details.metric or f"not reported by the host; CV is {ours}")


def _submissions(config: Config, host: Host, details: Details) -> Check:
    if details.notebooks_only and config.competition.delivery != "notebook":
        remedy = "set competition.delivery to notebook; then submit builds one, and submits it"
        return Check("submissions", "bad", "notebooks only, no CSV", remedy)
    limits = host.limits()
    daily = limits.daily or details.daily_limit
    what = f"{limits.today} sent today" + (f", {daily} allowed a day" if daily else "")
    if limits.allowed_now is not None:
        what += f", {limits.allowed_now} left"
    if limits.allowed_now == 0:
        return Check("submissions", "warn", what, "a new day starts at 00:00 UTC")
    return Check("submissions", "ok", what)


# --- this machine ---


def _disk(config: Config, files: Sequence[HostFile]) -> Check:
    """Compare free space with the space still needed; `files` are those to fetch."""
    root = config.workspace
    folder = next(p for p in (root, *root.absolute().parents) if p.exists())
    free = shutil.disk_usage(folder).free
    used = sum(p.stat().st_size for p in root.rglob("*") if p.is_file())
    archives = sum(file.size or 0 for file in files)
    needed = DISK_PER_ARCHIVE * archives - used
    what = f"{free / 1e9:,.1f} GB free in {folder}"
    if unknown := [file.name for file in files if file.size is None]:
        what = f"{what}; the host does not say how large {unknown[0]} is"
    if free >= needed:
        return Check("disk", "ok", what)
    remedy = "free some space, or set `workspace:` in competition.yaml to a folder on another disk"
    verdict: Verdict = "bad" if free < archives - used else "warn"
    return Check("disk", verdict, f"{what}, about {needed / 1e9:,.1f} GB more are needed", remedy)


def _folders(config: Config) -> Check:
    """Tell whether the folders can be written to; what is there can be read all the same."""
    workspace = Workspace(config)
    try:
        workspace.check_writable(*FOLDERS)
    except MachineError as error:
        verdict: Verdict = "warn" if workspace.runs.is_dir() else "bad"
        return Check("folders", verdict, str(error), error.hint or "")
    return Check("folders", "ok", f"{workspace.root} and {workspace.submissions} can be written to")


def _workspace(config: Config) -> Check:
    """Count files, runs and submissions, and warn of an interrupted upload."""
    workspace = Workspace(config)
    workspace.check_edition()
    wanted = {parse(path).first for path in host_files(config)}
    fetched = sum(is_there(workspace, path) for path in wanted)
    runs = plural(len(list(workspace.runs.glob("*/*/metrics.json"))), "run")
    entries = Ledger(workspace.ledger_path).entries()
    prepared = "prepared" if workspace.clips_path.is_file() else "not prepared"
    submissions = plural(len(entries), "submission")
    what = f"{fetched} of {plural(len(wanted), 'file')} fetched, {prepared}, {runs}, {submissions}"
    interrupted = [entry.csv for entry in entries if entry.status == "sending"]
    if interrupted:
        remedy = "kagglekit leaderboard --sync checks whether it arrived"
        return Check("workspace", "warn", f"{what}; the upload of {interrupted[0]} was interrupted", remedy)
    return Check("workspace", "ok", what)


def _recordings(workspace: Workspace) -> Check:
    """Count the audio files of train and test, and those that no pattern matches."""
    data = workspace.config.data
    train = sum(len(list_files(workspace, one.files, one.external, empty_ok=True)) for one in data.train)
    test = len(list_files(workspace, data.test.files, empty_ok=True))
    if not train and not test:
        return Check("recordings", "ok", "not fetched yet")
    left = passed_over(workspace)
    what = f"{train:,} train, {test:,} test; {'; '.join(left.describe())}"
    if left.unmatched:
        return Check("recordings", "warn", what, "check data.train.files and data.test.files")
    return Check("recordings", "ok", what)


def _lengths(workspace: Workspace) -> Check:
    """Compare the headers of the recordings that are kept as files with what they decode to."""
    from kagglekit.data.proven import prove

    keys = workspace.clips_facts().get("keys", {})
    folders = [workspace.audio_folder(split, key) for split, key in keys.items() if split != "silence"]
    proof = prove(workspace, [folder for folder in folders if folder.is_dir()])
    if proof.differing:
        return Check("lengths", "warn", proof.describe(), "kagglekit prepare, which decodes them from now on")
    return Check("lengths", "ok", proof.describe())


def _files_of_workspace(workspace: Workspace) -> Iterator[Check]:
    """Read every file; return a finding for each damaged one, or one for all."""
    from kagglekit.doctor.files import check_files

    checked = check_files(workspace)
    for damage in checked.damages:
        yield Check("file", "bad", f"{damage.path}: {damage.what}", damage.remedy)
    for damage in checked.edited:
        yield Check("file", "warn", f"{damage.path}: {damage.what}", damage.remedy)
    what = f"{plural(checked.number, 'file')}, {checked.size / 1e6:,.1f} MB, {len(checked.damages):,} damaged"
    if checked.without:
        what += f"; {checked.without:,} have no checksum"
    yield Check("bytes", "ok" if not checked.damages else "bad", what)


def _versions() -> Check:
    present, missing = [f"Python {platform.python_version()}"], []
    for name in PACKAGES:
        try:
            present.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        what = f"{', '.join(present)}; missing: {', '.join(missing)}"
        return Check("versions", "bad", what, f"pip install {' '.join(missing)}")
    return Check("versions", "ok", ", ".join(present))


def _device() -> Check:
    try:
        import torch
    except ImportError as error:
        return Check("device", "bad", f"torch does not start: {error}", "pip install torch")
    if torch.cuda.is_available():
        memory = torch.cuda.get_device_properties(0).total_memory
        return Check("device", "ok", f"{torch.cuda.get_device_name(0)}, {memory / 1e9:.0f} GB")
    return Check("device", "ok", f"CPU, {torch.get_num_threads()} threads")
