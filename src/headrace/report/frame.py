"""What every page is made of: the frame with its style, figures as they are put in it, provenance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from platform import python_version
from typing import Any

from headrace.printable import printable
from headrace.report.figures import Picture


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A figure as it is put in the page.

    Attributes:
        figure: What is drawn.
        number: Its number in the page.
        wide: The SVG for wide pages and paper.
        narrow: The SVG for telephones.
        files: Format -> the address of its file, relative to the page.
    """

    figure: Picture
    number: int
    wide: str
    narrow: str
    files: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Live:
    """What a page says of a run that is under way.

    Attributes:
        state: How far it is, in words.
        seconds: After how many seconds a browser reads the page again.
    """

    state: str
    seconds: int


_PACKAGES = ("headrace", "torch", "numpy", "scipy", "polars", "matplotlib")


def versions() -> dict[str, str]:
    """Package -> its version on this machine."""
    found = {"Python": python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """What is needed to run it again.

    Attributes:
        experiment: The text of the experiment or search file, None if there is none.
        seed: The experiment's seed, None where it is not known.
        facts: Facts of the workload, name -> words.
        versions: Package -> version, of the machine that writes the report.
    """

    experiment: str | None
    seed: int | None = None
    facts: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=versions)


def render(template: str, **values: Any) -> str:
    """A template filled in, every text escaped, and without characters that a page obeys or cannot hold."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    def shown(value: object) -> object:
        return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value

    environment = Environment(
        loader=PackageLoader("headrace.report"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(**values)


def lead(sentence: str) -> tuple[str, str]:
    """A conclusion as its lead (`SGD: `, up to the first colon where that is short) and the rest."""
    head, colon, rest = sentence.partition(": ")
    return (f"{head}: ", rest) if colon and len(head) <= 60 else ("", sentence)
