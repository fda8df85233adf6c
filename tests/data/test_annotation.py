"""Annotations: layouts that are VOC's in other clothes are read, others are refused.

Run alone: `.venv/bin/python -m pytest tests/data/test_annotation.py`.
"""

import pytest

from wsgcn.data.readers.annotation import read_objects

OBJECTS = "<object><name> cat </name><part><name>head</name></part></object><object><name>dog</name></object>"


def write(folder, text, encoding="utf-8"):
    path = folder / "a.xml"
    path.write_bytes(text.encode(encoding) if isinstance(text, str) else text)
    return path


@pytest.mark.parametrize(
    "text",
    [
        f"<annotation><size/>{OBJECTS}</annotation>",
        f'<annotation xmlns="http://example.org/voc">{OBJECTS}</annotation>',
        f'<v:annotation xmlns:v="urn:voc">{OBJECTS.replace("</", "</v:").replace("<", "<v:").replace("<v:/v:", "</v:")}'
        "</v:annotation>",
        f"<annotation><objects>{OBJECTS}</objects></annotation>",
        f"<Annotation>{OBJECTS.replace('object', 'Object').replace('name', 'Name')}</Annotation>",
        f"<annotation><!-- two --><unknown/>{OBJECTS}</annotation>",
        f'<?xml version="1.0" encoding="iso-8859-1"?><annotation>{OBJECTS}</annotation>',
    ],
)
def test_objects_are_read_whatever_surrounds_them(text, tmp_path):
    assert read_objects(write(tmp_path, text)) == ["cat", "dog"]


@pytest.mark.parametrize(
    "text",
    [
        "<annotation/>",
        "<annotation><weather>fog</weather></annotation>",
        "<annotation><folder/><filename>a.jpg</filename><size/></annotation>",
    ],
)
def test_an_annotation_without_objects_shows_nothing(text, tmp_path):
    assert read_objects(write(tmp_path, text)) == []


@pytest.mark.parametrize(
    "text, message",
    [
        ("<annotation><object><name/></object></annotation>", "1 of 1 objects have no name"),
        ("<annotation><object><name> \u200b </name></object></annotation>", "1 of 1 objects have no name"),
        (f"<annotation>{OBJECTS}<object><bndbox/></object></annotation>", "1 of 3 objects have no name"),
        ("<annotation><object name='cat'/></annotation>", "1 of 1 objects have no name"),
        ("<annotation><object><label>cat</label></object></annotation>", "1 of 1 objects have no name"),
        ("<annotation><object><name>a</name><name>b</name></object></annotation>", "have no name, or several"),
        ("<annotation><item><name>cat</name></item></annotation>", "has no <object>, but <item>"),
        ("<annotation><objects><obj>cat</obj></objects></annotation>", "has no <object>, but <objects>"),
        ("<annotations><image><box label='cat'/></image></annotations>", "begins with <annotations>"),
        ("<html><body/></html>", "begins with <html>"),
        ("<annotation><object>", "cannot be read"),
        ("", "cannot be read"),
        ('<?xml version="1.0" encoding="klingon"?><annotation/>', "cannot be read: unknown encoding"),
        ('<?xml version="1.0" encoding="utf-7"?><annotation/>', "cannot be read"),
        (b'<?xml version="1.0" encoding="gb2312"?><annotation/>', "cannot be read"),
        ("<annotation><object><name>\xff</name></object></annotation>".encode("latin-1"), "cannot be read"),
    ],
)
def test_everything_else_is_refused_with_the_name_of_the_file(text, message, tmp_path):
    path = write(tmp_path, text)
    with pytest.raises(ValueError) as error:
        read_objects(path)
    assert str(error.value).startswith(f"annotation {path}") and message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_annotation_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"annotation .*a\.xml does not exist"):
        read_objects(tmp_path / "a.xml")
