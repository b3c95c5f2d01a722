"""What people are asked, and what is taken of their answers."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from headrace.errors import InputError, InputErrors
from headrace.search.oracle import Book, ask, take_answers

CLASSES = ("red", "green")
BOOK = Book(asked=(3, 5, 8), labels={8: 1})


def answers(tmp_path: Path, name: str, text: str) -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def studio(index: int, *choices: str, cancelled: bool = False) -> dict:
    result = [{"value": {"choices": list(choices)}, "type": "choices", "from_name": "label"}]
    return {
        "id": 99,
        "data": {"index": index},
        "annotations": [{"result": result, "was_cancelled": cancelled}],
    }


def test_the_questions_are_tasks_and_the_same_as_a_table(tmp_path: Path) -> None:
    tasks, table = ask(tmp_path, "round-1", [5, 3], lambda index: {"text": f"number, {index}"})
    assert json.loads(tasks.read_text()) == [
        {"data": {"index": 5, "text": "number, 5"}},
        {"data": {"index": 3, "text": "number, 3"}},
    ]
    with table.open(newline="") as file:
        assert list(csv.DictReader(file)) == [
            {"index": "5", "text": "number, 5"},
            {"index": "3", "text": "number, 3"},
        ]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "index,label\n3,red\n5,green\n"),
        ("a.csv", "id,choice,index\n1,red,3\n2,green,5\n"),
        ("a.jsonl", '{"index": 3, "label": "red"}\n\n{"index": 5, "choice": "green"}\n'),
        ("a.json", json.dumps([{"index": 3, "label": "red"}, {"index": 5, "label": "green"}])),
        ("a.json", json.dumps([studio(3, "red"), studio(5, "green")])),
    ],
)
def test_answers_in_every_form(tmp_path: Path, name: str, text: str) -> None:
    found = take_answers(BOOK, answers(tmp_path, name, text), CLASSES)
    assert found.labels == {3: 0, 5: 1, 8: 1}
    assert BOOK.labels == {8: 1}


def test_what_is_not_labelled_yet_is_still_missing(tmp_path: Path) -> None:
    import numpy as np

    found = take_answers(BOOK, answers(tmp_path, "a.csv", "index,label\n3,\n5,red\n8,green\n"), CLASSES)
    assert found.missing(np.array([3, 5, 8])) == [3]
    skipped = json.dumps([studio(3, "red", cancelled=True)])
    assert take_answers(BOOK, answers(tmp_path, "a.json", skipped), CLASSES).labels == {8: 1}


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ("4,red", r"line 2: this example was not asked for; got 4"),
        ("3,rot", r"line 2: unknown class; got 'rot'. The classes are red, green"),
        ("8,red", r"line 2: example 8 was labelled 'green' before; got 'red'"),
        ("x,red", r"line 2: there is no example's index; got 'x'"),
        (
            '"1,234",red',
            r"line 2: there is no example's index; got '1,234'. Write numbers without separators",
        ),
        ("1_0,red", r"line 2: there is no example's index; got '1_0'"),
        ("5,Red", r"line 2: unknown class; got 'Red'. Did you mean 'red'\? Capitals count"),
    ],
)
def test_a_wrong_answer_is_refused_with_its_line_and_nothing_is_taken(
    tmp_path: Path, row: str, what: str
) -> None:
    with pytest.raises(InputErrors, match=what):
        take_answers(BOOK, answers(tmp_path, "a.csv", f"index,label\n{row}\n5,green\n"), CLASSES)


def test_what_was_shown_may_be_long_and_an_index_may_come_from_a_spreadsheet(tmp_path: Path) -> None:
    text = f"index,image,label\n3.0,{'x' * 200_000},red\n"
    assert take_answers(BOOK, answers(tmp_path, "a.csv", text), CLASSES).labels == {3: 0, 8: 1}


def test_reading_answers_leaves_the_process_as_it_was(tmp_path: Path) -> None:
    before = csv.field_size_limit()
    take_answers(BOOK, answers(tmp_path, "a.csv", f"index,image,label\n3,{'x' * 200_000},red\n"), CLASSES)
    assert csv.field_size_limit() == before


def test_labels_of_one_training_set_are_not_taken_for_another(tmp_path: Path) -> None:
    path = tmp_path / "labels.json"
    BOOK.model_copy(update={"checksum": "a", "classes": CLASSES}).save(path)
    book = Book.load(path)
    assert book.of_data("a", CLASSES, path) == book
    for checksum, classes in (("b", CLASSES), ("a", CLASSES[::-1])):
        with pytest.raises(InputError, match="given for another training set"):
            book.of_data(checksum, classes, path)
    assert Book().of_data("b", CLASSES, path).checksum == "b"


def test_every_wrong_answer_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputErrors) as caught:
        take_answers(BOOK, answers(tmp_path, "a.csv", "index,label\n4,red\n3,rot\n5,green\n"), CLASSES)
    assert len(caught.value.errors) == 2


def test_annotators_that_disagree_are_told(tmp_path: Path) -> None:
    text = json.dumps([studio(3, "red", "green")])
    with pytest.raises(InputErrors, match=r"there are several labels for example 3; got \['green', 'red'\]"):
        take_answers(BOOK, answers(tmp_path, "a.json", text), CLASSES)


@pytest.mark.parametrize(
    ("name", "text", "what"),
    [
        ("a.csv", "index,colour\n3,red\n", "there is no column 'label' or 'choice'; got 'index,colour'"),
        ("a.json", '[{"index": 3, "colour": "red"}]', "there is no 'label' or 'choice'"),
        ("a.json", "[{", "this is not JSON"),
        ("a.json", "[3]", "an answer must be a JSON object"),
        ("a.json", "[" * 100_000, "this is not JSON"),
        ("a.json", "[]", "there are no answers in this file"),
        ("a.csv", "", "the file is empty"),
        ("a.csv", "index,label\n", "the table has no rows"),
        ("a.csv", "row;label\n3;red\n", "there is no column 'index'; got 'row;label'"),
        *(
            ("a.json", f'[{{"index": {index}, "label": "red"}}]', "there is no example's index")
            for index in ("2.7", "true", "null", "[3]")
        ),
        *(
            ("a.json", f'[{{"index": {index}, "label": "red"}}]', "is not a value of JSON")
            for index in ("Infinity", "NaN")
        ),
        ("a.json", '[{"data": {"index": 3}, "annotations": [5]}]', "not as Label Studio exports them"),
        ("a.json", '[{"data": {"index": 3}, "annotations": null}]', "not as Label Studio exports them"),
        ("a.txt", "3 red", r"answers are .csv, .json or .jsonl files"),
    ],
)
def test_another_file_is_refused(tmp_path: Path, name: str, text: str, what: str) -> None:
    with pytest.raises(InputError, match=what):
        take_answers(BOOK, answers(tmp_path, name, text), CLASSES)


def test_a_function_that_shows_nothing_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"search.show: .*KeyError"):
        ask(tmp_path, "round-0", [1], lambda index: {0: 1}[index])  # type: ignore[arg-type,return-value]
