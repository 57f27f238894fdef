"""Tensors of a file as arrays: only as many bytes as the file has."""

import math
import os
from pathlib import Path
from typing import Any

import numpy as np

from ...autograd.tensor import Array
from ...errors import OnnxError
from ...text import elide
from ..package import onnx_module

# ONNX's number of a type -> NumPy's dtype; what NumPy does not have is not here.
DTYPES: dict[int, Any] = {
    1: np.float32, 2: np.uint8, 3: np.int8, 4: np.uint16, 5: np.int16, 6: np.int32, 7: np.int64,
    9: np.bool_, 10: np.float16, 11: np.float64, 12: np.uint32, 13: np.uint64,
}  # fmt: skip
NUMBERS = {np.dtype(dtype): number for number, dtype in DTYPES.items()}
_MOST_AXES = 32
# One tensor of an external file; protobuf holds no more inside.
_MOST_BYTES = 2**31


def type_name(number: int) -> str:
    """What ONNX calls a type."""
    names = {value: name for name, value in onnx_module().TensorProto.DataType.items()}
    return names.get(number, f"number {number}")


def dtype_of(number: int) -> np.dtype[Any]:
    """NumPy's dtype for a type of ONNX.

    Raises:
        OnnxError: NumPy lacks it.
    """
    if number not in DTYPES:
        raise OnnxError(
            f"tensors of type {type_name(number)} cannot be held: NumPy has no such type"
        )
    return np.dtype(DTYPES[number])


def array_of(tensor: Any, folder: Path | None) -> Array:
    """The array in a TensorProto.

    Args:
        tensor: of a file.
        folder: where the file lies, for data kept beside it; None: such data is refused.

    Raises:
        OnnxError: a type that NumPy lacks, or data that does not fit the shape.
    """
    name = f"tensor {elide(tensor.name, 60)!r}"
    try:
        dtype = dtype_of(tensor.data_type)
    except OnnxError as error:
        raise OnnxError(f"{name}: {error}") from None
    shape = tuple(tensor.dims)
    if len(shape) > _MOST_AXES or any(n < 0 for n in shape):
        raise OnnxError(f"{name}: no shape: {elide(str(shape), 60)}")
    if tensor.data_location == onnx_module().TensorProto.EXTERNAL:
        return _external(name, tensor, dtype, shape, folder)
    size = math.prod(shape)
    if tensor.HasField("raw_data"):
        return _from_bytes(name, tensor.raw_data, dtype, shape)
    numbers = _numbers(tensor, dtype)
    if len(numbers) != size:
        raise OnnxError(f"{name}: {len(numbers)} values for the shape {shape}")
    if dtype == np.float16:  # as the bits of integers
        return np.array(numbers, np.uint16).view(np.float16).reshape(shape)
    try:
        return np.array(numbers, dtype).reshape(shape)
    except (OverflowError, ValueError) as error:
        raise OnnxError(f"{name}: no values of {dtype}: {error}") from None


def _numbers(tensor: Any, dtype: np.dtype[Any]) -> Any:
    fields = {
        "float32": tensor.float_data,
        "float64": tensor.double_data,
        "int64": tensor.int64_data,
        "uint64": tensor.uint64_data,
        "uint32": tensor.uint64_data,
    }
    return fields.get(dtype.name, tensor.int32_data)


def _from_bytes(name: str, data: bytes, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Array:
    needed = math.prod(shape) * dtype.itemsize
    if len(data) != needed:
        raise OnnxError(
            f"{name}: {len(data)} bytes, but {dtype} {elide(str(shape), 60)} takes {needed}"
        )
    return np.frombuffer(data, dtype.newbyteorder("<")).astype(dtype).reshape(shape)


def _external(
    name: str, tensor: Any, dtype: np.dtype[Any], shape: tuple[int, ...], folder: Path | None
) -> Array:
    """Data in a file beside the model: never outside its folder, never more than the shape takes.

    Raises:
        OnnxError: it lies elsewhere, or is cut off.
    """
    entries = {entry.key: entry.value for entry in tensor.external_data}
    location = entries.get("location", "")
    if folder is None:
        raise OnnxError(f"{name}: its data lies in {elide(location, 60)!r}: give load() a path")
    path = _beside(name, location, folder)
    try:
        offset, needed = int(entries.get("offset", 0)), math.prod(shape) * dtype.itemsize
        length = int(entries.get("length", needed))
    except ValueError:
        raise OnnxError(f"{name}: no offset or length of external data") from None
    if offset < 0 or length != needed or needed > _MOST_BYTES:
        raise OnnxError(f"{name}: {length} bytes at {offset} for {dtype} {elide(str(shape), 60)}")
    try:
        if not path.is_file():  # a pipe could keep a reader waiting
            raise OnnxError(f"{name}: {elide(location, 60)!r} is not a file")
        if os.path.getsize(path) < offset + needed:
            raise OnnxError(f"{name}: {elide(location, 60)!r} is cut off")
        with path.open("rb") as file:
            file.seek(offset)
            data = file.read(needed)
    except (OSError, MemoryError) as error:
        reason = getattr(error, "strerror", None) or "out of memory"
        raise OnnxError(f"{name}: {elide(location, 60)!r}: {reason}") from None
    return _from_bytes(name, data, dtype, shape)


def _beside(name: str, location: str, folder: Path) -> Path:
    """The path of external data, links followed, if it is inside the folder."""
    refused = OnnxError(
        f"{name}: its data lies in {elide(location, 60)!r}, outside the model's folder: refused"
    )
    if not location or "\0" in location or os.path.isabs(location):
        raise refused
    inside = folder.resolve()
    try:
        path = (inside / location).resolve()
    except (OSError, RuntimeError):
        raise refused from None
    if not path.is_relative_to(inside):
        raise refused
    return path
