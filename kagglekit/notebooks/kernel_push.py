"""Save a built notebook on the host, wait for its run, and fetch what that has written.

Each step looks on the host for what an earlier call may have done, does the rest, and is kept in
`state.Progress`.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from kagglekit.errors import HostError, SubmissionError, listed
from kagglekit.hosts.notebooks import NotebookService, SavedKernel, Session
from kagglekit.notebooks.failures import NO_FILE, Failure, failure_of, last_lines, text_of_log
from kagglekit.notebooks.folder import Built, sha256_of
from kagglekit.notebooks.source import kernel_spec, marks_in
from kagglekit.notebooks.state import Progress
from kagglekit.notebooks.waiting import AGAIN, Patience
from kagglekit.submission.send import may_have_arrived
from kagglekit.terminal import console, progress

QUEUE_S = 6 * 3600.0
"""How long a notebook may wait for a machine, in seconds, beside the time that it may run."""


@dataclass(frozen=True)
class KernelPush:
    """Pushes the notebook of one built folder, whose data set is ready."""

    built: Built
    service: NotebookService
    progress: Progress
    patience: Patience
    minutes: float
    """That the host lets a notebook run."""

    def push(self) -> None:
        """Save the notebook on the host, which runs it.

        Raises:
            HostError: the host refused (quota, sessions, title), or does not show whether it was saved.
        """
        steps = self.progress.steps
        if steps.kernel_version is not None:
            return
        spec = kernel_spec(self.built, steps.account, steps.kernel_mark)
        saved, reason = self.service.kernel(spec.slug), ""
        if not self._is_ours(saved):
            if steps.kernel_after is None:
                self.progress.set(kernel_after=0 if saved is None else saved.version)
            try:
                saved = self.service.save_kernel(spec)
            except HostError as error:
                if not may_have_arrived(error):
                    raise
                console.note(f"no reply from the host; checking whether it saved the notebook {spec.slug}")
                reason = f": {error}"
                saved = self.patience.found(lambda: self._if_ours(self.service.kernel(spec.slug)))
        if saved is None:
            raise HostError(
                f"cannot tell whether the host saved the notebook {spec.slug}{reason}",
                hint=f"{AGAIN}: it looks there first",
            )
        if saved.left_out:  # it runs, but to no end: the next push is another one
            self.progress.save(self.progress.steps.again())
            raise HostError(
                f"the host does not know {listed(saved.left_out)}: the notebook would run without",
                hint="check the names, and that your account may use them; then run the same command again",
            )
        self.progress.set(kernel=saved.slug, kernel_version=saved.version)

    def _is_ours(self, saved: SavedKernel | None) -> bool:
        """Tell whether the host's version is of this push: by its mark, or its number without a source."""
        after = self.progress.steps.kernel_after
        if saved is None:
            return False
        if saved.source:
            return self.progress.steps.kernel_mark in saved.source
        return after is not None and saved.version > after

    def _if_ours(self, saved: SavedKernel | None) -> SavedKernel | None:
        return saved if self._is_ours(saved) else None

    def run(self) -> None:
        """Wait until the notebook has run, and read its log.

        Raises:
            SubmissionError: it failed; the words say why.
            HostError: it has neither ended nor begun in the time that it may take.
        """
        steps = self.progress.steps
        if steps.output:
            return
        if steps.failure:
            raise self._failed(Failure(steps.failure, steps.remedy))
        assert steps.kernel_version is not None
        what = f"{steps.kernel} version {steps.kernel_version}"

        def look(show: object) -> tuple[Session, str] | None:
            assert steps.kernel_version is not None
            session = self.service.session(steps.kernel, steps.kernel_version)
            if callable(show):
                show(session.status.lower())
            if not session.ended:
                return None
            log = text_of_log(self.service.log(steps.kernel, steps.kernel_version))
            # a host that passes over the version tells how another one has run
            is_other = marks_in(log) or (log and session.status == "COMPLETE")
            return None if is_other and steps.kernel_mark not in log else (session, log)

        ended = self.patience.until(what, look, self.minutes * 60 + QUEUE_S)
        if ended is None:
            raise HostError(f"{what} has not ended yet", hint=f"look at it on the host's pages; {AGAIN}")
        session, log = ended
        self.progress.log_path.write_text(log, encoding="utf-8")
        if session.status == "COMPLETE":
            return
        message = session.message or ("cancelled" if session.status == "CANCELLED" else "")
        failure = failure_of(message, log)
        self.progress.set(failure=failure.words, remedy=failure.remedy)
        raise self._failed(failure)

    def fetch_output(self) -> Path:
        """Fetch the file that the notebook has written, into an empty folder.

        Raises:
            SubmissionError: it has written none of that name.
        """
        steps, name = self.progress.steps, self.built.record.output
        path = self.progress.output_folder / name
        if steps.output and path.is_file() and sha256_of(path) == steps.output:
            return path
        assert steps.kernel_version is not None
        kernel, version = steps.kernel, steps.kernel_version
        names = self.service.output_names(kernel, version)
        if name not in names:  # a list may come late
            seen = self.patience.found(lambda: name in self.service.output_names(kernel, version) or None)
            names = names if seen is None else [name]
        if name not in names:
            others = f", but {listed(sorted(names))}" if names else ""
            failure = Failure(f"it ended without {name}{others}", NO_FILE.remedy)
            self.progress.set(failure=failure.words, remedy=failure.remedy)
            raise self._failed(failure)
        shutil.rmtree(self.progress.output_folder, ignore_errors=True)
        with progress.bar(f"fetching {name}", None, "B") as advance:
            path = self.service.fetch_output(kernel, version, name, self.progress.output_folder, advance)
        self.progress.set(output=sha256_of(path))
        return path

    def _failed(self, failure: Failure) -> SubmissionError:
        """Show the last lines of the log, and return the error."""
        steps = self.progress.steps
        path = self.progress.log_path
        log = path.read_text(encoding="utf-8") if path.is_file() else ""
        for line in last_lines(log):
            console.note(f"  | {line}")
        where = f"; the log is in {path}" if log else ""
        remedy = failure.remedy + ("" if "--force" in failure.remedy else "; --force pushes the same again")
        return SubmissionError(
            f"the notebook {steps.kernel} version {steps.kernel_version} failed: {failure.words}",
            hint=f"{remedy}{where}",
        )
