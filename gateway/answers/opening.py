"""From the bytes of an answer to its text: content codings undone, charset settled, marks and blanks gone.

Decides sections 6.1 and 6.2 of the language. What the text is (JSON, XML, ...) is the document's to say.
"""

from __future__ import annotations

import codecs
import re
import zlib
from collections.abc import Iterator

import brotli  # type: ignore[import-untyped]
import zstandard

from gateway.answers.limits import CODINGS, PACKED_RATIO, LimitHit


class Unopened(Exception):
    """The body does not decompress as its Content-Encoding says. Carries no part of the answer."""


# --- content codings ------------------------------------------------------------------------------


def decompress(body: bytes, encodings: str, *, most: int) -> bytes:
    """Undo the codings of a Content-Encoding field (RFC 9110 8.4), the last one first.

    most: octets a result may have; it may also be at most 100 times what it was unpacked from. Raises LimitHit
    beyond, Unopened when a coding is unknown or the data is broken, cut short or followed by something else.
    """
    names = [name for part in encodings.split(",") if (name := part.strip().lower()) not in ("", "identity")]
    if not body:
        return body
    if len(names) > CODINGS:
        raise Unopened
    for name in reversed(names):
        unpack = _CODINGS.get(name)
        if unpack is None:
            raise Unopened
        body = unpack(body, min(most, PACKED_RATIO * len(body)))
    return body


def _inflate(body: bytes, most: int, window: int) -> bytes:
    made = b""
    while body:  # RFC 1952 2.2: a gzip file may have several members
        stream = zlib.decompressobj(window)
        try:
            made += stream.decompress(body, most + 1 - len(made))
        except zlib.error:
            raise Unopened from None
        if len(made) > most:
            raise LimitHit
        if not stream.eof:
            raise Unopened
        body = stream.unused_data
        if window < 16 and body:
            raise Unopened
    return made


def _gzip(body: bytes, most: int) -> bytes:
    return _inflate(body, most, 31)


def _deflate(body: bytes, most: int) -> bytes:
    try:
        return _inflate(body, most, 15)
    except Unopened:
        # RFC 9110 8.4.1.2: some send the bare stream without the zlib envelope.
        return _inflate(body, most, -15)


def _brotli(body: bytes, most: int) -> bytes:
    stream = brotli.Decompressor()
    made: bytes = b""
    try:
        made = stream.process(body, output_buffer_limit=most + 1)
        while not stream.is_finished() and len(made) <= most:
            more = stream.process(b"", output_buffer_limit=most + 1 - len(made))
            if not more and not stream.is_finished():
                raise Unopened
            made += more
    except brotli.error:
        raise Unopened from None
    if len(made) > most:
        raise LimitHit
    return made


def _zstd(body: bytes, most: int) -> bytes:
    # RFC 8878 3.1.1.1.2: decoders should support, and may stop at, windows of 8 MiB.
    unpacker = zstandard.ZstdDecompressor(max_window_size=8 * 1024 * 1024)
    try:
        with unpacker.stream_reader(body, read_across_frames=True) as stream:
            made = stream.read(most + 1)
        if len(made) <= most:
            # The reader takes a frame that is cut short for its end; the checking of ends is done here.
            check = unpacker.decompressobj(read_across_frames=False)
            check.decompress(body)
            if not check.eof or check.unused_data:
                raise Unopened
    except zstandard.ZstdError:
        raise Unopened from None
    if len(made) > most:
        raise LimitHit
    return made


_CODINGS = {
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": _deflate,
    "br": _brotli,
    "zstd": _zstd,
}


# --- charset --------------------------------------------------------------------------------------

#: Codecs an answer may be in: those of the WHATWG encoding standard that legacy systems use, and DOS pages.
#: Never the others that Python knows: utf-7 and its like make markup out of harmless text.
_KNOWN_WORDS = """
    utf-8 ascii utf-16 utf-16-le utf-16-be utf-32 utf-32-le utf-32-be koi8-r koi8-u mac-roman shift_jis cp932
    euc_jp gb2312 gbk gb18030 big5 cp949 euc_kr tis-620 cp437 cp850 cp852 cp866 cp874 iso8859-1 iso8859-2
    iso8859-3 iso8859-4 iso8859-5 iso8859-6 iso8859-7 iso8859-8 iso8859-9 iso8859-10 iso8859-11 iso8859-13
    iso8859-14 iso8859-15 iso8859-16 cp1250 cp1251 cp1252 cp1253 cp1254 cp1255 cp1256 cp1257 cp1258
"""
_KNOWN = frozenset(_KNOWN_WORDS.split())
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before utf-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_CONTENT_TYPE = re.compile(r"""charset\s*=\s*["']?([A-Za-z0-9._:-]+)""", re.IGNORECASE)
_DECLARATION = re.compile(rb"""[\s\xef\xbb\xbf]*<\?xml\b[^>]{0,200}?\bencoding\s*=\s*["']([A-Za-z0-9._-]+)""")
_META = re.compile(rb"""<meta\b[^>]{0,500}?\bcharset\s*=\s*["']?\s*([A-Za-z0-9._:-]+)""", re.IGNORECASE)
_HEAD = 4096  # octets in which a declaration is looked for


def known_charset(name: str) -> str | None:
    """The codec for a charset's name, None when it is unknown or not one that is read.

    iso-8859-1 is read as windows-1252, as browsers do (WHATWG encoding standard, 4.2): nobody means its C1 controls.
    """
    try:
        codec = codecs.lookup(name).name
    except (LookupError, ValueError):
        return None
    codec = {"utf-8-sig": "utf-8", "iso8859-1": "cp1252"}.get(codec, codec)
    return codec if codec in _KNOWN else None


def is_wide(codec: str) -> bool:
    """Whether a codec takes two or four octets for an ASCII character."""
    return codec.startswith(("utf-16", "utf-32"))


def decode(body: bytes, content_type: str, charset: str | None) -> str:
    """The text of an answer by the first charset that decodes all of it; never fails.

    charset: the codec that the block asks to try first.
    """
    for codec in _candidates(body, content_type, charset):
        try:
            return body.decode(codec)
        except UnicodeDecodeError:
            continue
    return body.decode("cp1252", "replace")


def _candidates(body: bytes, content_type: str, charset: str | None) -> Iterator[str]:
    if charset is not None:
        yield _ordered(charset, body)
    for mark, codec in _MARKS:
        if body.startswith(mark):
            yield codec
            break
    head = body[:_HEAD]
    named = [found[1] for found in (_CONTENT_TYPE.search(content_type),) if found]
    named += [found[1].decode("ascii") for found in (_DECLARATION.match(head), _META.search(head)) if found]
    for name in named:
        declared = known_charset(name)
        # Text of this kind is full of ASCII, each with a zero octet in a wide charset. Without any it was not sent so.
        if declared is not None and not (is_wide(declared) and b"\0" not in body and _is_utf8(body)):
            yield _ordered(declared, body)
    yield "utf-8"


def _ordered(codec: str, body: bytes) -> str:
    """utf-16 and utf-32 without a mark: the order of octets by where the zeros are."""
    if codec in ("utf-16", "utf-32") and not body.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return codec + ("-be" if body[:1] == b"\0" else "-le")
    return codec


def _is_utf8(body: bytes) -> bool:
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def clean(text: str) -> str:
    """Without byte order marks and blanks around it (there may be several), line ends as \\n."""
    text = text.strip()
    while text[:1] == "\ufeff" or text[-1:] == "\ufeff":
        text = text.strip("\ufeff").strip()
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text
