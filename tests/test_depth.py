"""Images of 16 bits per channel, whichever of them they use.

Run alone: `.venv/bin/python -m pytest tests/test_depth.py`.
"""

import imagecodecs
import numpy as np
import pytest
from PIL import Image, ImageOps

from wsgcn.depth import ORIENTATION, is_deep, orientation_of, read_deep, scale_to_8_bits
from wsgcn.files import read_image, read_label


def write(folder, kind, pixels):
    """A file of uint16 pixels, grey [H, W], grey and alpha [H, W, 2], or colour [H, W, 3 or 4]."""
    path = folder / f"a.{kind}"
    if kind == "png":
        path.write_bytes(imagecodecs.png_encode(pixels))
    elif kind == "tif":
        path.write_bytes(imagecodecs.tiff_encode(pixels, compression="deflate"))
    else:
        Image.fromarray(pixels.astype(np.int32), "I").save(path)
    return path


def picture(shape, bits, rng):
    pixels = rng.integers(0, 1 << bits, shape).astype(np.uint16)
    pixels.flat[0] = (1 << bits) - 1
    return pixels


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize(
    "kind, shape",
    [("png", (5, 7)), ("png", (5, 7, 2)), ("png", (5, 7, 3)), ("png", (5, 7, 4)), ("tif", (5, 7)), ("tif", (5, 7, 3))],
)
def test_all_bits_are_read_and_the_brightest_is_white(kind, shape, bits, rng, tmp_path):
    pixels = picture(shape, bits, rng)
    path = write(tmp_path, kind, pixels)
    with Image.open(path) as image:
        assert is_deep(image)
        found = read_deep(path, image)
    colours = pixels[..., : 1 if shape[-1] == 2 else 3] if len(shape) == 3 else pixels
    assert np.array_equal(found, colours[..., 0] if shape[-1] == 2 else colours)
    expected = np.broadcast_to(np.atleast_3d(colours), (*shape[:2], 3)).astype(float) * 255 / ((1 << bits) - 1)
    np.testing.assert_allclose(read_image(path), expected, atol=0.51)
    assert np.array_equal(read_image(path, (0, (1 << bits) - 1)), read_image(path))


def test_the_bits_of_the_8_bit_version_come_back(rng, tmp_path):
    small = rng.integers(0, 256, (5, 7, 3)).astype(np.uint16)
    for bits in (8, 10, 12, 16):
        deep = (small << (bits - 8)) | (small >> (16 - bits) if bits > 8 else 0)
        deep.flat[0] = (1 << bits) - 1
        small.flat[0] = 255
        found = read_image(write(tmp_path, "png", deep), (0, (1 << bits) - 1))
        assert np.abs(found.astype(int) - small).max() <= 1


@pytest.mark.parametrize("black, white", [(100, 900), (0, 4095), (500, 501), (7, 7)])
def test_values_outside_of_the_range_are_clipped(black, white):
    pixels = np.array([[0, black, (black + white) // 2, white, 65535]], np.uint16)
    [found] = scale_to_8_bits(pixels, (black, white)).tolist()
    slow = [min(max(round(255 * (int(p) - black) / max(white - black, 1)), 0), 255) for p in pixels[0]]
    assert all(abs(a - b) <= 1 for a, b in zip(found, slow, strict=True)) and found == sorted(found)


@pytest.mark.parametrize("orientation", range(0, 12))
@pytest.mark.parametrize("kind", ["png", "tif", "jpg"])
def test_only_the_eight_orientations_turn_an_image(kind, orientation, tmp_path, rng):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    source = Image.fromarray(rng.integers(0, 256, (5, 7, 3)).astype(np.uint8))
    source.save(tmp_path / f"a.{kind}", exif=exif)
    with Image.open(tmp_path / f"a.{kind}") as image:
        assert orientation_of(image) == (orientation if 1 <= orientation <= 8 else 1)
        expected = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    found = read_image(tmp_path / f"a.{kind}")
    assert np.array_equal(found, expected) and (found.shape[0] == 7) == (5 <= orientation <= 8)


@pytest.mark.parametrize("mode", ["L", "I;16", "P", "CMYK", "RGBA", "RGB"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_uncompressed_tiff_turns_like_any_other(orientation, mode, tmp_path, rng):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    grey = Image.fromarray(rng.integers(0, 256, (5, 7)).astype(np.uint16 if mode == "I;16" else np.uint8))
    image = grey if mode in ("L", "I;16") else grey.convert(mode)
    image.save(tmp_path / "upright.tif")
    image.save(tmp_path / "turned.tif", exif=exif)
    upright = read_image(tmp_path / "upright.tif", (0, 255))
    flips = {
        1: (1, 1, 0),
        2: (1, -1, 0),
        3: (-1, -1, 0),
        4: (-1, 1, 0),
        5: (1, 1, 1),
        6: (1, -1, 1),
        7: (-1, -1, 1),
        8: (-1, 1, 1),
    }
    rows, columns, swaps = flips[orientation]
    expected = (upright.swapaxes(0, 1) if swaps else upright)[::rows, ::columns]
    assert np.array_equal(read_image(tmp_path / "turned.tif", (0, 255)), expected)


def test_a_tiff_of_16_bits_whose_0_is_white_is_refused(tmp_path, rng):
    pixels = picture((5, 7), 12, rng)
    Image.fromarray(pixels).save(tmp_path / "a.tif", tiffinfo={262: 0})
    with Image.open(tmp_path / "a.tif") as image:
        assert image.tag_v2[262] == 0
    with pytest.raises(ValueError, match="whose 0 is white"):
        read_image(tmp_path / "a.tif")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_deep_colours_turn_like_others(orientation, tmp_path, rng):
    shallow = rng.integers(0, 256, (5, 7, 3)).astype(np.uint8)
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    Image.fromarray(shallow).save(tmp_path / "b.png", exif=exif)
    write(tmp_path, "png", shallow.astype(np.uint16))
    raw, chunk = (tmp_path / "a.png").read_bytes(), exif_chunk((tmp_path / "b.png").read_bytes())
    (tmp_path / "a.png").write_bytes(raw[:33] + chunk + raw[33:])
    assert np.array_equal(read_image(tmp_path / "a.png", (0, 255)), read_image(tmp_path / "b.png"))


def exif_chunk(png):
    start = png.index(b"eXIf") - 4
    return png[start : start + 12 + int.from_bytes(png[start : start + 4], "big")]


def test_a_label_is_turned_upright_as_well(tmp_path, rng):
    label = rng.integers(0, 3, (5, 7)).astype(np.uint8)
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    Image.fromarray(label).save(tmp_path / "a.png", exif=exif)
    assert np.array_equal(read_label(tmp_path / "a.png"), np.rot90(label, -1))


@pytest.mark.parametrize("planar", [False, True])
def test_planes_and_pixels_of_a_tiff_are_read_alike(planar, rng, tmp_path):
    pixels = picture((5, 7, 3), 12, rng)
    stored = np.ascontiguousarray(np.moveaxis(pixels, -1, 0)) if planar else pixels
    options = {"planarconfig": "separate"} if planar else {}
    (tmp_path / "a.tif").write_bytes(imagecodecs.tiff_encode(stored, photometric="rgb", **options))
    with Image.open(tmp_path / "a.tif") as image:
        assert is_deep(image)
    assert np.abs(read_image(tmp_path / "a.tif").astype(int) - scale_to_8_bits(pixels)).max() == 0


@pytest.mark.parametrize("maxval, shift", [(65535, 0), (4095, 0)])
def test_colours_of_other_formats_are_refused_not_cut(maxval, shift, rng, tmp_path):
    pixels = picture((5, 7, 3), 12, rng)
    (tmp_path / "a.ppm").write_bytes(b"P6\n7 5\n%d\n" % maxval + pixels.astype(">u2").tobytes())
    (tmp_path / "a.jp2").write_bytes(imagecodecs.jpeg2k_encode(pixels, level=0))
    for kind in ("ppm", "jp2"):
        with pytest.raises(ValueError, match="with over 8 bits per channel are not supported"):
            read_image(tmp_path / f"a.{kind}")


def test_other_formats_of_16_bits_are_refused(tmp_path):
    header = (474).to_bytes(2, "big") + bytes([0, 2]) + (3).to_bytes(2, "big")  # SGI, two bytes per channel
    sizes = b"".join(n.to_bytes(2, "big") for n in (7, 5, 3)) + bytes(8) + bytes(492)
    (tmp_path / "a.sgi").write_bytes(header + sizes + bytes(2 * 7 * 5 * 3))
    with pytest.raises(ValueError, match="colours of SGI with over 8 bits per channel are not supported"):
        read_image(tmp_path / "a.sgi")
