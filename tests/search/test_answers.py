"""Answers files as people and their tools really leave them: what they say, or refused by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.errors import InputError, InputErrors
from headrace.search.lookup import Lookup, hard_to_find, plain
from headrace.search.oracle import Book, ask, check_names, mark_of, take_answers

CLASSES = ("7", "1", "10")
BOOK = Book(classes=CLASSES, asked=(3, 5, 8, 120), labels={8: 1})


def written(tmp_path: Path, name: str, content: str | bytes) -> Path:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def result(control: str, *choices: str, kind: str = "choices") -> dict[str, Any]:
    return {"from_name": control, "to_name": "image", "type": kind, "value": {kind: list(choices)}}


def task(index: Any, *annotations: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    return {
        "id": 1,
        "data": {"index": index},
        "annotations": [{"was_cancelled": False, "result": results} for results in annotations],
    } | more


def taken(tmp_path: Path, content: Any, name: str = "a.json", book: Book = BOOK) -> dict[Any, int]:
    text = content if isinstance(content, str | bytes) else json.dumps(content)
    return dict(take_answers(book, written(tmp_path, name, text), book.classes).labels)


def refused(tmp_path: Path, content: Any, what: str, name: str = "a.json", book: Book = BOOK) -> None:
    with pytest.raises(InputError, match=what):
        taken(tmp_path, content, name, book)


def test_only_the_control_that_is_named_label_counts(tmp_path: Path) -> None:
    side = [result("sure", "1"), result("label", "7"), result("note", "x", kind="text")]
    assert taken(tmp_path, [task(3, side), task(5, [result("sure", "1")])]) == {3: 0, 8: 1}
    refused(
        tmp_path,
        [task(3, [result("sure", "1")]), task(5, [result("mood", "10")])],
        "no answer of the control 'label'; got 'answers of mood, sure'",
    )
    for kind in ("labels", "rating", "taxonomy"):
        refused(tmp_path, [task(3, [result("label", "1", kind=kind)])], f"not one of choices; got '{kind}'")


def test_predictions_drafts_and_cancelled_annotations_say_nothing(tmp_path: Path) -> None:
    silent = task(3, [], predictions=[{"result": [result("label", "1")]}], drafts=[[result("label", "1")]])
    cancelled = task(5, [result("label", "1")])
    cancelled["annotations"][0]["was_cancelled"] = True
    assert taken(tmp_path, [silent, cancelled]) == {8: 1}


@pytest.mark.parametrize(
    ("reviews", "counts"),
    [
        ([], True),
        ([{"accepted": True}], True),
        ([{"accepted": False}], False),
        ([{"accepted": False}, {"accepted": True}], True),
        ([{"accepted": True}, {"accepted": False, "comment": "blurred"}], False),
        ([{"comment": "hm"}], True),
    ],
)
def test_an_annotation_that_a_review_rejected_says_nothing(
    tmp_path: Path, reviews: Any, counts: bool
) -> None:
    reviewed = task(3, [result("label", "10")])
    reviewed["annotations"][0]["reviews"] = reviews
    assert taken(tmp_path, [reviewed]) == ({3: 2, 8: 1} if counts else {8: 1})
    reviewed["annotations"].append({"result": [result("label", "7")]})
    if counts:
        refused(tmp_path, [reviewed], "several labels")
    else:
        assert taken(tmp_path, [reviewed]) == {3: 0, 8: 1}


def test_reviews_of_another_form_are_refused(tmp_path: Path) -> None:
    for reviews in ("accepted", {"accepted": True}, [False]):
        reviewed = task(3, [result("label", "10")])
        reviewed["annotations"][0]["reviews"] = reviews
        refused(tmp_path, [reviewed], "not as Label Studio exports them")


def test_annotators_who_agree_are_one_and_others_are_refused(tmp_path: Path) -> None:
    assert taken(tmp_path, [task(3, [result("label", "10")], [result("label", "10")])]) == {3: 2, 8: 1}
    several = r"several labels for example 3; got \['1', '7'\]"
    refused(tmp_path, [task(3, [result("label", "7")], [result("label", "1")])], several)
    refused(tmp_path, [{"index": 3, "label": {"choices": ["7", "1"]}}], several)
    refused(tmp_path, "index,label,choice\n3,7,1\n", several, "a.csv")


@pytest.mark.parametrize(
    "content",
    [
        "index,label\n3,7\n5,10\n",
        "index;label\r\n3;7\r\n5;10\r\n",
        "\ufeffindex\tlabel\r3\t7\r5\t10\r",
        'label,note,index\n7.0,,3.0\n 10 ,"a, b", 5 \n',
        "index,label\n3,7\n5,10\n120,\n",
        "index,label\n3,7\n5,10\n3,7\n8,1\n",
        "index,label\n03,7\n5,1e1\n".replace("1e1", "10.00"),
        "index,label,choice\n3,,7\n5,10,\n",
        "index,label\n3,7\n5,10\n".encode("utf-16"),
    ],
)
def test_tables_that_people_have(tmp_path: Path, content: str | bytes) -> None:
    assert taken(tmp_path, content, "a.csv") == {3: 0, 5: 2, 8: 1}


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ('index,label,note\n3,7,"hm\n5,10,\n', "line 2: a quote is opened and never closed"),
        ("index,label,label\n3,7,1\n", "the column 'label' is named twice"),
        ("index,index,label\n3,5,7\n", "the column 'index' is named twice"),
        (
            "index,label\n3,7\n3,1\n",
            "line 3: example 3 was labelled '7' before; got '1'. Line 2 says otherwise",
        ),
        ("index,label\n3,0\n", "unknown class; got '0'. The classes are 7, 1, 10"),
        ("index,label\n1_20,7\n", "no example's index; got '1_20'"),
        ("index,label\n1.2E+02,7\n", "no example's index"),
        ("index,label\n３,7\n", "no example's index"),
        ("index,label\n3,７\n", "unknown class"),
    ],
)
def test_tables_that_are_not_certain(tmp_path: Path, content: str, what: str) -> None:
    refused(tmp_path, content, what, "a.csv")


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ('[{"index": 3, "label": "7", "label": "1"}]', "the key 'label' is in one object twice"),
        ('{"index": 3, "index": 5, "label": "1"}', "the key 'index' is in one object twice"),
        ([{"index": 3, "label": True}], "unknown class; got True"),
        ([{"index": 3, "label": 0}], "unknown class; got 0"),
        ([task(3, [result("label", "7", "1")])], "several labels"),
        ([{"data": {"index": 3}, "annotations": [7]}], "not as Label Studio exports them"),
        ([task([3], [result("label", "7")])], "no example's index"),
    ],
)
def test_json_that_is_not_certain(tmp_path: Path, content: Any, what: str) -> None:
    refused(tmp_path, content, what)


def test_a_class_is_meant_by_its_name_and_not_by_its_place(tmp_path: Path) -> None:
    assert taken(tmp_path, [{"index": 3, "label": 1}, {"index": 5, "label": 10.0}]) == {3: 1, 5: 2, 8: 1}


def test_letters_with_marks_are_one_however_they_are_coded(tmp_path: Path) -> None:
    book = Book(classes=("m\u00fcde", "wach"), asked=("bild/\u00e9.png", "bild/b.png"))
    answers = [
        {"index": "bild/e\u0301.png", "label": " mu\u0308de"},
        {"index": "bild/b.png", "label": "wach"},
    ]
    assert taken(tmp_path, answers, book=book) == {"bild/\u00e9.png": 0, "bild/b.png": 1}


def test_a_line_of_json_lines_ends_at_a_line_feed_only(tmp_path: Path) -> None:
    text = '{"index": 3, "note": "a\u2028b\x85c", "label": "7"}\r\n{"index": 5, "label": "10"}\n'
    assert taken(tmp_path, text, "a.jsonl") == {3: 0, 5: 2, 8: 1}


def test_answers_to_another_search_are_refused_where_they_say_so(tmp_path: Path) -> None:
    other = BOOK.model_copy(update={"checksum": "inputs:other"})
    (tasks, _) = ask(tmp_path, "round-0", [3], None, mark_of(other))
    answers = [row["data"] | {"label": "7"} for row in json.loads(tasks.read_text())]
    refused(tmp_path, answers, "a question of another search, or of other data; got 3")
    assert taken(tmp_path, answers, book=other) == {3: 0, 8: 1}


def test_what_spreadsheets_make_of_ids_and_classes_must_stay_different() -> None:
    check_names(["a/1.png", "007", "8"], ("yes", "no"))
    for names in (["7", "007"], [" a", "b"], ["a\nb", "b"], ["1", "1.0"]):
        assert list(hard_to_find(names))
        with pytest.raises(InputErrors, match="people could not answer"):
            check_names(names, ("yes", "no"))
        with pytest.raises(InputErrors, match="people could not answer"):
            check_names([1, 2], names)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(-(2**53), 2**53), unique=True, min_size=1, max_size=30))
def test_integers_are_found_in_every_form_a_table_gives_them(names: list[int]) -> None:
    lookup = Lookup(names)
    for place, name in enumerate(names):
        for form in (name, str(name), f" {name} ", f"{name}.0", float(name)):
            assert lookup.find(form) == place
    assert lookup.find(max(names) + 1) is None


@settings(max_examples=80, deadline=None)
@given(st.text(max_size=12))
def test_a_text_means_the_same_after_it_came_back(text: str) -> None:
    once = plain(text)
    assert plain(once) == once
    assert plain(f"  {text}\t") == once


@pytest.mark.parametrize("key", ["index", "headrace", "label", "choice", "annotations"])
def test_show_may_not_use_the_keys_of_answers(tmp_path: Path, key: str) -> None:
    with pytest.raises(InputError, match=f"the key '{key}' has a meaning in answers"):
        ask(tmp_path, "round-0", [1], lambda _: {key: "x"})
