"""The IPTC digital source type of a picture, as XMP inside its JPEG or PNG file: spliced in after encoding, so that no pixel changes."""

from __future__ import annotations

import re
import struct
import zlib
from typing import Literal, get_args

from jobs.images import Format

SourceType = Literal["trainedAlgorithmicMedia", "compositeWithTrainedAlgorithmicMedia"]
VOCABULARY = "http://cv.iptc.org/newscodes/digitalsourcetype/"

_JPEG_NAMESPACE = b"http://ns.adobe.com/xap/1.0/\0"  # XMP specification part 3, 1.1.3: an APP1 segment that begins with it
_PNG_KEYWORD = b"XML:com.adobe.xmp"  # part 3, 1.1.5: an iTXt chunk, not compressed
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEADER_BYTES = 33  # of a PNG: signature and IHDR
_ALONE = (0x01, *range(0xD0, 0xD8))  # JPEG markers without a length
_MAX_PACKETS = 256  # segments or chunks that are looked at
_PROPERTY = re.compile(rb"DigitalSourceType[^<]{0,20}?[=>]\s*[\"']?\s*http://cv\.iptc\.org/newscodes/digitalsourcetype/([A-Za-z]{1,60})")


def source_type_of(*, photograph: bool) -> SourceType:
    """The term for a picture whose surroundings were a photograph, or weren't.

    A face put into a photograph is "Edited using Generative AI" in IPTC's words: what was photographed is still seen around it. In a bundled scene
    nothing was ever before a camera. That a person's photograph conditioned the face puts no pixel of it into the picture.
    """
    return "compositeWithTrainedAlgorithmicMedia" if photograph else "trainedAlgorithmicMedia"


def xmp_packet(source_type: SourceType) -> bytes:
    """The smallest XMP that says it: no dates and no names of tools, so equal pictures stay equal bytes."""
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
        'xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" '
        f'Iptc4xmpExt:DigitalSourceType="{VOCABULARY}{source_type}"/></rdf:RDF></x:xmpmeta>'
    ).encode("ascii")


def with_source_type(content: bytes, form: Format, source_type: SourceType) -> bytes:
    """A picture that `encode` made, with the XMP where readers look first: after JFIF's APP0, or after IHDR."""
    packet = xmp_packet(source_type)
    if form == "jpeg":
        place = 4 + int.from_bytes(content[4:6], "big") if content[2:4] == b"\xff\xe0" else 2
        return b"".join((content[:place], b"\xff\xe1", struct.pack(">H", 2 + len(_JPEG_NAMESPACE) + len(packet)), _JPEG_NAMESPACE, packet, content[place:]))
    chunk = b"iTXt" + _PNG_KEYWORD + bytes(5) + packet  # end of keyword, not compressed, method, no language, no translated keyword
    return b"".join((content[:_HEADER_BYTES], struct.pack(">I", len(chunk) - 4), chunk, struct.pack(">I", zlib.crc32(chunk)), content[_HEADER_BYTES:]))


def read_source_type(content: bytes) -> str | None:
    """IPTC's term in a JPEG or PNG file of anybody's, such as trainedAlgorithmicMedia; None where its XMP has none or can't be read."""
    for packet in _png_packets(content) if content.startswith(_PNG_SIGNATURE) else _jpeg_packets(content):
        found = _PROPERTY.search(packet)
        if found:
            return found[1].decode("ascii")
    return None


def is_synthetic(term: str | None) -> bool:
    """Whether it is a term that facemint writes."""
    return term in get_args(SourceType)


def _jpeg_packets(content: bytes) -> list[bytes]:
    packets, place = [], 2
    for _ in range(_MAX_PACKETS if content.startswith(b"\xff\xd8") else 0):
        if place + 4 > len(content) or content[place] != 0xFF or content[place + 1] in (0xD9, 0xDA):  # end, or the scan begins
            break
        if content[place + 1] in _ALONE or content[place + 1] == 0xFF:
            place += 1 if content[place + 1] == 0xFF else 2
            continue
        size = int.from_bytes(content[place + 2 : place + 4], "big")
        segment = content[place + 4 : place + 2 + size]
        if content[place + 1] == 0xE1 and segment.startswith(_JPEG_NAMESPACE):
            packets.append(segment[len(_JPEG_NAMESPACE) :])
        place += 2 + max(size, 2)
    return packets


def _png_packets(content: bytes) -> list[bytes]:
    packets, place = [], len(_PNG_SIGNATURE)
    for _ in range(_MAX_PACKETS):
        size, kind = int.from_bytes(content[place : place + 4], "big"), content[place + 4 : place + 8]
        if len(kind) < 4 or kind == b"IEND":
            break
        text = content[place + 8 : place + 8 + size]
        if kind == b"iTXt" and text.startswith(_PNG_KEYWORD + bytes(2)):
            packets.append(text[len(_PNG_KEYWORD) + 5 :])
        place += 12 + size
    return packets
