"""Takes a model file apart at its last layer, and adds a correction there: without torch and without onnx.

The last layer is the last `Gemm` node: features in, logits out. An ONNX file is a protobuf message; the few
fields that are needed are read and written here, all others stay byte for byte.

Field numbers: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
"""

import hashlib
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.files import UnusableModel

FEATURES, LOGITS = "last_features", "last_logits"
"""Names of the outputs that `with_features` adds."""

_GRAPH, _METADATA = 7, 14
_NODE, _INITIALIZER, _OUTPUT = 1, 5, 12
_VARINT, _BYTES = 0, 2
_FLOAT = 1


class _Field(NamedTuple):
    number: int
    kind: int
    value: bytes
    """Content of a message or text; the encoded number otherwise."""


def with_features(model: bytes) -> bytes:
    """Return the model with the input and the output of its last layer as outputs, `(n, d)` and `(n, k)`.

    A model that looks at each image and at its mirror image has `2 n` rows.

    Raises:
        UnusableModel: it has no such layer.
    """
    fields = _fields(model)
    graph = _fields(_only(fields, _GRAPH))
    place = _last_layer(graph)
    ends = {FEATURES: _texts(graph[place].value, 1)[0], LOGITS: _texts(graph[place].value, 2)[0]}
    kind = _sub(2, _sub(1, _number(1, _FLOAT)))
    added = [_Field(_NODE, _BYTES, _node("Identity", [value], name)) for name, value in ends.items()]
    outputs = [_Field(_OUTPUT, _BYTES, _join([_text(1, name), kind])) for name in ends]
    return _replaced(fields, [*graph[: place + 1], *added, *graph[place + 1 :], *outputs])


def corrected(model: bytes, weight: NDArray[np.float32], bias: NDArray[np.float32]) -> tuple[bytes, str]:
    """Return the model with `features @ weight.T + bias` added to the logits of its last layer, and its
    version.

    Args:
        model: the file.
        weight: `(k, d)`; rows of logits that are not corrected are 0.
        bias: `(k,)`.

    Raises:
        UnusableModel: it has no such layer.
    """
    fields = _fields(model)
    graph = _fields(_only(fields, _GRAPH))
    place = _last_layer(graph)
    layer = graph[place].value
    features, logits = _texts(layer, 1)[0], _texts(layer, 2)[0]
    tag = hashlib.sha256(weight.tobytes() + bias.tobytes() + model).hexdigest()[:8]
    before, weight_name, bias_name, added = (
        f"{part}_{tag}" for part in ("before", "weight", "bias", "added")
    )
    kept = [field for field in _fields(layer) if field.number != 2]
    changed = [
        *graph[:place],
        _Field(_NODE, _BYTES, _join([*map(_encoded, kept), _text(2, before)])),
        _Field(_NODE, _BYTES, _node("Gemm", [features, weight_name, bias_name], added, transB=1)),
        _Field(_NODE, _BYTES, _node("Add", [before, added], logits)),
        *graph[place + 1 :],
        _Field(_INITIALIZER, _BYTES, _tensor(weight_name, weight)),
        _Field(_INITIALIZER, _BYTES, _tensor(bias_name, bias)),
    ]
    old = dict(_pair(field.value) for field in fields if field.number == _METADATA)
    version = f"{old.get('model_version', 'model').rpartition('-')[0] or 'model'}-{tag}"[:100]
    metadata = [
        _Field(_METADATA, _BYTES, _join([_text(1, key), _text(2, value)]))
        for key, value in {**old, "model_version": version}.items()
    ]
    rest = [field for field in fields if field.number != _METADATA]
    return _replaced([*rest, *metadata], changed), version


def _last_layer(graph: list[_Field]) -> int:
    for place in range(len(graph) - 1, -1, -1):
        if graph[place].number == _NODE and _texts(graph[place].value, 4) == ["Gemm"]:
            return place
    raise UnusableModel("the model has no last layer that can be learned: no Gemm node in its graph")


def _replaced(fields: list[_Field], graph: Iterable[_Field]) -> bytes:
    content = _join(map(_encoded, graph))
    return _join(_sub(_GRAPH, content) if field.number == _GRAPH else _encoded(field) for field in fields)


def _fields(message: bytes) -> list[_Field]:
    """Return the fields of a message, in their order.

    Raises:
        UnusableModel: it is not a protobuf message.
    """
    try:
        return list(_read(message))
    except (IndexError, ValueError) as error:
        raise UnusableModel("the model is not an ONNX file") from error


def _read(message: bytes) -> Iterator[_Field]:
    at = 0
    while at < len(message):
        tag, at = _varint_at(message, at)
        number, kind, begin = tag >> 3, tag & 7, at
        match kind:
            case 0:
                _, at = _varint_at(message, at)
            case 1:
                at += 8
            case 5:
                at += 4
            case 2:
                length, begin = _varint_at(message, at)
                at = begin + length
            case _:
                raise ValueError(f"wire type {kind}")
        if at > len(message):
            raise IndexError(at)
        yield _Field(number, kind, message[begin:at])


def _varint_at(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def _only(fields: list[_Field], number: int) -> bytes:
    found = [field.value for field in fields if field.number == number]
    if len(found) != 1:
        raise UnusableModel("the model is not an ONNX file: it has no graph")
    return found[0]


def _texts(message: bytes, number: int) -> list[str]:
    return [field.value.decode() for field in _fields(message) if field.number == number]


def _pair(message: bytes) -> tuple[str, str]:
    return _texts(message, 1)[0], _texts(message, 2)[0]


def _node(op: str, inputs: list[str], output: str, **numbers: int) -> bytes:
    attributes = [
        _sub(5, _join([_text(1, name), _number(3, value), _number(20, 2)])) for name, value in numbers.items()
    ]
    return _join([*(_text(1, name) for name in inputs), _text(2, output), _text(4, op), *attributes])


def _tensor(name: str, values: NDArray[np.float32]) -> bytes:
    dims = [_number(1, size) for size in values.shape]
    return _join([*dims, _number(2, _FLOAT), _text(8, name), _sub(9, values.astype("<f4").tobytes())])


def _encoded(field: _Field) -> bytes:
    head = _varint(field.number << 3 | field.kind)
    return head + (_varint(len(field.value)) if field.kind == _BYTES else b"") + field.value


def _text(number: int, text: str) -> bytes:
    return _sub(number, text.encode())


def _sub(number: int, content: bytes) -> bytes:
    return _encoded(_Field(number, _BYTES, content))


def _number(number: int, value: int) -> bytes:
    return _encoded(_Field(number, _VARINT, _varint(value)))


def _varint(value: int) -> bytes:
    digits = bytearray()
    while value > 0x7F:
        digits.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*digits, value])


def _join(parts: Iterable[bytes]) -> bytes:
    return b"".join(parts)
