"""Which of the host's files competition.yaml needs: their names and patterns, for `fetch`."""

from kagglekit.config import Config, Recordings


def host_files(config: Config) -> list[str]:
    """Return the paths that the host, or another Kaggle data set, offers: recordings, tables and the sample.

    What lies in a folder of one's own (`external`) is left out.
    """
    data, labels = config.data, config.labels
    paths: list[str | None] = []
    for part in (*data.train, data.test):
        if getattr(part, "external", None) is None:
            paths += paths_of(part)
    paths += [
        *data.unlabelled,
        data.noise,
        data.validation_list,
        data.testing_list,
        data.sample,
        config.rows.table,
    ]
    lists = (labels.classes, labels.auxiliary, labels.names)
    paths += [getattr(one, "table", None) for one in lists]
    return list(dict.fromkeys(path for path in paths if path is not None))


def paths_of(part: Recordings) -> list[str]:
    """Return the paths that a set of recordings names: its files and its tables."""
    paths = (part.files, part.table, part.by_way_of.table if part.by_way_of else None)
    return [path for path in paths if path is not None]
