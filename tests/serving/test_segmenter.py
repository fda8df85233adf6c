"""From an image's bytes to the workflow's own label.

Run alone: `.venv/bin/python -m pytest tests/serving/test_segmenter.py`.
"""

import io
import struct
import zlib

import numpy as np
import pytest
from colour_network import SETTINGS
from PIL import Image

from wsgcn.depth import ORIENTATION
from wsgcn.labels.crf import CrfSettings, dense_crf
from wsgcn.serving import segmenter
from wsgcn.serving.segmenter import FORMATS, ServedNetwork


def encoded(pixels: np.ndarray, form: str = "PNG", **options) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format=form, **options)
    return stream.getvalue()


def opened(png: bytes) -> Image.Image:
    return Image.open(io.BytesIO(png))


def answer(image: bytes, **changed):
    return ServedNetwork(SETTINGS | changed, "no weights", "cpu").answer(image)


@pytest.fixture
def expected(picture):
    """Probabilities [3, H, W] after the CRF, without the module under test."""
    red = picture[..., 0] > picture[..., 2]
    scores = np.stack([np.where(red, 0.075, 0.85), np.full(red.shape, 0.075), np.where(red, 0.85, 0.075)])
    return dense_crf(picture, scores.astype(np.float32), CrfSettings(**SETTINGS["prediction"]["crf"]))


def test_an_answer_is_the_label_its_confidence_and_its_classes(picture, expected):
    found = answer(encoded(picture))
    mask, grey = opened(found.mask), opened(found.confidence)
    assert (mask.mode, grey.mode) == ("P", "L")
    assert mask.getpalette()[:6] == [0, 0, 0, 128, 0, 0]
    np.testing.assert_array_equal(np.array(mask), expected.argmax(0))
    np.testing.assert_array_equal(np.array(grey), np.rint(255 * expected.max(0).astype(float)))
    share = (expected.argmax(0) == 2).mean()
    assert found.classes == pytest.approx({"background": 1 - share, "dog": share})


def test_every_setting_changes_an_answer(picture):
    plain, image = answer(encoded(picture)), encoded(picture)
    prediction = SETTINGS["prediction"]
    for changed in ({"scales": [1]}, {"flip": False}, {"crf": prediction["crf"] | {"gaussian_compat": 3}}):
        assert answer(image, prediction=prediction | changed).confidence != plain.confidence, changed
    assert "cat" in answer(image, params={"classes": 2, "red": 1}).classes
    assert "wolf" in answer(image, classes=["cat", "wolf"]).classes
    assert answer(image, longest_side=15).confidence != plain.confidence


def test_a_large_image_is_shrunk_as_the_workflow_does_and_its_label_as_large_as_it(tmp_path, picture):
    """The workflow's copy is a JPEG, whose losses count."""
    from wsgcn.data.augment import resize_label
    from wsgcn.data.sizes import write_copy
    from wsgcn.files import read_image

    large = np.asarray(Image.fromarray(picture).resize((150, 120)))
    write_copy(tmp_path / "copy.jpg", large, 64)
    copy = read_image(tmp_path / "copy.jpg")
    assert copy.shape == (51, 64, 3)
    small = answer(encoded(copy))
    found = answer(encoded(large))
    for own, other in ((found.mask, small.mask), (found.confidence, small.confidence)):
        np.testing.assert_array_equal(np.array(opened(own)), resize_label(np.array(opened(other)), 120, 150))


def test_16_bits_are_scaled_by_the_range_of_the_data_set():
    """A network that sees brightness: below the middle of the range all is background."""
    grey = np.full((16, 16), 3000, np.uint16)
    image = encoded(grey)
    for black_white, wanted in ((None, 187), ((2000, 4000), 128), ((3000, 9000), 0)):
        seen = []
        network = ServedNetwork(SETTINGS | {"black_white": black_white}, "", "cpu")
        segment = network._segment
        network._segment = lambda image, *rest, segment=segment, seen=seen: seen.append(image) or segment(image, *rest)
        network.answer(image)
        assert np.unique(seen[0]).tolist() == [wanted]


def test_an_image_is_turned_upright(picture):
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    turned = answer(encoded(np.rot90(picture), exif=exif))
    assert turned.mask == answer(encoded(picture)).mask


@pytest.mark.parametrize("form", FORMATS)
def test_each_of_the_formats_is_answered(picture, form):
    assert opened(answer(encoded(picture, form)).mask).size == picture.shape[1::-1]


@pytest.mark.parametrize(
    "content", [b"no image", b"", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n", "PPM", "EPS"]
)
def test_what_is_of_no_known_format_is_refused_before_it_is_opened(picture, content, monkeypatch):
    """Pillow reads PPM, and starts Ghostscript for EPS."""
    monkeypatch.setattr(segmenter, "read_working_copy", None)
    image = content if isinstance(content, bytes) else encoded(picture, content)
    with pytest.raises(ValueError, match="^it cannot be read: it is none of BMP, GIF, JPEG, PNG, TIFF, WEBP$"):
        answer(image)


def test_a_broken_image_is_refused_in_one_sentence(picture):
    with pytest.raises(ValueError, match="^it cannot be read: ") as error:
        answer(encoded(picture)[:-60])
    assert "/tmp" not in str(error.value)


def claimed(width: int, height: int) -> bytes:
    """The head of a PNG of this size."""
    head = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + head + struct.pack(">II", zlib.crc32(head), 0) + b"IDAT"


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("size", [(10_001, 10_000), (60_000, 60_000)])
def test_too_many_pixels_are_refused_before_they_are_decoded(size, monkeypatch):
    monkeypatch.setattr(segmenter, "read_working_copy", None)
    with pytest.raises(ValueError, match="^it has more than 100 million pixels$"):
        answer(claimed(*size))


def test_as_many_pixels_as_allowed_are_answered(picture, monkeypatch):
    monkeypatch.setattr(segmenter, "MAX_PIXELS", picture.shape[0] * picture.shape[1])
    answer(encoded(picture))
