"""Recognise the format of a file by its first bytes, never by its name."""

import re

from ingest.errors import RejectedImage

READABLE = ("AVIF", "BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP")
"""Pillow's names of the supported formats."""

HEAD_BYTES = 512
"""First bytes by which a format is recognised."""

# First bytes → one of READABLE, or the name of an image format that is not supported.
_SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (rb"\x89PNG\r\n\x1a\n.{4}CgBI", "PNG in Apple's CgBI variant"),
    (rb"\x89PNG\r\n\x1a\n", "PNG"),
    (rb"\xff\xd8\xff\xf7", "JPEG-LS"),
    (rb"\xff\xd8\xff", "JPEG"),
    (rb"GIF8[79]a", "GIF"),
    (rb"RIFF....WEBP", "WEBP"),
    (rb"II\x2a\0|MM\0\x2a|II\x2b\0|MM\0\x2b", "TIFF"),
    (rb"BM.{8}.{4}[\x0c\x10\x28\x34\x38\x40\x6c\x7c]\0\0\0", "BMP"),
    (rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51", "JPEG 2000"),
    (rb"\0\0\0\x0cJXL \r\n\x87\n|\xff\x0a", "JPEG XL"),
    (rb"II\xbc[\0\x01]", "JPEG XR"),
    (rb"8BPS", "Photoshop (PSD)"),
    (rb"gimp xcf", "GIMP (XCF)"),
    (rb"\0\0\x01\0[^\0]\0", "Windows icon (ICO)"),
    (rb"\0\0\x02\0[^\0]\0", "Windows cursor (CUR)"),
    (rb"icns", "Apple icon (ICNS)"),
    (rb"qoif", "QOI"),
    (rb"DDS ", "DDS"),
    (rb"P[1-7]\s", "Netpbm (PBM, PGM, PPM, PAM)"),
    (rb"P[fF]\s", "Portable FloatMap (PFM)"),
    (rb"%!PS|\xc5\xd0\xd3\xc6", "PostScript (EPS)"),
    (rb"\xd7\xcd\xc6\x9a|\x01\0\0\0.{36} EMF", "Windows metafile (WMF, EMF)"),
    (rb"#\?(RADIANCE|RGBE)", "Radiance HDR"),
    (rb"\x76\x2f\x31\x01", "OpenEXR"),
    (rb"SDPX|XPDS", "DPX"),
    (rb"SIMPLE  =", "FITS"),
    (rb".{128}DICM", "DICOM"),
    (rb"AT&TFORM", "DjVu"),
    (rb"\x8a[JM]NG\r\n\x1a\n", "MNG"),
    (rb"FLIF", "FLIF"),
    (rb"BPG\xfb", "BPG"),
    (rb"IIU\0|II(RO|RS)|MMOR|FUJIFILMCCD-RAW", "camera raw"),
    (rb"\x0a[\0-\5]\x01[\1\2\4\x08]", "PCX"),
    (rb"\xb1\x68\xde\x3a", "PCX (DCX)"),
    (rb"\x01\xda[\0\1][\1\2]\0[\1-\3]", "SGI"),
    (rb"\x59\xa6\x6a\x95", "Sun raster"),
    (rb"\s*/\* XPM \*/", "XPM"),
    (rb"\s*#define[ \t]+\w+_width[ \t]", "XBM"),
    (rb"DanM|LinS", "Microsoft Paint (MSP)"),
    (rb"BLP[12]", "BLP"),
    (rb"Lerc2 |CntZImage ", "LERC"),
    (rb"....[\x11\x12]\xaf", "FLIC"),
    # Width, height, then one of the depths. The format has no other mark at its beginning.
    (rb".[\0\1][\1-\3\x09-\x0b].{9}(?!\0\0)..(?!\0\0)..[\x08\x0f\x10\x18\x20][\0-\x3f]", "Targa (TGA)"),
    (rb"(\xef\xbb\xbf)?\s*(<(\?xml|!--).*)?<(svg[\s:>]|!DOCTYPE svg)", "SVG"),
)

# Brands of an ISO base media file's `ftyp` box. Source: ISO/IEC 23008-12 (HEIF), and the registry at
# https://mp4ra.org/registered-types/brands. `mif1` and `msf1` say nothing about the codec.
_AVIF_BRANDS = {b"avif", b"avis"}
_HEIF_BRANDS = {
    b"heic": "HEIC",
    b"heix": "HEIC",
    b"heim": "HEIC",
    b"heis": "HEIC",
    b"hevc": "HEIC",
    b"hevx": "HEIC",
    b"hevm": "HEIC",
    b"hevs": "HEIC",
    b"avci": "HEIF with H.264",
    b"avcs": "HEIF with H.264",
    b"vvic": "HEIF with H.266",
    b"vvis": "HEIF with H.266",
    b"evbi": "HEIF with EVC",
    b"evmi": "HEIF with EVC",
    b"evbs": "HEIF with EVC",
    b"evms": "HEIF with EVC",
    b"jpeg": "HEIF with JPEG",
    b"jpgs": "HEIF with JPEG",
    b"j2ki": "HEIF with JPEG 2000",
    b"j2is": "HEIF with JPEG 2000",
    b"crx ": "camera raw",
    b"mif1": "HEIF",
    b"mif2": "HEIF",
    b"mif3": "HEIF",
    b"msf1": "HEIF",
    b"miaf": "HEIF",
    b"heif": "HEIF",
}

# Names for the message, of files that people send by mistake.
_OTHERS: tuple[tuple[bytes, str], ...] = (
    (rb"%PDF-", "a PDF document"),
    (rb"PK\x03\x04", "a ZIP archive or an Office document"),
    (rb"\x1f\x8b", "a gzip archive"),
    (rb"....ftyp|RIFF....AVI |\x1aE\xdf\xa3", "a video"),
    (rb"\s*<(!doctype )?html", "an HTML page"),
    (rb"<\?xml", "an XML document"),
)


def format_of(data: bytes) -> str:
    """Return Pillow's name of the format of these first bytes.

    Raises:
        RejectedImage: `unsupported_format`, with the format's name, or `not_an_image`.
    """
    head = data[:HEAD_BYTES]
    name = _iso_media_format(head) or _first_match(_SIGNATURES, head, re.DOTALL)
    if name in READABLE:
        return name
    if name:
        raise unsupported(name)
    other = _first_match(_OTHERS, head, re.DOTALL | re.IGNORECASE)
    raise RejectedImage(
        "not_an_image", other or f"begins with {data[:8].hex(' ')}, as no known image format does"
    )


def unsupported(name: str) -> RejectedImage:
    """Return the rejection of an image of this kind, which is not supported."""
    return RejectedImage("unsupported_format", f"{name} is not supported: send one of {', '.join(READABLE)}")


def _first_match(named: tuple[tuple[bytes, str], ...], head: bytes, flags: re.RegexFlag) -> str | None:
    # `re` compiles a pattern at its first use: most images need the first few, and a cold start none.
    return next((name for pattern, name in named if re.match(pattern, head, flags)), None)


def _iso_media_format(head: bytes) -> str | None:
    """Return the image format that the brands of an ISO base media file name, if any."""
    if head[4:8] != b"ftyp":
        return None
    end = int.from_bytes(head[:4], "big")
    # The major brand, a version, then the compatible brands.
    brands = [head[8:12], *(head[at : at + 4] for at in range(16, min(end, len(head)), 4))]
    if _AVIF_BRANDS.intersection(brands):
        return "AVIF"
    named = [_HEIF_BRANDS[brand] for brand in brands if brand in _HEIF_BRANDS]
    return next((name for name in named if name != "HEIF"), named[0] if named else None)
