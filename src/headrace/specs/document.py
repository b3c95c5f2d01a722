"""What the two files that users write have in common: an experiment and a subset search, both in TOML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import ConfigDict, ValidationError, model_validator

from headrace.errors import DamagedError, InputError, InputErrors
from headrace.records import GrownRecord
from headrace.sealed import read_toml
from headrace.specs import toml
from headrace.specs.findings import input_errors


class Table(GrownRecord):
    """One table of a file: nothing is converted, unknown keys are refused."""

    model_config = ConfigDict(strict=True)


class Document(Table):
    """The outermost table of a file.

    Raises:
        InputErrors: The tables do not go together (from any constructor).
    """

    kind: ClassVar[str]
    """What messages call it if there is no file."""

    def cross_checks(self) -> Sequence[InputError]:
        """What is wrong with tables that are each right by themselves."""
        raise NotImplementedError

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        errors = self.cross_checks()
        if errors:
            raise InputErrors(errors, where=self.kind)
        return self

    @classmethod
    def from_toml(cls, path: str | Path) -> Self:
        """Read and check a file.

        Args:
            path: The file.

        Raises:
            InputError: The file cannot be read, or is not TOML.
            InputErrors: Every error of its content at once.
        """
        return cls.from_dict(toml.read(path), where=str(path))

    @classmethod
    def from_stored(cls, path: Path) -> Self:
        """Read the file that Headrace keeps in a folder; older ones have no seal.

        Args:
            path: The file, see `headrace.sealed.write_toml`.

        Raises:
            InputError: There is none.
            DamagedError: It is truncated or was altered, or this version does not accept it.
        """
        if not path.is_file():
            return cls.from_toml(path)
        read_toml(path)
        try:
            return cls.from_toml(path)
        except InputErrors as errors:
            first = errors.errors[0]
            found = f"{first.where}: {first.what}" if first.where else first.what
        except InputError as error:
            found = error.what
        raise DamagedError(
            f"is truncated, was altered, or is of another version of Headrace ({found})",
            where=str(path),
            fix="Put back what Headrace wrote, or choose another folder.",
        )

    @classmethod
    def from_dict(cls, content: Mapping[str, Any], *, where: str | None = None) -> Self:
        """Check nested dictionaries, as they are in the file.

        Args:
            content: The tables.
            where: What to call the source in error messages.

        Raises:
            InputErrors: Every error at once.
        """
        try:
            return cls.model_validate(dict(content))
        except ValidationError as error:
            raise InputErrors(input_errors(error, cls), where=where or cls.kind) from None
        except InputErrors as error:
            raise InputErrors(error.errors, where=where or cls.kind) from None

    def to_toml(self) -> str:
        """The canonical text: every key with its value, defaults included, in a fixed order."""
        return toml.dumps(self.model_dump(exclude_none=True))
