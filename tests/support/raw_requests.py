"""Raw requests and what must become of them: one table for the edge alone and for the whole gateway.

The table holds for a program at PATH whose only required field is `email`, with the credential USER:PASSWORD, the
default limits and the true statuses (`status_codes: http`). Every row can be sent in one segment, in its own
segments or (unless it says otherwise) byte by byte, with the same result.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.support.client import basic

PATH, USER, PASSWORD = "/leads", "acme", "correct horse"
AUTHORIZATION = b"Authorization: " + basic(USER, PASSWORD).encode()
FORM = b"Content-Type: application/x-www-form-urlencoded"
HOST = b"Host: gateway.test"
LEAD = b"email=jane%40example.com&state=CA"
#: The largest body that the default limits take, and a lead of that size.
LARGEST = 64 * 1024
LARGEST_LEAD = LEAD + b"&pad=" + b"x" * (LARGEST - len(LEAD) - 5)
LARGEST_HEAD, LARGEST_LINE, MOST_FIELDS = 16 * 1024, 4096, 64

ACCEPTED = (200, "accepted")
MALFORMED = (400, "malformed")
UNAUTHORIZED = (401, "unauthorized")
NOT_FOUND = (404, "not_found")
METHOD = (405, "method_not_allowed")
TOO_LARGE = (413, "too_large")
URI = (414, "uri_too_long")
MEDIA = (415, "unsupported_media_type")
EXPECTATION = (417, "expectation_failed")
HEADERS = (431, "headers_too_large")
CODING = (501, "not_implemented")
VERSION = (505, "version_not_supported")
INVALID = (200, "lead_invalid")
CONTINUE = (100, "")


@dataclass(frozen=True, slots=True)
class RawRequest:
    """One row.

    segments: what is sent; None stands for waiting for one answer before sending on. answers: (status, slug) in
    order, nothing for silence. closes: the gateway ends the connection; if not, it takes a further lead. leads:
    how many arrive behind the edge. shut: the client ends its half of the connection behind the last segment.
    bodiless: the answers are to HEAD. indivisible: it is different when the body comes later than the head.
    """

    id: str
    segments: tuple[bytes | None, ...]
    answers: tuple[tuple[int, str], ...]
    closes: bool
    leads: int
    shut: bool = False
    bodiless: bool = False
    indivisible: bool = False

    @property
    def whole(self) -> tuple[bytes | None, ...]:
        """The same bytes in as few segments as the waits allow."""
        joined: list[bytes | None] = [b""]
        for segment in self.segments:
            if segment is None or joined[-1] is None:
                joined.append(segment)
            else:
                joined[-1] += segment
        return tuple(joined)

    @property
    def bytewise(self) -> tuple[bytes | None, ...]:
        """The same bytes, each in a segment of its own."""
        return tuple(
            part
            for segment in self.segments
            for part in ([None] if segment is None else [segment[at : at + 1] for at in range(len(segment))])
        )


def head(*lines: bytes, first: bytes = b"POST /leads HTTP/1.1") -> bytes:
    """A head of just these lines."""
    return b"\r\n".join((first, *lines, b"", b""))


def post(*lines: bytes, first: bytes = b"POST /leads HTTP/1.1", body: bytes = LEAD) -> bytes:
    """A good lead with these lines between its own; the body's length is said."""
    own = (HOST, AUTHORIZATION, FORM, b"Content-Length: %d" % len(body))
    return head(*own, *lines, first=first) + body


def framed(*lines: bytes, body: bytes = b"", first: bytes = b"POST /leads HTTP/1.1") -> bytes:
    """A good lead whose framing is in `lines`."""
    return head(HOST, AUTHORIZATION, FORM, *lines, first=first) + body


def chunked(body: bytes, *lines: bytes) -> bytes:
    """A lead with a body that is chunked already."""
    return framed(b"Transfer-Encoding: chunked", *lines, body=body)


CHUNK = b"%x\r\n%b\r\n" % (len(LEAD), LEAD)
END = b"0\r\n\r\n"
FIRST_CHUNKED = chunked(CHUNK + END)
SPLIT = b"".join(b"1\r\n%c\r\n" % octet for octet in LEAD)

# Framing that differs from a good request in one thing: what is sent, and what is said of it.
_TAKEN: tuple[tuple[str, bytes], ...] = (
    ("a plain lead", post()),
    ("a lead behind two empty lines", b"\r\n\r\n" + post()),
    ("a lead behind one line feed", b"\n" + post()),
    ("two spaces before the target", post(first=b"POST  /leads HTTP/1.1")),
    ("a query", post(first=b"POST /leads?x=1&y=%20 HTTP/1.1")),
    ("a request line of the greatest length", post(first=b"POST /leads?" + b"q" * (LARGEST_LINE - 21) + b" HTTP/1.1")),
    ("a host with a port", post().replace(b"gateway.test", b"gateway.test:8080")),
    ("a host with an empty port", post().replace(b"gateway.test", b"gateway.test:")),
    ("an IPv6 host", post().replace(b"gateway.test", b"[2001:db8::1]:8080")),
    ("a host with an underscore", post().replace(b"gateway.test", b"my_gateway")),
    ("field names in odd case", post().replace(b"Content-Length", b"cONTENT-lENGTH").replace(b"Host", b"hOST")),
    ("no space behind the colon", post().replace(b"Host: ", b"Host:")),
    ("spaces and tabs around values", post().replace(b"gateway.test", b" \tgateway.test \t")),
    ("a field without a value", post(b"X-Empty:")),
    ("octets beyond ASCII in a field that decides nothing", post(b"Referer: http://caf\xe9.example/\xc3\xa9")),
    ("a field of 12 KiB", post(b"X-Long: " + b"v" * 12 * 1024)),
    ("the most fields", post(*[b"X-%d: v" % n for n in range(MOST_FIELDS - 4)])),
    ("the largest head", post(b"X-Long: " + b"v" * (LARGEST_HEAD - len(post()) + len(LEAD) - 10))),
    ("keep-alive said in HTTP/1.1", post(b"Connection: keep-alive")),
    ("HTTP/1.0 with keep-alive", post(b"Connection: keep-alive", first=b"POST /leads HTTP/1.0")),
    ("leading zeros in the length", framed(b"Content-Length: 00%d" % len(LEAD), body=LEAD)),
    ("space behind the length", framed(b"Content-Length: %d \t" % len(LEAD), body=LEAD)),
    ("the largest body", post(body=LARGEST_LEAD)),
    ("an underscore name that looks like Transfer-Encoding", post(b"Transfer_Encoding: chunked")),
    ("an underscore name that looks like Content-Length", post(b"Content_Length: 3")),
    ("another field that ends in Transfer-Encoding", post(b"X-Transfer-Encoding: chunked")),
    ("TE and Trailer are nobody's framing", post(b"TE: trailers", b"Trailer: X-Sum")),
    ("Content-Encoding identity", post(b"Content-Encoding: identity")),
    ("Content-Encoding without a value", post(b"Content-Encoding:")),
    ("HTTP/1.0 expects nothing", post(b"Connection: keep-alive", b"Expect: tea", first=b"POST /leads HTTP/1.0")),
    ("one chunk", FIRST_CHUNKED),
    ("chunks of one byte", chunked(SPLIT + END)),
    ("Chunked in odd case", framed(b"Transfer-Encoding: ChunkeD", body=CHUNK + END)),
    ("spaces behind chunked", framed(b"Transfer-Encoding: chunked  ", body=CHUNK + END)),
    ("chunk sizes in upper case", chunked((b"%X\r\n" % len(LEAD)) + LEAD + b"\r\n" + END)),
    ("leading zeros in a chunk size", chunked(b"000" + CHUNK + b"000" + END)),
    ("a chunk extension", chunked(CHUNK.replace(b"\r\n", b";name=value\r\n", 1) + END)),
    ("a quoted chunk extension", chunked(CHUNK.replace(b"\r\n", b';name="a value"\r\n', 1) + END)),
    ("an extension of the last chunk", chunked(CHUNK + b"0;last\r\n\r\n")),
    ("a trailer", chunked(CHUNK + b"0\r\nX-Sum: 1\r\n\r\n")),
    ("several trailers", chunked(CHUNK + b"0\r\nX-Sum: 1\r\nX-Other: 2\r\n\r\n")),
    ("the largest chunked body", chunked(b"10000\r\n" + LARGEST_LEAD + b"\r\n" + END)),
)

# The answer to these closes, since the client said so or what follows is not a request.
_TAKEN_AND_CLOSED: tuple[tuple[str, bytes], ...] = (
    ("Connection: close", post(b"Connection: close")),
    ("Connection: close among others", post(b"Connection: x-one, Close")),
    ("HTTP/1.0", post(first=b"POST /leads HTTP/1.0")),
    ("HTTP/1.0 without a host", head(AUTHORIZATION, FORM, b"Content-Length: 33", first=b"POST /leads HTTP/1.0") + LEAD),
    ("an upgrade to WebSocket", post(b"Connection: Upgrade", b"Upgrade: websocket")),
    ("an upgrade to h2c", post(b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAM")),
    ("an upgrade that Connection does not name", post(b"Upgrade: websocket")),
    ("an upgrade with a chunked body", chunked(CHUNK + END, b"Connection: upgrade", b"Upgrade: websocket")),
)

# Not a request: 400, and nobody knows what follows.
_MALFORMED: tuple[tuple[str, bytes], ...] = (
    # The request line.
    ("a method in lower case", post(first=b"post /leads HTTP/1.1")),
    ("an unknown method", post(first=b"SUBMIT /leads HTTP/1.1")),
    ("a space in the method", post(first=b"PO ST /leads HTTP/1.1")),
    ("a space before the method", post(first=b" POST /leads HTTP/1.1")),
    ("a tab behind the method", post(first=b"POST\t/leads HTTP/1.1")),
    ("two spaces before the version", post(first=b"POST /leads  HTTP/1.1")),
    ("a tab before the version", post(first=b"POST /leads\tHTTP/1.1")),
    ("a space behind the version", post(first=b"POST /leads HTTP/1.1 ")),
    ("no version", b"POST /leads\r\n\r\n"),
    ("no target", post(first=b"POST HTTP/1.1")),
    ("an empty target", post(first=b"POST  HTTP/1.1")),
    ("a target without a slash", post(first=b"POST leads HTTP/1.1")),
    ("a space in the target", post(first=b"POST /le ads HTTP/1.1")),
    ("a tab in the target", post(first=b"POST /le\tads HTTP/1.1")),
    ("a backslash in the target", post(first=b"POST /leads\\..\\admin HTTP/1.1")),
    ("latin-1 in the target", post(first=b"POST /l\xe9ads HTTP/1.1")),
    ("UTF-8 in the target", post(first="POST /léads HTTP/1.1".encode())),
    ("NUL in the target", post(first=b"POST /leads\0 HTTP/1.1")),
    ("DEL in the target", post(first=b"POST /leads\x7f HTTP/1.1")),
    ("absolute-form", post(first=b"POST http://gateway.test/leads HTTP/1.1")),
    ("absolute-form with another host", post(first=b"POST http://elsewhere.test/leads HTTP/1.1")),
    ("absolute-form https", post(first=b"POST https://gateway.test/leads HTTP/1.1")),
    ("authority-form", post(first=b"POST gateway.test:80 HTTP/1.1")),
    ("CONNECT", head(HOST, first=b"CONNECT legacy.test:443 HTTP/1.1")),
    ("CONNECT to a path", head(HOST, AUTHORIZATION, first=b"CONNECT /leads HTTP/1.1")),
    ("an asterisk for a POST", post(first=b"POST * HTTP/1.1")),
    ("http/1.1 in lower case", post(first=b"POST /leads http/1.1")),
    ("HTTP/1.10", post(first=b"POST /leads HTTP/1.10")),
    ("HTTP/1,1", post(first=b"POST /leads HTTP/1,1")),
    ("HTTP/11", post(first=b"POST /leads HTTP/11")),
    ("HTTPS/1.1", post(first=b"POST /leads HTTPS/1.1")),
    ("HTTP 1.1", post(first=b"POST /leads HTTP 1.1")),
    ("a TLS hello", bytes.fromhex("16030100c8010000c403035b1f") + b"\0" * 64),
    ("an SSH banner", b"SSH-2.0-OpenSSH_9.2\r\n"),
    ("a line of nonsense", b"GARBAGE\r\n"),
    ("five leading bytes of empty lines", b"\r\n\r\n\n" + post()),
    ("six leading bytes of empty lines", b"\r\n\r\n\r\n" + post()),
    # Field lines.
    ("a field without a colon", post(b"nonsense")),
    ("a field without a name", post(b": value")),
    ("a space in a field name", post(b"X Name: value")),
    ("a space before the colon", post(b"X-Name : value")),
    ("a tab before the colon", post(b"X-Name\t: value")),
    ("a parenthesis in a field name", post(b"X-(Name): value")),
    ("latin-1 in a field name", post(b"X-N\xe9me: value")),
    ("NUL in a field name", post(b"X-Na\0me: value")),
    ("NUL in a value", post(b"X-Name: va\0lue")),
    ("a control character in a value", post(b"X-Name: va\x01lue")),
    ("vertical tab in a value", post(b"X-Name: va\x0blue")),
    ("DEL in a value", post(b"X-Name: va\x7flue")),
    ("ESC in a value", post(b"X-Name: \x1b[31m")),
    ("a bare CR in a value", post(b"X-Name: va\rlue")),
    ("a bare CR before a line break", post(b"X-Name: value\r")),
    ("a bare LF between fields", post(b"X-Name: value\nX-Other: value")),
    ("LF for every line break", post().replace(b"\r\n", b"\n")),
    ("LF behind the request line", post().replace(b"HTTP/1.1\r\n", b"HTTP/1.1\n")),
    ("a folded value", post(b"X-Name: value", b" folded")),
    ("a value folded by a tab", post(b"X-Name: value", b"\tfolded")),
    ("a folded first field", head(b" X-Name: value", HOST, AUTHORIZATION, FORM, b"Content-Length: 33") + LEAD),
    ("Sec-WebSocket-Key1 of an old draft", post(b"Sec-WebSocket-Key1: 4 @1  46546xW%0l 1 5")),
    ("octets beyond ASCII in Authorization", post().replace(b"Basic ", b"Basic \xe9")),
    ("octets beyond ASCII in Content-Type", post().replace(b"urlencoded", b"urlencoded; charset=\xe9")),
    ("octets beyond ASCII in X-Forwarded-For", post(b"X-Forwarded-For: \xe9, 192.0.2.1")),
    ("octets beyond ASCII in Connection", post(b"Connection: \xe9")),
    # Repeated fields.
    ("two Authorizations", post(AUTHORIZATION)),
    ("two Authorizations that differ", post(b"authorization: Basic eDp5")),
    ("two Content-Types", post(b"Content-Type: application/json")),
    ("two Content-Types alike", post(FORM)),
    ("two hosts", post(b"Host: elsewhere.test")),
    ("two hosts alike", post(HOST)),
    ("two User-Agents", post(b"User-Agent: a", b"User-Agent: b")),
    # Host.
    ("no host", post().replace(HOST + b"\r\n", b"")),
    ("an empty host", post().replace(b"gateway.test", b"")),
    ("a host of spaces", post().replace(b"gateway.test", b"  ")),
    ("user information in the host", post().replace(b"gateway.test", b"gateway.test@elsewhere.test")),
    ("a path in the host", post().replace(b"gateway.test", b"gateway.test/../elsewhere")),
    ("two names in the host", post().replace(b"gateway.test", b"gateway.test elsewhere.test")),
    ("a comma in the host", post().replace(b"gateway.test", b"gateway.test,elsewhere.test")),
    ("a question mark in the host", post().replace(b"gateway.test", b"gateway.test?x")),
    ("a number sign in the host", post().replace(b"gateway.test", b"gateway.test#x")),
    ("percent-encoding in the host", post().replace(b"gateway.test", b"gateway%2etest")),
    ("a word for a port", post().replace(b"gateway.test", b"gateway.test:http")),
    ("a port of six digits", post().replace(b"gateway.test", b"gateway.test:080800")),
    ("half an IPv6 host", post().replace(b"gateway.test", b"[2001:db8::1")),
    ("octets beyond ASCII in the host", post().replace(b"gateway.test", "gätaway.test".encode())),
    ("a bad host in HTTP/1.0", post(first=b"POST /leads HTTP/1.0").replace(b"gateway.test", b"a@b")),
    # Content-Length.
    ("two lengths alike", post(b"Content-Length: 33")),
    ("two lengths", post(b"Content-Length: 3")),
    ("two lengths in odd case", post(b"content-length: 0")),
    ("two lengths in one field", framed(b"Content-Length: 33, 33", body=LEAD)),
    ("a length with a sign", framed(b"Content-Length: +33", body=LEAD)),
    ("a negative length", framed(b"Content-Length: -1", body=LEAD)),
    ("a hexadecimal length", framed(b"Content-Length: 0x21", body=LEAD)),
    ("an underscore in the length", framed(b"Content-Length: 3_3", body=LEAD)),
    ("a space in the length", framed(b"Content-Length: 3 3", body=LEAD)),
    ("a decimal length", framed(b"Content-Length: 33.0", body=LEAD)),
    ("an exponent in the length", framed(b"Content-Length: 3e1", body=LEAD)),
    ("an empty length", framed(b"Content-Length:", body=LEAD)),
    ("a length that overflows 64 bits", framed(b"Content-Length: 18446744073709551619", body=b"abc")),
    ("Arabic digits in the length", framed("Content-Length: ٣٣".encode(), body=LEAD)),
    ("a folded length", framed(b"Content-Length:", b" 33", body=LEAD)),
    ("a space before the length's colon", framed(b"Content-Length : 33", body=LEAD)),
    # Transfer-Encoding.
    ("a length and chunked", post(b"Transfer-Encoding: chunked")),
    ("chunked and a length", framed(b"Transfer-Encoding: chunked", b"Content-Length: 5", body=END)),
    ("an empty transfer coding and a length", post(b"Transfer-Encoding:")),
    ("an empty transfer coding", framed(b"Transfer-Encoding:", body=END)),
    ("chunked in HTTP/1.0", framed(b"Transfer-Encoding: chunked", body=END, first=b"POST /leads HTTP/1.0")),
    ("chunked twice in one field", framed(b"Transfer-Encoding: chunked, chunked", body=END)),
    ("chunked twice", framed(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked", body=END)),
    ("chunked and identity twice", framed(b"Transfer-Encoding: chunked", b"Transfer-encoding: identity", body=END)),
    ("chunked before identity", framed(b"Transfer-Encoding: chunked, identity", body=END)),
    ("identity", framed(b"Transfer-Encoding: identity", body=LEAD)),
    ("gzip without chunked", framed(b"Transfer-Encoding: gzip", body=LEAD)),
    ("xchunked", framed(b"Transfer-Encoding: xchunked", body=END)),
    ("chunked in quotes", framed(b'Transfer-Encoding: "chunked"', body=END)),
    ("chunked with a parameter", framed(b"Transfer-Encoding: chunked;q=1", body=END)),
    ("chunked behind a vertical tab", framed(b"Transfer-Encoding: \x0bchunked", body=END)),
    ("chunked behind a folding", framed(b"Transfer-Encoding:", b" chunked", body=END)),
    ("a folded chunked", framed(b"Transfer-Encoding: chunked", b" , identity", body=END)),
    ("chunked behind a comma", framed(b"Transfer-Encoding: ,chunked", body=END)),
    ("chunked before a comma", framed(b"Transfer-Encoding: chunked,", body=END)),
    ("chunked behind a bare LF", post(b"X-Name: value\nTransfer-Encoding: chunked")),
    ("chunked behind a bare CR", post(b"X-Name: value\rTransfer-Encoding: chunked")),
    ("a tab behind chunked", framed(b"Transfer-Encoding: chunked\t", body=END)),
    ("a space before the coding's colon", framed(b"Transfer-Encoding : chunked", body=END)),
    ("octets beyond ASCII in the coding", framed(b"Transfer-Encoding: chunked\xa0", body=END)),
    # Chunked bodies.
    ("a chunk size with 0x", chunked(b"0x3\r\nabc\r\n" + END)),
    ("a negative chunk size", chunked(b"-3\r\nabc\r\n" + END)),
    ("a chunk size with a sign", chunked(b"+3\r\nabc\r\n" + END)),
    ("a space behind a chunk size", chunked(b"3 \r\nabc\r\n" + END)),
    ("a space before a chunk size", chunked(b" 3\r\nabc\r\n" + END)),
    ("a space before an extension", chunked(b"3 ;x\r\nabc\r\n" + END)),
    ("no chunk size", chunked(b"\r\nabc\r\n" + END)),
    ("no chunk size but an extension", chunked(b";x\r\nabc\r\n" + END)),
    ("a chunk size that is none", chunked(b"g\r\nabc\r\n" + END)),
    ("an underscore in a chunk size", chunked(b"0_3\r\nabc\r\n" + END)),
    ("a chunk size of 17 digits", chunked(b"00000000000000003\r\nabc\r\n" + END)),
    ("LF behind a chunk size", chunked(b"3\nabc\r\n" + END)),
    ("LF behind chunk data", chunked(b"3\r\nabc\n" + END)),
    ("LF behind the last chunk", chunked(b"3\r\nabc\r\n0\n\n")),
    ("LF among the trailers", chunked(b"3\r\nabc\r\n0\r\nX-Sum: 1\n\r\n")),
    ("LF in a chunk extension", chunked(b"3;x\ny\r\nabc\r\n" + END)),
    ("CR in a chunk extension", chunked(b"3;x\ry\r\nabc\r\n" + END)),
    ("NUL in a chunk extension", chunked(b"3;x\0y\r\nabc\r\n" + END)),
    ("more data than the chunk size", chunked(b"3\r\nabcdef\r\n" + END)),
    ("no line break behind chunk data", chunked(b"3\r\nabc" + END)),
    ("a length among the trailers", chunked(CHUNK + b"0\r\nContent-Length: 3\r\n\r\n")),
    ("a trailer without a colon", chunked(CHUNK + b"0\r\nnonsense\r\n\r\n")),
    ("a folded trailer", chunked(CHUNK + b"0\r\nX-Sum: 1\r\n 2\r\n\r\n")),
    ("200 trailers", chunked(CHUNK + b"0\r\n" + b"X-Sum: 1\r\n" * 200 + b"\r\n")),
    ("a trailer of 64 KiB", chunked(CHUNK + b"0\r\nX-Sum: " + b"1" * 64 * 1024 + b"\r\n\r\n")),
)

# Refused for another reason, by name of the reason; all of them close.
_REFUSED: tuple[tuple[str, bytes, tuple[int, str]], ...] = (
    ("HTTP/2.0", post(first=b"POST /leads HTTP/2.0"), VERSION),
    ("HTTP/1.2", post(first=b"POST /leads HTTP/1.2"), VERSION),
    ("HTTP/0.9", post(first=b"POST /leads HTTP/0.9"), VERSION),
    ("HTTP/3.0", post(first=b"POST /leads HTTP/3.0"), VERSION),
    ("HTTP/2 without a minor version", post(first=b"POST /leads HTTP/2"), VERSION),
    ("the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", VERSION),
    ("a request line of 4097 bytes", post(first=b"POST /leads?" + b"q" * (LARGEST_LINE - 20) + b" HTTP/1.1"), URI),
    ("a request line without an end", b"POST /" + b"a" * 5000, URI),
    ("a head of 16 KiB and a byte", post(b"X-Long: " + b"v" * (LARGEST_HEAD - len(post()) + len(LEAD) - 9)), HEADERS),
    ("a head without an end", post()[:-37] + b"\r\nX-Long: " + b"v" * 17 * 1024, HEADERS),
    ("65 fields", post(*[b"X-%d: v" % n for n in range(MOST_FIELDS - 3)]), HEADERS),
    ("1000 fields", post(*[b"X-%d: v" % n for n in range(1000)]), HEADERS),
    ("120 fields of 8000 bytes", post(*[b"X-%d: " % n + b"v" * 8000 for n in range(120)]), HEADERS),
    ("identity before chunked", framed(b"Transfer-Encoding: identity, chunked", body=END), CODING),
    ("gzip before chunked", framed(b"Transfer-Encoding: gzip, chunked", body=END), CODING),
    ("an unknown coding before chunked", framed(b"Transfer-Encoding: x-one,\tx-two , chunked", body=END), CODING),
    ("a length over the limit", post(body=LARGEST_LEAD + b"x"), TOO_LARGE),
    ("a length far over the limit", framed(b"Content-Length: 9999999999999999999"), TOO_LARGE),
    ("a megabyte", post(body=b"x" * 1024 * 1024), TOO_LARGE),
    ("chunks over the limit", chunked(b"10001\r\n" + LARGEST_LEAD + b"x\r\n" + END), TOO_LARGE),
    ("a chunk size far over the limit", chunked(b"FFFFFFFFFFFFFFFF\r\n"), TOO_LARGE),
    ("many chunks over the limit", chunked((b"1000\r\n" + b"x" * 4096 + b"\r\n") * 17 + END), TOO_LARGE),
    ("a chunk extension of 160 KiB", chunked(b"3;" + b"x" * 160 * 1024 + b"\r\nabc\r\n" + END), TOO_LARGE),
    ("chunks that are mostly extension", chunked((b"1;" + b"x" * 1024 + b"\r\na\r\n") * 150 + END), TOO_LARGE),
    ("trailers without an end", chunked(CHUNK + b"0\r\n" + b"X-Sum: 1\r\n" * 16000), TOO_LARGE),
    ("Content-Encoding gzip", post(b"Content-Encoding: gzip"), MEDIA),
    ("Content-Encoding br", post(b"Content-Encoding: br"), MEDIA),
    ("an unknown Content-Encoding", post(b"Content-Encoding: x-own"), MEDIA),
    ("Content-Encoding gzip twice", post(b"Content-Encoding: gzip, gzip"), MEDIA),
    ("Content-Encoding identity and gzip", post(b"Content-Encoding: identity", b"Content-Encoding: gzip"), MEDIA),
    ("Content-Encoding gzip of a chunked body", chunked(CHUNK + END, b"Content-Encoding: gzip"), MEDIA),
    ("an unknown expectation", post(b"Expect: tea"), EXPECTATION),
    ("an unknown expectation among others", post(b"Expect: 100-continue, tea"), EXPECTATION),
    ("an expectation with a value", post(b"Expect: 100-continue=yes"), EXPECTATION),
    ("an empty expectation", post(b"Expect:"), EXPECTATION),
    ("a path that leaves and returns", post(first=b"POST /other/../leads HTTP/1.1"), NOT_FOUND),
    ("two slashes", post(first=b"POST //leads HTTP/1.1"), NOT_FOUND),
    ("another authority behind two slashes", post(first=b"POST //elsewhere.test/leads HTTP/1.1"), NOT_FOUND),
    ("a slash behind the path", post(first=b"POST /leads/ HTTP/1.1"), NOT_FOUND),
    ("the path in upper case", post(first=b"POST /LEADS HTTP/1.1"), NOT_FOUND),
    ("the path percent-encoded", post(first=b"POST /lead%73 HTTP/1.1"), NOT_FOUND),
    ("a percent-encoded NUL", post(first=b"POST /leads%00 HTTP/1.1"), NOT_FOUND),
    ("a bad percent-encoding", post(first=b"POST /leads%zz HTTP/1.1"), NOT_FOUND),
    ("percent-encoded dots", post(first=b"POST /%2e%2e%2fleads HTTP/1.1"), NOT_FOUND),
    ("a path parameter", post(first=b"POST /leads;x=1 HTTP/1.1"), NOT_FOUND),
    ("a fragment", post(first=b"POST /leads#fragment HTTP/1.1"), NOT_FOUND),
    ("GET", head(HOST, AUTHORIZATION, first=b"GET /leads HTTP/1.1"), METHOD),
    ("GET with a body", post(first=b"GET /leads HTTP/1.1"), METHOD),
    ("GET with chunks", FIRST_CHUNKED.replace(b"POST", b"GET"), METHOD),
    ("OPTIONS", head(HOST, first=b"OPTIONS /leads HTTP/1.1"), METHOD),
    ("OPTIONS with a body", post(first=b"OPTIONS /leads HTTP/1.1"), METHOD),
    ("OPTIONS of the server", head(HOST, first=b"OPTIONS * HTTP/1.1"), NOT_FOUND),
    ("PUT", post(first=b"PUT /leads HTTP/1.1"), METHOD),
    ("PATCH", post(first=b"PATCH /leads HTTP/1.1"), METHOD),
    ("DELETE", head(HOST, AUTHORIZATION, first=b"DELETE /leads HTTP/1.1"), METHOD),
    ("TRACE", head(HOST, first=b"TRACE /leads HTTP/1.1"), METHOD),
    ("a stranger's chunked body", FIRST_CHUNKED.replace(AUTHORIZATION + b"\r\n", b""), UNAUTHORIZED),
)

_STRANGER = post().replace(AUTHORIZATION + b"\r\n", b"")
_GREETING = framed(b"Content-Length: %d" % len(LEAD), b"Expect: 100-continue")
_SECOND = post(b"X-Second: yes")

# What is neither one request nor one answer.
_OTHERS: tuple[RawRequest, ...] = (
    RawRequest("a stranger", (_STRANGER,), (UNAUTHORIZED,), closes=False, leads=0, indivisible=True),
    RawRequest("no length and no body", (framed(),), (INVALID,), closes=False, leads=0),
    RawRequest("a length of nothing", (framed(b"Content-Length: 0"),), (INVALID,), closes=False, leads=0),
    RawRequest("only a last chunk", (chunked(END),), (INVALID,), closes=False, leads=0),
    # HEAD has no body, whatever is said.
    RawRequest("HEAD", (head(HOST, first=b"HEAD /leads HTTP/1.1"),), ((405, ""),), closes=True, leads=0, bodiless=True),
    RawRequest("HEAD with a body", (post(first=b"HEAD /leads HTTP/1.1"),), ((405, ""),), True, 0, bodiless=True),
    RawRequest("HEAD elsewhere", (head(HOST, first=b"HEAD / HTTP/1.1"),), ((404, ""),), True, 0, bodiless=True),
    RawRequest("a malformed HEAD", (head(first=b"HEAD /leads HTTP/1.1"),), ((400, ""),), True, 0, bodiless=True),
    # The body is invited once the credential is known, and only if it can be taken.
    RawRequest("100-continue", (_GREETING, None, LEAD), (CONTINUE, ACCEPTED), closes=False, leads=1),
    RawRequest(
        "100-continue in odd case",
        (_GREETING.replace(b"100-continue", b"100-Continue"), None, LEAD),
        (CONTINUE, ACCEPTED),
        closes=False,
        leads=1,
    ),
    RawRequest(
        "100-continue for chunks",
        (chunked(b"", b"Expect: 100-continue"), None, CHUNK, END),
        (CONTINUE, ACCEPTED),
        closes=False,
        leads=1,
    ),
    RawRequest("100-continue with the body behind it", (_GREETING + LEAD,), (ACCEPTED,), False, 1, indivisible=True),
    RawRequest(
        "100-continue with half the body behind it",
        (_GREETING + LEAD[:5], LEAD[5:]),
        (ACCEPTED,),
        closes=False,
        leads=1,
        indivisible=True,
    ),
    RawRequest("100-continue without a body", (framed(b"Expect: 100-continue"),), (INVALID,), closes=False, leads=0),
    RawRequest(
        "100-continue of a stranger",
        (_GREETING.replace(AUTHORIZATION + b"\r\n", b""),),
        (UNAUTHORIZED,),
        closes=True,
        leads=0,
    ),
    RawRequest("100-continue elsewhere", (_GREETING.replace(b"/leads", b"/"),), (NOT_FOUND,), closes=True, leads=0),
    RawRequest("100-continue for a GET", (_GREETING.replace(b"POST", b"GET"),), (METHOD,), closes=True, leads=0),
    RawRequest(
        "100-continue for too much",
        (framed(b"Content-Length: 65537", b"Expect: 100-continue"),),
        (TOO_LARGE,),
        closes=True,
        leads=0,
    ),
    RawRequest(
        "100-continue for gzip",
        (framed(b"Content-Length: 33", b"Expect: 100-continue", b"Content-Encoding: gzip"),),
        (MEDIA,),
        closes=True,
        leads=0,
    ),
    # Segments.
    RawRequest("head and body apart", (post()[: -len(LEAD)], LEAD), (ACCEPTED,), closes=False, leads=1),
    RawRequest("a body in two parts", (post()[:-10], post()[-10:]), (ACCEPTED,), closes=False, leads=1),
    RawRequest("a head cut in its last line break", (post()[:-34], post()[-34:]), (ACCEPTED,), closes=False, leads=1),
    RawRequest("chunks cut anywhere", (FIRST_CHUNKED[:-20], FIRST_CHUNKED[-20:]), (ACCEPTED,), closes=False, leads=1),
    RawRequest("an empty line, then a lead", (b"\r\n", post()), (ACCEPTED,), closes=False, leads=1),
    # One behind another.
    RawRequest("two leads at once", (post() + _SECOND,), (ACCEPTED, ACCEPTED), closes=False, leads=2),
    RawRequest("ten leads at once", (post() * 10,), (ACCEPTED,) * 10, closes=False, leads=10),
    RawRequest("two leads with chunks", (FIRST_CHUNKED * 2,), (ACCEPTED, ACCEPTED), closes=False, leads=2),
    RawRequest("a lead, half a lead, the rest", (post() + post()[:99], post()[99:]), (ACCEPTED,) * 2, False, 2),
    RawRequest("an empty line between two leads", (post() + b"\r\n" + post(),), (ACCEPTED,) * 2, False, 2),
    RawRequest("a line feed between two leads", (post() + b"\n" + post(),), (ACCEPTED,) * 2, False, 2),
    RawRequest("a stranger, then a lead", (_STRANGER + post(),), (UNAUTHORIZED, ACCEPTED), False, 1, indivisible=True),
    RawRequest("an empty body, then a lead", (framed() + post(),), (INVALID, ACCEPTED), closes=False, leads=1),
    RawRequest("garbage behind a lead", (post() + b"\0\1\2\3",), (ACCEPTED, MALFORMED), closes=True, leads=1),
    RawRequest("a letter behind a lead", (post() + b"x\r\n",), (ACCEPTED, MALFORMED), closes=True, leads=1),
    RawRequest(
        "a body longer than its length",
        (framed(b"Content-Length: %d" % len(LEAD), body=LEAD + b"&ssn=123-45-6789\r\n"),),
        (ACCEPTED, MALFORMED),
        closes=True,
        leads=1,
    ),
    RawRequest("garbage behind chunks", (FIRST_CHUNKED + b"}{",), (ACCEPTED, MALFORMED), closes=True, leads=1),
    RawRequest("a lead behind garbage", (b"}{\r\n\r\n" + post(),), (MALFORMED,), closes=True, leads=0),
    RawRequest("a bad head behind a lead", (post() + post(HOST),), (ACCEPTED, MALFORMED), closes=True, leads=1),
    RawRequest("a lead behind a bad head", (post(HOST) + post(),), (MALFORMED,), closes=True, leads=0),
    RawRequest("a lead behind Connection: close", (post(b"Connection: close") + post(),), (ACCEPTED,), True, 1),
    RawRequest("a lead behind HTTP/1.0", (post(first=b"POST /leads HTTP/1.0") + post(),), (ACCEPTED,), True, 1),
    RawRequest(
        "a lead behind an upgrade",
        (post(b"Connection: Upgrade", b"Upgrade: websocket") + post(),),
        (ACCEPTED,),
        closes=True,
        leads=1,
    ),
    RawRequest(
        "a lead behind an upgrade without a body",
        (framed(b"Connection: Upgrade", b"Upgrade: websocket") + post(),),
        (INVALID,),
        closes=True,
        leads=0,
    ),
    RawRequest("a lead behind a GET", (head(HOST, first=b"GET /leads HTTP/1.1") + post(),), (METHOD,), True, 0),
    RawRequest("a lead behind a GET's body", (post(first=b"GET /leads HTTP/1.1") + post(),), (METHOD,), True, 0),
    RawRequest("a lead in a GET's body", (post(first=b"GET /leads HTTP/1.1", body=post()),), (METHOD,), True, 0),
    RawRequest("a lead behind too large a body", (post(body=LARGEST_LEAD + b"x") + post(),), (TOO_LARGE,), True, 0),
    RawRequest("a lead behind bad chunks", (chunked(b"g\r\n" + END) + post(),), (MALFORMED,), closes=True, leads=0),
    RawRequest(
        "a lead in a chunked body with a length (CL.TE)",
        (framed(b"Content-Length: 4", b"Transfer-Encoding: chunked", body=END + post()),),
        (MALFORMED,),
        closes=True,
        leads=0,
    ),
    RawRequest(
        "a lead behind a hidden coding (TE.CL)",
        (framed(b"Content-Length: 5", b"Transfer-Encoding : chunked", body=END + post()),),
        (MALFORMED,),
        closes=True,
        leads=0,
    ),
    RawRequest(
        "a lead behind a coding with an underscore",
        (framed(b"Content-Length: %d" % len(LEAD), b"Transfer_Encoding: chunked", body=LEAD) + post(),),
        (ACCEPTED, ACCEPTED),
        closes=False,
        leads=2,
    ),
    # The client ends its half.
    RawRequest("an end behind a lead", (post(),), (ACCEPTED,), closes=True, leads=1, shut=True),
    RawRequest("an end behind two leads", (post() * 2,), (ACCEPTED, ACCEPTED), closes=True, leads=2, shut=True),
    RawRequest("an end behind chunks", (FIRST_CHUNKED,), (ACCEPTED,), closes=True, leads=1, shut=True),
    RawRequest("an end behind a lead and an empty line", (post() + b"\r\n",), (ACCEPTED,), True, 1, shut=True),
    RawRequest("an end in the request line", (b"POST /le",), (MALFORMED,), closes=True, leads=0, shut=True),
    RawRequest("an end behind one letter", (b"P",), (MALFORMED,), closes=True, leads=0, shut=True),
    RawRequest("an end in the head", (post()[:60],), (MALFORMED,), closes=True, leads=0, shut=True),
    RawRequest("an end in the body", (post()[:-1],), (MALFORMED,), closes=True, leads=0, shut=True),
    RawRequest("an end before the body", (post()[: -len(LEAD)],), (MALFORMED,), closes=True, leads=0, shut=True),
    RawRequest("an end in a chunk", (FIRST_CHUNKED[:-9],), (MALFORMED,), closes=True, leads=0, shut=True),
    RawRequest("an end before the last chunk", (chunked(CHUNK),), (MALFORMED,), closes=True, leads=0, shut=True),
    RawRequest("an end in the trailers", (chunked(CHUNK + b"0\r\n"),), (MALFORMED,), closes=True, leads=0, shut=True),
    RawRequest("an end in the second head", (post() + b"POST",), (ACCEPTED, MALFORMED), True, 1, shut=True),
    RawRequest("an end in the second body", (post() + post()[:-1],), (ACCEPTED, MALFORMED), True, 1, shut=True),
    RawRequest("an end of HTTP/0.9", (b"GET /leads",), (MALFORMED,), closes=True, leads=0, shut=True),
    # No request has begun: not a word.
    RawRequest("an end at once", (), (), closes=True, leads=0, shut=True),
    RawRequest("an end behind an empty line", (b"\r\n",), (), closes=True, leads=0, shut=True),
    RawRequest("an end behind many empty lines", (b"\r\n" * 100,), (), closes=True, leads=0, shut=True),
    RawRequest("16 KiB of empty lines", (b"\r\n" * 8193,), (), closes=True, leads=0),
)

RAW_REQUESTS: tuple[RawRequest, ...] = (
    *(RawRequest(id, (data,), (ACCEPTED,), closes=False, leads=1) for id, data in _TAKEN),
    *(RawRequest(id, (data,), (ACCEPTED,), closes=True, leads=1) for id, data in _TAKEN_AND_CLOSED),
    *(RawRequest(id, (data,), (MALFORMED,), closes=True, leads=0) for id, data in _MALFORMED),
    *(RawRequest(id, (data,), (told,), closes=True, leads=0) for id, data, told in _REFUSED),
    *_OTHERS,
)
