"""Run a network from an ONNX or a TFLite file, from a window of samples to any tensor inside it.

A tensor that is no output becomes one: an outputs list of the copy in memory names it. Its usual alternative
for TFLite, `experimental_preserve_all_tensors`, keeps every tensor and halves the speed (docs/BENCHMARKS.md).
"""

import hashlib
import mmap
import os
import re
import struct
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kagglekit.errors import ConfigError, MissingError, close_match, listed

MOST_BYTES = 2**31 - 1  # of a file: what protobuf and flatbuffers hold
MOST_NUMBERS = 2**22  # that one window may give: 16 MB
TFLITE_MARK, ONNX_MARK = b"TFL3", b"\x08"  # at 4: the identifier; at 0: the field ir_version
INSTALL = {
    "onnxruntime": "pip install 'kagglekit[onnx]'",
    "onnx": "pip install 'kagglekit[onnx]'",
    "ai_edge_litert": "pip install 'kagglekit[birdnet]'",
}
ONNX_SECOND_FILE = b"\x0a\x08location\x12"  # the key `location` of TensorProto.external_data
STDERR = 2  # its file descriptor
Float32 = NDArray[np.float32]


class NetworkFile(NamedTuple):
    """A network that is ready to run."""

    shape: tuple[int | None, ...]
    """Of its input; None where any size will do."""
    run: Callable[[Float32], NDArray[Any]]
    """From its input to the tensor asked for."""


def sha256(path: Path) -> str:
    """Hash a file, once in each process.

    Raises:
        MissingError: there is none.
        ConfigError: it is larger than such files can be.
    """
    if not path.is_file():
        raise MissingError(f"there is no file {path}", hint="name an ONNX or a TFLite file")
    size, changed_ns = path.stat().st_size, path.stat().st_mtime_ns
    if size > MOST_BYTES:
        raise ConfigError(f"{path} has {size:,} bytes, more than 2 GB", hint="name another file")
    return _sha256(path, size, changed_ns)


@cache
def _sha256(path: Path, size: int, changed_ns: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def open_network(path: Path, output: str | None) -> NetworkFile:
    """Open a network on one core.

    Args:
        output: name of the tensor that `run` returns; None: the only output.

    Raises:
        MissingError: there is no file, or the package that runs it is not installed.
        ConfigError: it is neither ONNX nor TFLite, is damaged, or has no such tensor.
    """
    sha256(path)
    with path.open("rb") as file:
        head = file.read(8)
    if head[4:8] == TFLITE_MARK:
        return _open_tflite(path, output)
    if head[:1] == ONNX_MARK:
        return _open_onnx(path, output)
    raise ConfigError(f"{path} is neither an ONNX nor a TFLite file", hint="name one of the two")


def _chosen(name: str | None, outputs: Sequence[str], inner: Sequence[str], path: Path) -> str:
    """Return the tensor's name.

    Raises:
        ConfigError: there is none of that name, or there are several outputs to choose from.
    """
    if name is None and len(outputs) == 1:
        return outputs[0]
    if name is None:
        raise ConfigError(
            f"{path.name} has {len(outputs)} outputs: {listed(outputs)}", hint="choose one with `output`"
        )
    if name not in outputs and name not in inner:
        raise ConfigError(
            f"{path.name} has no output '{name}'; it has {listed(outputs)}",
            hint=close_match(name, [*outputs, *inner]),
        )
    return name


def _damaged(path: Path, error: Exception) -> ConfigError:
    first = next(iter(str(error).strip().splitlines()), type(error).__name__)
    return ConfigError(f"{path} cannot be read: {first[:200]}", hint="get the file again, or name another")


def _missing(error: ImportError, path: Path) -> MissingError:
    package = str(error.name).partition(".")[0]
    return MissingError(
        f"{path.name} needs {package.replace('_', '-')}, which is not installed", hint=INSTALL.get(package)
    )


# --- TFLite ---


def _open_tflite(path: Path, output: str | None) -> NetworkFile:
    try:
        from ai_edge_litert import schema_py_generated as schema  # here, because it is optional
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as error:
        raise _missing(error, path) from error
    content = bytearray(path.read_bytes())
    try:
        graph = schema.Model.GetRootAs(content, 0).Subgraphs(0)
        names = [(graph.Tensors(i).Name() or b"").decode() for i in range(graph.TensorsLength())]
        outputs = [names[i] for i in graph.OutputsAsNumpy().tolist()]
        name = _chosen(output, outputs, [n for n in names if n], path)
        _make_first_output(content, graph, names.index(name))
        with _without_news():
            interpreter = Interpreter(model_content=bytes(content), num_threads=1)
            interpreter.allocate_tensors()
        inputs = interpreter.get_input_details()
        place = interpreter.get_output_details()[0]["index"]
    except (ValueError, RuntimeError, IndexError, TypeError, AttributeError, struct.error) as error:
        raise _damaged(path, error) from error
    if len(inputs) != 1 or inputs[0]["dtype"] is not np.float32:
        raise _strange_input(path, [f"{one['dtype'].__name__} {list(one['shape'])}" for one in inputs])

    def run(x: Float32) -> NDArray[Any]:
        interpreter.set_tensor(inputs[0]["index"], x)
        interpreter.invoke()
        return np.array(interpreter.get_tensor(place))

    return NetworkFile(tuple(map(int, inputs[0]["shape"])), run)


@contextmanager
def _without_news() -> Iterator[None]:
    """Drop the line with which TFLite says on stderr that it is fast; C++ prints it, whatever Python does."""
    with tempfile.TemporaryFile() as caught:
        real = os.dup(STDERR)
        os.dup2(caught.fileno(), STDERR)
        try:
            yield
        finally:
            os.dup2(real, STDERR)
            caught.seek(0)
            os.write(real, b"".join(line for line in caught if not line.startswith(b"INFO: ")))
            os.close(real)


def _make_first_output(content: bytearray, graph: Any, tensor: int) -> None:
    """Write a tensor's number over that of the first output."""
    field = graph._tab.Offset(8)  # `outputs` in schema.fbs
    if not field:
        raise ValueError("it has no outputs")
    struct.pack_into("<i", content, graph._tab.Vector(field), tensor)


# --- ONNX ---


def _open_onnx(path: Path, output: str | None) -> NetworkFile:
    try:
        import onnxruntime  # here, because it is optional
    except ImportError as error:
        raise _missing(error, path) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors, which are raised, too

    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if content.find(ONNX_SECOND_FILE) >= 0:  # whose changes a hash of this one would not show
            raise ConfigError(
                f"{path.name} keeps weights in a second file",
                hint="save it as one: onnx.save(onnx.load(FILE), NEW_FILE)",
            )

    def session(model: str | bytes) -> Any:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    try:
        opened = session(str(path))
        outputs = [one.name for one in opened.get_outputs()]
        if output is not None and output not in outputs:
            opened = session(_with_output(path, output, outputs))
        name = _chosen(output, [one.name for one in opened.get_outputs()], [], path)
    except (ConfigError, MissingError):
        raise
    except Exception as error:  # onnxruntime's own are direct children of Exception
        raise _damaged(path, error) from error
    inputs = opened.get_inputs()
    if len(inputs) != 1 or inputs[0].type != "tensor(float)":
        raise _strange_input(path, [f"{one.type} {one.shape}" for one in inputs])
    shape = tuple(size if isinstance(size, int) else None for size in inputs[0].shape)
    entry = inputs[0].name
    return NetworkFile(shape, lambda x: np.asarray(opened.run([name], {entry: x})[0]))


def _with_output(path: Path, output: str, outputs: Sequence[str]) -> bytes:
    """Return the file with one of its inner tensors as a further output."""
    try:
        import onnx
    except ImportError as error:
        raise _missing(error, path) from error
    model = onnx.load(str(path))
    inner = [name for node in model.graph.node for name in node.output if name]
    _chosen(output, outputs, inner, path)
    model.graph.output.append(onnx.ValueInfoProto(name=output))
    return bytes(model.SerializeToString())


def _strange_input(path: Path, inputs: Sequence[str]) -> ConfigError:
    shown = re.sub(r"[^\x20-\x7e]", "?", listed(inputs))
    return ConfigError(
        f"{path.name} takes {shown}", hint="an embedder takes one tensor of float32: samples of a waveform"
    )
