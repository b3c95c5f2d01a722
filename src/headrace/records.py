"""Frozen records, and what is wrong with one in words. How they are kept: `headrace.sealed`."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, ValidationError, model_serializer


class Record(BaseModel):
    """A frozen record; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class GrownRecord(Record):
    """A record that has got keys since such records were first stored.

    Attributes:
        later: Those keys. They are left out at their defaults, so that what does not use them is as before.
    """

    later: ClassVar[frozenset[str]] = frozenset()

    @model_serializer(mode="wrap")
    def _without_later_defaults(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        content: dict[str, Any] = dump(self)
        fields = type(self).model_fields
        unused = {
            name
            for name in self.later
            if getattr(self, name) == fields[name].get_default(call_default_factory=True)
        }
        return {name: value for name, value in content.items() if name not in unused}


class Finding(NamedTuple):
    """What is wrong with a record; as a text, its key and the message.

    Attributes:
        key: The key at fault, with those that lead to it; empty for the whole.
        message: What is wrong there.
        got: The value there.
    """

    key: str
    message: str
    got: Any

    def __str__(self) -> str:
        return f"{self.key}: {self.message}" if self.key else self.message


def first_finding(error: ValidationError) -> Finding:
    """The first thing that is wrong with a file that a program wrote; a user's file gets all of them.

    See `headrace.specs.findings` for those.
    """
    first = error.errors(include_url=False)[0]
    return Finding(".".join(map(str, first["loc"])), first["msg"], first["input"])
