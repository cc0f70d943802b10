"""Writes ONNX files: the few parts of the format that the two trainers need.

An ONNX file is one protobuf message. Writing it here keeps torch and onnx out of the tests (see
docs/decisions/0012-onnx-without-onnx.md). Every training loads the file with onnxruntime and compares.

Field numbers: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
Wire format: https://protobuf.dev/programming-guides/encoding/
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

IR_VERSION, OPSET = 8, 17

_ELEMENT_TYPES = {"float32": 1, "uint8": 2, "int8": 3, "int64": 7, "float16": 10}
_VARINT, _BYTES, _FLOAT32 = 0, 2, 5

Attribute = int | float | str | Sequence[int]


@dataclass
class Graph:
    """A computation, built node by node; every method returns the name of the value it adds."""

    name: str
    _nodes: list[bytes] = field(default_factory=list)
    _constants: list[bytes] = field(default_factory=list)

    def constant(self, array: NDArray[Any]) -> str:
        """Add a tensor."""
        name = f"constant_{len(self._constants)}"
        dims = b"".join(_int(1, size) for size in array.shape)
        kind = _int(2, _ELEMENT_TYPES[array.dtype.name])
        little_endian = array.astype(array.dtype.newbyteorder("<"), order="C").tobytes()
        self._constants.append(dims + kind + _text(8, name) + _message(9, little_endian))
        return name

    def half_constant(self, array: NDArray[Any]) -> str:
        """Add a float32 tensor that takes two bytes per number in the file; it is widened once, at load."""
        return self.node("Cast", [self.constant(array.astype(np.float16))], to=_ELEMENT_TYPES["float32"])

    def byte_constant(self, array: NDArray[Any]) -> str:
        """Add a float32 tensor that takes one byte per number, with a scale per index of its first axis."""
        largest = np.abs(array).reshape(len(array), -1).max(axis=1).reshape(-1, *[1] * (array.ndim - 1))
        scale = (np.maximum(largest, 1e-12) / 127).astype(np.float32)
        levels = self.constant(np.rint(array / scale).astype(np.int8))
        return self.node("Mul", [self.node("Cast", [levels], to=1), self.constant(scale)])

    def node(self, op: str, inputs: Sequence[str], output: str = "", **attributes: Attribute) -> str:
        """Add an operation with one output."""
        output = output or f"{op.lower()}_{len(self._nodes)}"
        parts = [_text(1, name) for name in inputs]
        parts += [_text(2, output), _text(4, op)]
        parts += [_message(5, _attribute(name, value)) for name, value in attributes.items()]
        self._nodes.append(b"".join(parts))
        return output

    def to_bytes(
        self,
        inputs: Mapping[str, tuple[str, Sequence[int | str]]],
        outputs: Mapping[str, tuple[str, Sequence[int | str]]],
        metadata: Mapping[str, str],
    ) -> bytes:
        """Return the file.

        Inputs and outputs map a name to its element type and its shape, in which a text is a variable size.
        """
        graph = b"".join(
            [
                *(_message(1, node) for node in self._nodes),
                _text(2, self.name),
                *(_message(5, constant) for constant in self._constants),
                *(_message(11, _value(name, *kind)) for name, kind in inputs.items()),
                *(_message(12, _value(name, *kind)) for name, kind in outputs.items()),
            ]
        )
        return b"".join(
            [
                _int(1, IR_VERSION),
                _text(2, "scones"),
                _message(7, graph),
                _message(8, _text(1, "") + _int(2, OPSET)),
                *(_message(14, _text(1, key) + _text(2, value)) for key, value in metadata.items()),
            ]
        )


def _attribute(name: str, value: Attribute) -> bytes:
    match value:
        case int():
            return _text(1, name) + _int(3, value) + _int(20, 2)
        case float():
            return _text(1, name) + _tag(2, _FLOAT32) + struct.pack("<f", value) + _int(20, 1)
        case str():
            return _text(1, name) + _text(4, value) + _int(20, 3)
        case _:
            return _text(1, name) + b"".join(_int(8, item) for item in value) + _int(20, 7)


def _value(name: str, element_type: str, shape: Sequence[int | str]) -> bytes:
    dims = [_int(1, size) if isinstance(size, int) else _text(2, size) for size in shape]
    shape_message = b"".join(_message(1, dim) for dim in dims)
    tensor = _int(1, _ELEMENT_TYPES[element_type]) + _message(2, shape_message)
    return _text(1, name) + _message(2, _message(1, tensor))


def _tag(number: int, wire_type: int) -> bytes:
    return _varint(number << 3 | wire_type)


def _int(number: int, value: int) -> bytes:
    return _tag(number, _VARINT) + _varint(value)


def _text(number: int, value: str) -> bytes:
    return _message(number, value.encode())


def _message(number: int, value: bytes) -> bytes:
    return _tag(number, _BYTES) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    value &= (1 << 64) - 1  # a negative number is written as its 64-bit two's complement
    digits = bytearray()
    while value > 0x7F:
        digits.append(value & 0x7F | 0x80)
        value >>= 7
    digits.append(value)
    return bytes(digits)
