"""Protocol buffers, as far as Caffe's files need them: the text form of a `.prototxt`, and the binary one of a `.caffemodel`.

Formats: protobuf.dev/reference/protobuf/textformat-spec and protobuf.dev/programming-guides/encoding; the numbers of the fields are those of
Caffe's caffe.proto.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Union

import numpy as np
from numpy.typing import NDArray

# A message of the text form: every field is a list of what was given.
Message = dict[str, list[Any]]

_TOKENS = re.compile(
    r"\s+|\#[^\n]*|(?P<word>[A-Za-z_][\w.]*)|(?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?f?)"
    r'|(?P<text>"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\')|(?P<mark>[{}<>:;,\[\]])'
)
_DEEPEST = 50


class FormatError(ValueError):
    """Text or bytes that are no message; says where."""


def parse_text(text: str) -> Message:
    """A message in text form. Enumerations stay words, numbers become int or float."""
    tokens = list(_tokens(text))
    at = [0]
    message = _fields(tokens, at, "", 0)
    return message


def _tokens(text: str) -> Iterator[tuple[str, str, int]]:
    position = 0
    while position < len(text):
        match = _TOKENS.match(text, position)
        if match is None:
            raise FormatError(
                f"line {text.count(chr(10), 0, position) + 1}: {text[position : position + 20]!r} is not understood"
            )
        if match.lastgroup is not None:
            yield match.lastgroup, match[0], position
        position = match.end()


def _fields(tokens: list[tuple[str, str, int]], at: list[int], end: str, depth: int) -> Message:
    if depth > _DEEPEST:
        raise FormatError("messages lie too deep within each other")
    message: Message = {}

    def peek() -> tuple[str, str]:
        return tokens[at[0]][:2] if at[0] < len(tokens) else ("end", "")

    def take() -> tuple[str, str]:
        token = peek()
        at[0] += 1
        return token

    def value() -> Any:
        kind, text = take()
        if text in ("{", "<"):
            return _fields(tokens, at, {"{": "}", "<": ">"}[text], depth + 1)
        if kind == "text":
            joined = _unquote(text)
            while peek()[0] == "text":  # neighbours are one
                joined += _unquote(take()[1])
            return joined
        if kind == "number":
            text = text.rstrip("f")
            return int(text) if re.fullmatch(r"[-+]?\d+", text) else float(text)
        if kind == "word":
            return {"true": True, "false": False}.get(text, text)
        raise FormatError(f"a value is expected, not {text or 'the end'!r}")

    while True:
        kind, name = take()
        if name == end and kind in ("mark", "end"):
            return message
        if kind == "mark" and name in (",", ";"):
            continue
        if kind != "word":
            raise FormatError(f"the name of a field is expected, not {name or 'the end'!r}")
        if peek()[1] == ":":
            take()
        if peek()[1] == "[":
            take()
            while peek()[1] != "]":
                message.setdefault(name, []).append(value())
                if peek()[1] == ",":
                    take()
            take()
            continue
        message.setdefault(name, []).append(value())


def _unquote(text: str) -> str:
    return re.sub(r"\\(.)", lambda m: {"n": "\n", "t": "\t"}.get(m[1], m[1]), text[1:-1])


# ---- the binary form


Field = tuple[int, Union[int, memoryview]]


def fields(data: memoryview) -> Iterator[Field]:
    """(number, value) of a message: integers, or the bytes of everything else."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value, at = _varint(data, at)
            yield number, value
            continue
        size = {1: 8, 5: 4}.get(wire)
        if wire == 2:
            size, at = _varint(data, at)
        if size is None or size > len(data) - at:
            raise FormatError(f"byte {at} begins a field that is longer than the file, or of no known kind")
        yield number, data[at : at + size]
        at += size


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 64, 7):
        if at >= len(data):
            break
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    raise FormatError("a number is cut off, or too long")


# Of NetParameter: layer, or layers before 2015. Of a layer: name and blobs.
_LAYERS = {100: (1, 7), 2: (4, 6)}


def read_weights(data: bytes) -> dict[str, list[NDArray[np.float32]]]:
    """The blobs of each layer that has some."""
    weights: dict[str, list[NDArray[np.float32]]] = {}
    for number, value in fields(memoryview(data)):
        if number not in _LAYERS or isinstance(value, int):
            continue
        name_field, blob_field = _LAYERS[number]
        name, blobs = "", []
        for k, v in fields(value):
            if isinstance(v, int):
                continue
            if k == name_field:
                name = bytes(v).decode("utf-8", "replace")
            elif k == blob_field:
                blobs.append(_blob(v))
        if blobs:
            weights[name] = blobs
    return weights


def _blob(data: memoryview) -> NDArray[np.float32]:
    """BlobProto: data 5 or double_data 8, shape 7, or num, channels, height and width from 1 to 4."""
    parts, legacy, shape = [], {}, None
    for number, value in fields(data):
        if isinstance(value, int):
            if 1 <= number <= 4:
                legacy[number] = value
        elif number in (5, 8):
            parts.append(np.frombuffer(value, "<f4" if number == 5 else "<f8").astype(np.float32))
        elif number == 7:
            shape = []
            for k, v in fields(value):
                if k == 1 and isinstance(v, int):
                    shape.append(v)
                elif k == 1 and not isinstance(v, int):
                    at = 0
                    while at < len(v):
                        size, at = _varint(v, at)
                        shape.append(size)
    values = np.concatenate(parts) if parts else np.zeros(0, np.float32)
    sizes = shape if shape is not None else [legacy.get(i, 1) for i in range(1, 5)] if legacy else [values.size]
    if int(np.prod(sizes, dtype=object)) != values.size:
        raise FormatError(f"a blob of shape {sizes} has {values.size} values")
    return values.reshape(sizes)
