"""What a study is: one dataset configuration and one optimizer, its name and its folder."""

from __future__ import annotations

from urllib.parse import quote

from pydantic import Field

from headrace.records import Record

Hyperparameters = dict[str, bool | float | int | str]
"""Name -> value, for example `{"learning_rate": 0.1, "policy.beta": 1.5}`; a policy's have the prefix."""


FULL = "full"
"""The subset that is the whole training set."""


class Configuration(Record):
    """A dataset configuration: what a run is fed."""

    subset: str = FULL
    policy: str = "shuffle"
    batch_size: int = Field(ge=1)
    workers: int = Field(default=1, ge=1)


class StudyKey(Record):
    """One hyperparameter search: one dataset configuration and one optimizer."""

    optimizer: str
    configuration: Configuration

    @property
    def name(self) -> str:
        """The study's name and its folder; defaults are left out."""
        c = self.configuration
        parts = [self.optimizer, f"batch_size={c.batch_size}"]
        parts += [f"policy={c.policy}"] if c.policy != "shuffle" else []
        parts += [f"subset={c.subset}"] if c.subset != FULL else []
        parts += [f"workers={c.workers}"] if c.workers != 1 else []
        return ",".join(parts)

    @property
    def stream(self) -> str:
        """The name of the random streams: that of the same study with one worker.

        So any number of workers has the same hyperparameters, initialisation and batches.
        """
        return self.model_copy(
            update={"configuration": self.configuration.model_copy(update={"workers": 1})}
        ).name


LONGEST_NAME = 255
"""Bytes of a folder's name, on the file systems that people have."""


def folder_name(study: str) -> str:
    """A study's name as it can be a folder's."""
    return quote(study, safe=",=@+ ", errors="surrogatepass")
