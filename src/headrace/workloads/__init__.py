"""What is trained: the built-in workloads, and the door for a user's own.

Names are imported on first use: `headrace.workloads.registry` and `.locations` need no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from headrace.lazy import names_of

if TYPE_CHECKING:
    from headrace.workloads._base import Workload as Workload
    from headrace.workloads.build import Pixels as Pixels
    from headrace.workloads.build import classification as classification
    from headrace.workloads.build import from_folder as from_folder
    from headrace.workloads.build import from_hugging_face as from_hugging_face
    from headrace.workloads.build import from_tensors as from_tensors
    from headrace.workloads.labelled import Labelled as Labelled
    from headrace.workloads.labelled import Splits as Splits
    from headrace.workloads.language.arrow import read_text_rows as read_text_rows
    from headrace.workloads.language.arrow import read_token_rows as read_token_rows
    from headrace.workloads.language.binary import read_tokens as read_tokens
    from headrace.workloads.language.build import language_model as language_model
    from headrace.workloads.language.corpus import Corpus as Corpus
    from headrace.workloads.language.megatron import read_megatron as read_megatron
    from headrace.workloads.language.splits import split_corpus as split_corpus
    from headrace.workloads.language.text import read_text as read_text
    from headrace.workloads.language.text import read_texts as read_texts
    from headrace.workloads.language.windows import TokenWindows as TokenWindows
    from headrace.workloads.registry import NAMES as NAMES
    from headrace.workloads.registry import check_spec as check_spec
    from headrace.workloads.registry import load_workload as load_workload

_HOMES: dict[str, str] = {
    "Workload": "._base",
    "Pixels": ".build",
    "classification": ".build",
    "from_folder": ".build",
    "from_hugging_face": ".build",
    "from_tensors": ".build",
    "Labelled": ".labelled",
    "Splits": ".labelled",
    "read_token_rows": ".language.arrow",
    "read_text_rows": ".language.arrow",
    "read_tokens": ".language.binary",
    "language_model": ".language.build",
    "Corpus": ".language.corpus",
    "read_megatron": ".language.megatron",
    "split_corpus": ".language.splits",
    "read_text": ".language.text",
    "read_texts": ".language.text",
    "TokenWindows": ".language.windows",
    "NAMES": ".registry",
    "check_spec": ".registry",
    "load_workload": ".registry",
}
"""Public name -> the module where it lives, or that it is."""

__getattr__ = names_of(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
