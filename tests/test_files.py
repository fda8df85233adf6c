"""Images of all modes are read as RGB, labels as class indices, and files are written atomically."""

import resource
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from wsgcn.data.sizes import _open_facts
from wsgcn.files import (
    atomic_write,
    read_arrays,
    read_image,
    read_json,
    read_label,
    voc_palette,
    write_arrays,
    write_grey,
    write_json,
    write_label,
)

ORIENTATION = 0x0112


def grey_png(path, values, bits):
    """A grey PNG of 2 or 4 bits per pixel, which Pillow cannot write."""
    values = np.asarray(values)
    height, width = values.shape
    rows = b""
    for row in values:
        digits = "".join(f"{value:0{bits}b}" for value in row).ljust(-(-width * bits // 8) * 8, "0")
        rows += b"\0" + int(digits, 2).to_bytes(len(digits) // 8)
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)), (b"IDAT", zlib.compress(rows))]
    with open(path, "wb") as stream:
        stream.write(b"\x89PNG\r\n\x1a\n")
        for kind, data in [*chunks, (b"IEND", b"")]:
            stream.write(struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)))


@pytest.mark.parametrize(
    "index, colour",
    [
        (0, (0, 0, 0)),
        (1, (128, 0, 0)),  # aeroplane
        (2, (0, 128, 0)),  # bicycle
        (8, (64, 0, 0)),  # cat
        (15, (192, 128, 128)),  # person
        (20, (0, 64, 128)),  # tvmonitor
        (255, (224, 224, 192)),  # void
    ],
)
def test_palette_matches_voc(index, colour):
    assert tuple(voc_palette()[index].tolist()) == colour


def test_palette_colours_are_unique():
    palette = voc_palette()
    assert palette.shape == (256, 3) and palette.dtype == np.uint8
    assert len({tuple(colour) for colour in palette.tolist()}) == 256


@pytest.mark.parametrize("label", [np.arange(256).reshape(16, 16), [[255, 0, 1]], [[7]]], ids=["all", "row", "one"])
def test_label_roundtrip(label, tmp_path):
    path = tmp_path / "deep" / "label.png"
    write_label(path, np.array(label, np.uint8))
    found = read_label(path)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, label)
    with Image.open(path) as image:
        assert image.mode == "P"
        np.testing.assert_array_equal(np.array(image.convert("RGB")), voc_palette()[np.array(label)])


def test_grey_values_roundtrip(tmp_path, rng):
    values = rng.integers(0, 256, (7, 10)).astype(np.uint8)
    write_grey(tmp_path / "new" / "grey.png", values.T)
    np.testing.assert_array_equal(read_label(tmp_path / "new" / "grey.png"), values.T)
    with Image.open(tmp_path / "new" / "grey.png") as image:
        assert image.mode == "L"


def test_labels_of_any_memory_layout_are_written(tmp_path, rng):
    label = rng.integers(0, 256, (7, 10)).astype(np.uint8)
    write_label(tmp_path / "label.png", label.T[::2, ::-1])
    np.testing.assert_array_equal(read_label(tmp_path / "label.png"), label.T[::2, ::-1])


def test_grey_labels_keep_their_values(tmp_path):
    Image.fromarray(np.array([[0, 3, 255]], np.uint8)).save(tmp_path / "label.png")
    assert read_label(tmp_path / "label.png").tolist() == [[0, 3, 255]]


@pytest.mark.parametrize("bits", [2, 4])
def test_grey_labels_of_few_bits_keep_their_values_or_are_refused(bits, tmp_path):
    path = tmp_path / "label.png"
    grey_png(path, [[0, 1, 2, 3]], bits)
    try:
        assert read_label(path).tolist() == [[0, 1, 2, 3]]
    except ValueError as error:
        assert str(path) in str(error)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "1", "I;16"])
def test_labels_without_indices_are_refused(mode, tmp_path):
    path = tmp_path / "label.png"
    Image.new(mode, (4, 3)).save(path)
    with pytest.raises(ValueError, match=f"label.png has mode {mode}; class indices need a palette"):
        read_label(path)


@pytest.mark.parametrize("read, kind", [(read_image, "image"), (read_label, "label")])
def test_missing_and_broken_files_are_reported(read, kind, tmp_path):
    path = tmp_path / "picture.png"
    with pytest.raises(ValueError, match=rf"^{kind} .*picture\.png does not exist$"):
        read(path)
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 50)).astype(np.uint8)).save(path)
    data = path.read_bytes()
    for broken in (b"", b"no image", data[:20], data[: len(data) // 2], data[:60] + b"\0" * 40 + data[100:]):
        path.write_bytes(broken)
        with pytest.raises(ValueError, match=rf"^{kind} .*picture\.png cannot be read"):
            read(path)


@pytest.mark.parametrize("suffix", ["jpg", "png", "bmp", "webp", "gif", "tiff"])
def test_truncated_images_are_reported(suffix, tmp_path, rng):
    path = tmp_path / f"picture.{suffix}"
    Image.fromarray(rng.integers(0, 256, (40, 50, 3)).astype(np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(ValueError, match=rf"image .*picture\.{suffix} cannot be read"):
        read_image(path)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("suffix", "jpg png bmp webp gif tiff avif dds ppm tga pcx ico jp2 qoi sgi icns".split())
def test_damaged_images_are_read_or_reported(suffix, tmp_path, rng):
    """Forty of each format: some bytes changed, some of the files truncated."""
    path = tmp_path / f"picture.{suffix}"
    try:
        Image.fromarray(rng.integers(0, 256, (24, 31, 3)).astype(np.uint8)).save(path)
    except (KeyError, OSError):
        pytest.skip("this Pillow does not write the format")
    whole = path.read_bytes()
    for turn in range(40):
        damaged = bytearray(whole)
        for index in rng.integers(0, len(whole), rng.integers(1, 4)):
            damaged[index] = rng.integers(0, 256)
        path.write_bytes(damaged[: rng.integers(1, len(whole))] if turn % 3 == 0 else damaged)
        facts = _open_facts(str(path))
        try:
            assert facts is None or read_image(path).shape == (*facts[:2], 3)
        except ValueError as error:
            assert str(error).startswith(f"image {path} cannot be read: ")


def test_rgb_is_not_changed(tmp_path, rng):
    pixels = rng.integers(0, 256, (5, 7, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    found = read_image(tmp_path / "a.png")
    np.testing.assert_array_equal(found, pixels)
    assert found.dtype == np.uint8 and found.flags.writeable


GREY = np.array([[0, 100, 255]], np.uint8)


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P", "1"])
def test_other_modes_are_converted_to_rgb(mode, tmp_path):
    image = Image.fromarray(GREY)
    if mode == "1":
        image = image.point(lambda v: 255 * (v > 50))
    image.convert(mode).save(tmp_path / "a.png")
    expected = [0, 255, 255] if mode == "1" else [0, 100, 255]
    assert read_image(tmp_path / "a.png").tolist() == [[[v] * 3 for v in expected]]


def test_palette_images_are_read_as_colours(tmp_path):
    write_label(tmp_path / "a.png", np.array([[1, 15]], np.uint8))
    assert read_image(tmp_path / "a.png").tolist() == [[[128, 0, 0], [192, 128, 128]]]


@pytest.mark.parametrize("suffix", ["png", "tiff"])
def test_sixteen_bits_are_scaled_to_eight(suffix, tmp_path):
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(np.array([[0, 256, 128 * 256 + 5, 65535]], np.uint16)).save(path)
    assert read_image(path)[0, :, 0].tolist() == [0, 1, 128, 255]


def test_sixteen_bits_of_a_pgm_are_scaled_to_eight(tmp_path):
    values = np.array([[0, 256, 128 * 256, 65535]], ">u2")
    (tmp_path / "a.pgm").write_bytes(b"P5 4 1 65535\n" + values.tobytes())
    assert read_image(tmp_path / "a.pgm")[0, :, 0].tolist() == [0, 1, 128, 255]


@pytest.mark.parametrize(
    "orientation, upright",
    [
        (1, lambda a: a),
        (2, lambda a: a[:, ::-1]),
        (3, lambda a: a[::-1, ::-1]),
        (6, lambda a: a.transpose(1, 0, 2)[:, ::-1]),
        (8, lambda a: a.transpose(1, 0, 2)[::-1]),
    ],
)
def test_exif_turns_an_image_upright(orientation, upright, tmp_path, rng):
    pixels = rng.integers(0, 256, (4, 6, 3)).astype(np.uint8)
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), upright(pixels))


def test_exif_turns_a_sixteen_bit_image_upright(tmp_path):
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    Image.fromarray(np.zeros((4, 6), np.uint16)).save(tmp_path / "a.png", exif=exif)
    assert read_image(tmp_path / "a.png").shape == (6, 4, 3)


def test_an_atomically_written_file_appears_at_the_end(tmp_path):
    path = tmp_path / "new" / "folder" / "a.txt"
    with atomic_write(path) as temporary:
        temporary.write_text("text")
        assert temporary.parent == path.parent and not path.exists()
    assert path.read_text() == "text"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("before", [None, "old"])
def test_atomic_write_leaves_no_file_on_an_error(before, tmp_path):
    path = tmp_path / "a.txt"
    if before:
        path.write_text(before)
    with pytest.raises(KeyboardInterrupt), atomic_write(path) as temporary:
        temporary.write_text("half")
        raise KeyboardInterrupt
    assert [p.read_text() for p in tmp_path.iterdir()] == ([before] if before else [])


def test_arrays_roundtrip(tmp_path, rng):
    arrays = {"keys": np.array([1, 4], np.uint8), "scores": rng.random((3, 4, 5)).astype(np.float16)}
    write_arrays(tmp_path / "a.npz", **arrays)
    found = read_arrays(tmp_path / "a.npz")
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)


def test_pickled_objects_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", a=np.array([{"code": 1}], object))
    with pytest.raises(ValueError, match="allow_pickle"):
        read_arrays(tmp_path / "a.npz")


def test_json_roundtrip(tmp_path):
    value = {"miou": 0.5, "names": ["a", "ü"], "none": None}
    write_json(tmp_path / "a.json", value)
    assert read_json(tmp_path / "a.json") == value


def test_a_full_disk_keeps_the_previous_file(tmp_path, rng):
    """A limit on the size of files simulates the full disk."""
    path, noise = tmp_path / "a.npz", rng.integers(0, 256, (300, 300), np.uint8)
    write_arrays(path, values=noise[:2])
    before, limits = path.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, limits[1]))
    try:
        with pytest.raises(OSError, match=r"too large: '.*/a\.npz'$"):
            write_arrays(path, values=noise)
        with pytest.raises(OSError, match=r"too large: '.*/b\.png'$"):
            write_label(tmp_path / "b.png", noise)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_arrays_that_are_not_finite_are_not_written(tmp_path):
    with pytest.raises(FloatingPointError, match="^array scores has values that are not finite$"):
        write_arrays(tmp_path / "a.npz", keys=np.arange(3), scores=np.array([0.5, np.nan]))
    assert not list(tmp_path.iterdir())
