"""Logs, errors in one sentence, seconds an image."""

import csv
import sys

import pytest

from wsgcn.jobs import each_group, each_image, logged


def test_prints_go_to_the_log(tmp_path, capsys):
    with logged(tmp_path / "job.log"):
        print("to stdout")
        print("to stderr", file=sys.stderr)
    assert (tmp_path / "job.log").read_text() == "to stdout\nto stderr\n"
    assert capsys.readouterr() == ("", "")


def test_an_error_ends_the_process_with_one_sentence(tmp_path):
    log = tmp_path / "job.log"
    with pytest.raises(SystemExit) as ended, logged(log):
        print("before")
        raise ValueError("mask a.png is broken")
    assert ended.value.code == f"mask a.png is broken (more in {log})"
    text = log.read_text()
    assert text.startswith("before\nTraceback") and "ValueError: mask a.png is broken" in text


def test_an_error_without_words_tells_its_type(tmp_path):
    with pytest.raises(SystemExit, match="^MemoryError "), logged(tmp_path / "job.log"):
        raise MemoryError


def test_streams_come_back_after_an_error(tmp_path):
    streams = sys.stdout, sys.stderr
    with pytest.raises(SystemExit), logged(tmp_path / "job.log"):
        raise ValueError("no")
    assert (sys.stdout, sys.stderr) == streams


def test_each_image_calls_in_turn_and_writes_seconds(tmp_path):
    called, path = [], tmp_path / "new" / "seconds.csv"
    each_image(["a", "b,c", "d"], called.append, path)
    assert called == [0, 1, 2]
    with open(path, newline="") as stream:
        header, *rows = csv.reader(stream)
    assert header == ["image", "seconds"]
    assert [image for image, _ in rows] == ["a", "b,c", "d"]
    assert all(0 <= float(seconds) < 1 for _, seconds in rows)


def test_an_error_names_its_image_and_leaves_no_table(tmp_path):
    def work(place):
        if place == 1:
            raise ValueError("the CRF is unhappy")

    with pytest.raises(RuntimeError, match="^image b: the CRF is unhappy$") as failed:
        each_image(["a", "b"], work, tmp_path / "seconds.csv")
    assert isinstance(failed.value.__cause__, ValueError)
    assert not list(tmp_path.iterdir())


def test_an_error_without_words_tells_its_type_and_image(tmp_path):
    def work(place):
        raise MemoryError

    with pytest.raises(RuntimeError, match="^image a: MemoryError"):
        each_image(["a"], work, tmp_path / "seconds.csv")


def test_groups_share_their_seconds(tmp_path):
    called = []
    each_group(list("abcde"), 2, lambda places: called.append(list(places)), tmp_path / "seconds.csv")
    assert called == [[0, 1], [2, 3], [4]]
    with open(tmp_path / "seconds.csv", newline="") as stream:
        _, *rows = csv.reader(stream)
    assert [image for image, _ in rows] == list("abcde")
    assert rows[0][1] == rows[1][1]


def test_an_error_in_a_group_names_its_images(tmp_path):
    def work(places):
        raise ValueError("no")

    with pytest.raises(RuntimeError, match="^image a, b: no$"):
        each_group(["a", "b", "c"], 2, work, tmp_path / "seconds.csv")
