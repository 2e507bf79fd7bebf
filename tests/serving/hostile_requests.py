"""Requests that nobody should send, as the bytes that arrive: each has to be refused or hung up on."""

import base64
import gzip
import io
import json
import struct
import zlib
from collections.abc import Iterator
from typing import Any

from PIL import Image

from tests.support.served_versions import NAME

PREDICT, V1, V2 = "/predict", f"/v1/models/{NAME}:predict", f"/v2/models/{NAME}/infer"
ROW = [0] * 28
ROWS = [ROW] * 28
MEGABYTE = 2**20


def request(path: str, body: bytes = b"", *headers: str, method: str = "POST", host: str = "x") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def raw(head: str, body: bytes = b"") -> bytes:
    return head.replace("\n", "\r\n").encode("latin-1") + body


def with_row(values: str) -> str:
    """A picture whose first row holds the JSON *values*."""
    return f'{{"image": [[{values}], {json.dumps(ROWS[1:])[1:-1]}]}}'


def with_pixel(value: str) -> str:
    return with_row(", ".join([value, *["0"] * 27]))


def bodies_of_predict() -> Iterator[tuple[str, str | bytes]]:
    yield from (
        ("nothing", ""), ("null", "null"), ("true", "true"), ("a number", "1"), ("text", '"x"'), ("a list", "[]"),
        ("an empty object", "{}"), ("image null", '{"image": null}'), ("image text", '{"image": "x"}'),
        ("no rows", '{"image": []}'), ("an empty row", '{"image": [[]]}'), ("empty rows", '{"image": [[], []]}'),
        ("27 rows", json.dumps({"image": ROWS[1:]})), ("29 columns", json.dumps({"image": [[0] * 29] * 28})),
        ("flat", json.dumps({"image": [0] * 784})), ("ragged", with_row("0, 0")),
        ("two channels", json.dumps({"image": [[[0, 0]] * 28] * 28})),
        ("five levels", '{"image": [[[[[0]]]]]}'), ("a batch", json.dumps({"image": [ROWS]})),
        ("300", with_pixel("300")), ("-1", with_pixel("-1")), ("0.5", with_pixel("0.5")),
        ("1e999", with_pixel("1e999")), ("NaN", with_pixel("NaN")), ("Infinity", with_pixel("-Infinity")),
        ("2^63", with_pixel(str(2**63))), ("2^64", with_pixel(str(2**64))), ("2^200", with_pixel(str(2**200))),
        ("a million digits", with_pixel("9" * MEGABYTE)), ("1e308", with_pixel("1e308")),
        ("text as a pixel", with_pixel('"7"')), ("true as a pixel", with_pixel("true")),
        ("null as a pixel", with_pixel("null")), ("an object as a pixel", with_pixel("{}")),
        ("a list as a pixel", with_pixel("[0]")), ("hexadecimal", with_pixel("0x10")), ("octal", with_pixel("010")),
        ("b64 a number", '{"image": {"b64": 5}}'), ("b64 empty", '{"image": {"b64": ""}}'),
        ("b64 wrong", '{"image": {"b64": "%%%%"}}'), ("b64 no picture", '{"image": {"b64": "AAAA"}}'),
        ("b64 missing", '{"image": {}}'), ("b64 not ASCII", '{"image": {"b64": "ÄÖÜ="}}'),
        ("cut off", json.dumps({"image": ROWS})[:-20]), ("two documents", json.dumps({"image": ROWS}) + "{}"),
        ("a comment", '/* x */ {"image": []}'), ("single quotes", "{'image': []}"),
        ("100,000 lists", "[" * 100_000), ("100,000 objects", '{"image":' * 100_000),
        ("100,000 lists, closed", '{"image": ' + "[" * 100_000 + "]" * 100_000 + "}"),
    )  # fmt: skip
    yield "not UTF-8", b'{"image": "\xff\xfe"}'
    yield "NUL", b"\0" * 1000
    yield "a byte order mark", b"\xef\xbb\xbf{}"
    yield "UTF-16", '{"image": []}'.encode("utf-16")


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, *, data: bytes = b"", extra: bytes = b"", depth: int = 8, colour: int = 0) -> bytes:
    """A PNG file whose header says what it likes."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    content = chunk(b"IHDR", header) + extra + chunk(b"IDAT", data or zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + content


def picture(kind: str, size: tuple[int, int] = (28, 28), **options: object) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size).save(file, kind, **options)
    return file.getvalue()


def pictures() -> Iterator[tuple[str, bytes]]:
    bomb = zlib.compress(bytes(200 * MEGABYTE), 1)
    grey = Image.new("L", (28, 28))
    yield "60,000 x 60,000", png(60_000, 60_000)
    yield "12,000 x 12,000, all there", png(12_000, 12_000, data=zlib.compress(bytes(12_000 * 12_001), 1))
    yield "2^31 pixels wide", png(2**31 - 1, 1)
    yield "no pixels", png(0, 0)
    yield "a zTXt bomb", png(28, 28, extra=chunk(b"zTXt", b"a\0\0" + bomb))
    yield "an iCCP bomb", png(28, 28, extra=chunk(b"iCCP", b"a\0\0" + bomb))
    yield "too few pixels", png(28, 28)
    yield "a colour type that does not exist", png(28, 28, colour=7)
    yield "a depth that does not exist", png(28, 28, depth=77)
    yield "only a signature", b"\x89PNG\r\n\x1a\n"
    yield "cut off", picture("PNG", (200, 200))[:60]
    yield "a wrong checksum", picture("PNG").replace(b"IHDR\0\0\0\x1c", b"IHDR\0\0\0\x1d")
    yield "an animation", picture("PNG", save_all=True, append_images=[grey.convert("RGB").point(lambda v: v + 9)])
    yield "half a JPEG header", b"\xff\xd8\xff\xe0"
    yield "a JPEG without data", picture("JPEG")[:300]
    large = bytearray(picture("JPEG"))
    at = large.index(b"\xff\xc0") + 5
    large[at : at + 4] = struct.pack(">HH", 65_500, 65_500)
    yield "65,500 x 65,500 JPEG", bytes(large)
    for kind in ("GIF", "BMP", "TIFF", "WEBP", "PPM", "ICO", "PDF", "EPS", "TGA", "ICNS"):
        yield kind, picture(kind, (32, 32))
    yield "SVG", b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>'
    yield "a pickle", b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00\x8c\x02os\x94\x8c\x06system\x94\x93\x94."
    yield "nothing", b""


def tf_serving() -> Iterator[tuple[str, object]]:
    yield "too many images", {"instances": [[[0] * 28] * 28] * 1025}
    yield "no images", {"instances": []}
    yield "both forms", {"instances": [ROWS], "inputs": [ROWS]}
    yield "neither form", {"signature_name": "serving_default"}
    yield "instances an object", {"instances": {"a": 1}}
    yield "instances text", {"instances": "x"}
    yield "another signature", {"signature_name": "../../etc", "instances": [ROWS]}
    yield "a signature of a million letters", {"signature_name": "x" * MEGABYTE, "instances": [ROWS]}
    yield "files and numbers", {"instances": [{"b64": "AAAA"}, ROWS]}
    yield "an instance with both", {"instances": [{"b64": "AAAA", "images": ROWS}]}
    yield "an instance with neither", {"instances": [{}]}
    yield "another input", {"inputs": {"pixels": [ROWS]}}
    yield "a thousand small files", {"instances": [{"b64": "AAAA"}] * 1000}
    yield "1,025 files", {"instances": [{"b64": ""}] * 1025}


def tensor(**changes: object) -> dict[str, object]:
    given = {"name": "images", "shape": [1, 28, 28, 1], "datatype": "UINT8", "data": [0] * 784} | changes
    return {"inputs": [{name: value for name, value in given.items() if value is not None}]}


def open_inference() -> Iterator[tuple[str, object]]:
    yield "no inputs", {"inputs": []}
    yield "two inputs", {"inputs": tensor()["inputs"] * 2}  # type: ignore[operator]
    yield "another name", tensor(name="x" * 100_000)
    yield "no datatype", tensor(datatype=None)
    yield "another datatype", tensor(datatype="COMPLEX128")
    yield "no data", tensor(data=None)
    yield "data an object", tensor(data={})
    yield "too little data", tensor(data=[0])
    yield "a shape of 2^64", tensor(shape=[2**64, 28, 28, 1])
    yield "a shape whose product is 0", tensor(shape=[0, 2**63, 2**63, 2**63], data=[])
    yield "a shape that overflows to 784", tensor(shape=[2**32, 2**32, 28, 28, 1])
    yield "a negative shape", tensor(shape=[-1, 28, 28, 1])
    yield "a shape of fractions", tensor(shape=[1.5, 28, 28, 1])
    yield "a shape of 10,000 ones", tensor(shape=[1] * 10_000 + [28, 28, 1])
    yield "no shape", tensor(shape=[])
    yield "an id that is a number", tensor() | {"id": 42}
    yield "an id that is a list", tensor() | {"id": [1]}
    yield "another output", tensor() | {"outputs": [{"name": "x"}]}
    yield "parameters a list", tensor(parameters=[])
    yield "a binary size without binary data", tensor(parameters={"binary_data_size": 784}, data=None)
    yield "a negative binary size", tensor(parameters={"binary_data_size": -784}, data=None)
    yield "a binary size of 2^80", tensor(parameters={"binary_data_size": 2**80}, data=None)
    yield "files that are none", tensor(shape=[2], datatype="BYTES", data=["AAAA", "AAAA"])
    yield "numbers as files", tensor(shape=[784], datatype="BYTES")


def binary(tail: bytes, length: str = "", **changes: Any) -> bytes:
    head = json.dumps(tensor(data=None, **changes)).encode()
    return request(V2, head + tail, f"Inference-Header-Content-Length: {length or len(head)}")


def binary_tensors() -> Iterator[tuple[str, bytes]]:
    for length in ("-1", "99999999", "1e3", "0x10", "9" * 5000, "1"):
        yield f"a header length of {length[:10]}", binary(bytes(784), length, parameters={"binary_data_size": 784})
    yield "fewer bytes than said", binary(bytes(7), parameters={"binary_data_size": 784})
    yield "more bytes than said", binary(bytes(999), parameters={"binary_data_size": 784})
    yield (
        "a datatype that does not divide them",
        binary(bytes(783), datatype="FP64", parameters={"binary_data_size": 783}),
    )
    nan = struct.pack("<f", float("nan")) * 784
    yield "NaN in FP32", binary(nan, datatype="FP32", parameters={"binary_data_size": len(nan)})
    for name, tail in (
        ("a length of 2^32 - 1", b"\xff\xff\xff\xffabc"),
        ("a length that is cut off", b"\x01\0"),
        ("lengths of 0", bytes(4000)),
    ):
        changes: dict[str, Any] = {"datatype": "BYTES", "shape": [1], "parameters": {"binary_data_size": len(tail)}}
        yield f"BYTES, {name}", binary(tail, **changes)


def of_http() -> Iterator[tuple[str, bytes]]:
    """Requests that are no HTTP, or that say something strange of themselves."""
    yield "no such method", raw("BREW /predict HTTP/1.1\nHost: x\n\n")
    yield "a method of 10 kB", raw("X" * 10_000 + " / HTTP/1.1\n\n")
    yield "HTTP/9.9", raw("GET / HTTP/9.9\nHost: x\n\n")
    yield "no version", raw("GET /nowhere\n\n")
    yield "a header without a colon", raw("GET / HTTP/1.1\nnonsense\n\n")
    yield "a header of 100 kB", raw(f"GET / HTTP/1.1\nX: {'a' * 100_000}\n\n")
    yield "10,000 headers", raw("GET / HTTP/1.1\n" + "X: a\n" * 10_000 + "\n")
    yield "an endless header", raw("GET / HTTP/1.1\nX: ") + b"a" * MEGABYTE
    yield "NUL in a header", raw("GET / HTTP/1.1\nX: a\0b\n\n")
    yield "a folded header", raw("GET / HTTP/1.1\nX: a\n b\nY : c\n\n")
    yield "a path of 100 kB", request("/" + "a" * 100_000, method="GET")
    yield "a path outside", request("/../../etc/passwd", method="GET")
    yield "an encoded path outside", request("/%2e%2e/%2e%2e/etc/passwd%00", method="GET")
    yield "a path that is not ASCII", raw("GET /\xff\xfe HTTP/1.1\nHost: x\n\n")
    yield "a version of 1,000 digits", request(f"/v1/models/{NAME}/versions/{'9' * 1000}", method="GET")
    yield "TRACE", request("/predict", method="TRACE")
    yield "CONNECT", raw("CONNECT example.org:443 HTTP/1.1\nHost: example.org\n\n")
    yield "a proxy's address", raw("GET http://example.org/nowhere HTTP/1.1\nHost: example.org\n\n")
    yield "HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(100)
    yield "TLS", bytes.fromhex("16030100c8010000c40303") + bytes(200)
    yield "random bytes", bytes(range(256)) * 40
    yield "line feeds", b"\r\n" * 50_000
    yield "a WebSocket", raw("GET /predict HTTP/1.1\nHost: x\nUpgrade: websocket\nConnection: Upgrade\n\n")


def of_transfer() -> Iterator[tuple[str, bytes]]:
    """Bodies whose length, chunks or compression are not what the headers say, or too much."""
    body = json.dumps({"image": ROWS}).encode()
    zeros = bytes(64 * MEGABYTE)
    yield "a negative length", raw("POST /predict HTTP/1.1\nContent-Length: -5\n\n")
    yield "a length that is no number", raw("POST /predict HTTP/1.1\nContent-Length: many\n\n")
    yield "a length of 40 digits", raw(f"POST /predict HTTP/1.1\nContent-Length: {'9' * 40}\n\n")
    yield "two lengths", raw("POST /predict HTTP/1.1\nContent-Length: 4\nContent-Length: 9\n\n", b"{}{}{}{}{")
    smuggled = b"0\r\n\r\nGET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n"
    yield (
        "a length and chunks",
        raw("POST /predict HTTP/1.1\nContent-Length: 4\nTransfer-Encoding: chunked\n\n", smuggled),
    )
    yield "chunks, obscured", raw("POST /predict HTTP/1.1\nTransfer-Encoding: xchunked\nContent-Length: 2\n\n", b"{}")
    yield "a chunk of 2^72", raw("POST /predict HTTP/1.1\nTransfer-Encoding: chunked\n\n", b"F" * 18 + b"\r\nabc")
    yield (
        "a chunk without a size",
        raw("POST /predict HTTP/1.1\nTransfer-Encoding: chunked\n\n", b"zz\r\nabc\r\n0\r\n\r\n"),
    )
    yield "5 MB", request(PREDICT, bytes(5 * MEGABYTE))
    chunks = b"".join(b"100000\r\n" + bytes(MEGABYTE) + b"\r\n" for _ in range(6)) + b"0\r\n\r\n"
    yield "6 MB in chunks", raw("POST /predict HTTP/1.1\nHost: x\nTransfer-Encoding: chunked\n\n", chunks)
    yield "a gzip bomb", request(PREDICT, gzip.compress(zeros, 1), "Content-Encoding: gzip")
    yield "a deflate bomb", request(PREDICT, zlib.compress(zeros, 1), "Content-Encoding: deflate")
    yield "gzip that is none", request(PREDICT, body, "Content-Encoding: gzip")
    yield "gzip, cut off", request(PREDICT, gzip.compress(body)[:40], "Content-Encoding: gzip")
    yield "brotli", request(PREDICT, body, "Content-Encoding: br")
    yield "gzip twice", request(PREDICT, gzip.compress(gzip.compress(body)), "Content-Encoding: gzip, gzip")
    yield "a coding that is not ASCII", request(PREDICT, body, "Content-Encoding: \xe4\xf6")
    yield "a form", request(PREDICT, b"--x\r\n\r\n--x--", "Content-Type: multipart/form-data; boundary=x")


def reports() -> Iterator[tuple[str, object]]:
    """Bodies of /wrong from the page of the server itself."""
    blank = base64.b64encode(picture("PNG")).decode()
    honest = {"picture": blank, "label": "7"}
    yield "nothing", {}
    yield "a list", []
    yield "no label", {"picture": blank}
    yield "a label that is none", honest | {"label": "<script>alert(1)</script>"}
    yield "a label of a million letters", honest | {"label": "x" * MEGABYTE}
    yield "a label that is a number", honest | {"label": 7}
    yield "no picture", honest | {"picture": ""}
    yield "a picture that is a list", honest | {"picture": [1]}
    yield "a picture that is not base64", honest | {"picture": "%%%%"}
    yield "a picture that is none", honest | {"picture": "AAAA"}
    yield "60,000 x 60,000", honest | {"picture": base64.b64encode(png(60_000, 60_000)).decode()}
    for version in ("0", "-1", "1e3", "../../etc", "9" * 5000, "1\n", " "):
        yield f"version {version[:10]!r}", honest | {"version": version, "answer": "7"}
    yield "a version that is a number", honest | {"version": 1, "answer": "7"}
    yield "an answer without a version", honest | {"answer": "7"}
    yield "a version without an answer", honest | {"version": "9"}
    yield "an answer that is no class", honest | {"version": "9", "answer": "x" * 100_000}
    for confidence in (-1, 2, 0.01, "0.9", [0.9]):
        yield f"a confidence of {confidence}", honest | {"version": "9", "answer": "7", "confidence": confidence}


def as_bytes(body: str | bytes) -> bytes:
    return body.encode() if isinstance(body, str) else body


def corpus() -> list[tuple[str, bytes]]:
    """(name, what is sent)"""
    found = [(f"predict: {name}", request(PREDICT, as_bytes(body))) for name, body in bodies_of_predict()]

    for name, data in pictures():
        found.append((f"picture: {name}", request(PREDICT, data, "Content-Type: image/png")))
        encoded = json.dumps({"image": {"b64": base64.b64encode(data).decode()}}).encode()
        found.append((f"picture in base64: {name}", request(PREDICT, encoded)))
    found += [(f"tf serving: {name}", request(V1, json.dumps(body).encode())) for name, body in tf_serving()]
    found += [(f"open inference: {name}", request(V2, json.dumps(body).encode())) for name, body in open_inference()]
    found += [(f"binary: {name}", data) for name, data in binary_tensors()]
    for name, data in pictures():
        found.append((f"page: {name}", request("/page/answer", data, "Content-Type: image/png")))
    found += [(f"why: {name}", request("/page/why", data)) for name, data in (("text", b"x" * 1000), ("JSON", b"{}"))]
    for name, body in reports():
        data = json.dumps(body).encode()
        found.append((f"wrong: {name}", request("/wrong", data, "Content-Type: application/json", host="127.0.0.1")))
    found += [(f"http: {name}", data) for name, data in (*of_http(), *of_transfer())]
    return found
