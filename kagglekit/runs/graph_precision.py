"""Make the weights of an ONNX file smaller: float16, or int8 for matrix products."""

import logging
from pathlib import Path
from typing import Any, Literal

import numpy as np

from kagglekit.errors import ConfigError

Precision = Literal["float32", "float16", "int8"]

LEAST = 1024  # numbers in a tensor: a smaller one is not worth a cast
FOURIER = (
    *("cos_even", "cos_odd", "sin_even", "sin_odd", "real", "imaginary"),
    *("filters_even", "filters_odd", "filters"),
)
"""Buffers of features.mel_matrices: a spectrum needs all digits of them."""


def convert(path: Path, precision: Precision) -> None:
    """Rewrite an ONNX file in place.

    Raises:
        ConfigError: as `_quantise`.
    """
    if precision == "float16":
        _halve(path)
    elif precision == "int8":
        _quantise(path)


def _halve(path: Path) -> None:
    """Store weights as float16; ONNX Runtime casts them back once, when it opens the file."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.load(str(path))
    casts = []
    for tensor in model.graph.initializer:
        if tensor.data_type != TensorProto.FLOAT or not _is_weight(tensor):
            continue
        name, values = tensor.name, numpy_helper.to_array(tensor)
        with np.errstate(over="ignore"):  # the check against torch tells
            tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}_float16"))
        casts.append(helper.make_node("Cast", [tensor.name], [name], f"{name}_cast", to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.save(model, str(path))


def _quantise(path: Path) -> None:
    """Compute products with a weight in int8, their other factor's scale being found for each batch.

    Raises:
        ConfigError: the file does not become smaller, as where all weights are of convolutions.
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    before = path.stat().st_size
    model = onnx.load(str(path))
    exact = {tensor.name for tensor in model.graph.initializer if not _is_weight(tensor)}
    excluded = [node.name for node in model.graph.node if exact.intersection(node.input)]
    logging.disable(logging.WARNING)  # advice about pre-processing, which changes no product
    try:
        quantize_dynamic(
            model,
            str(path),
            op_types_to_quantize=["MatMul", "Gemm"],
            per_channel=True,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=excluded,
        )
    finally:
        logging.disable(logging.NOTSET)
    if path.stat().st_size >= before:
        raise ConfigError(
            "int8 makes this network no smaller: its weights are not in matrix products",
            hint="choose float16, which halves convolutions, too",
        )


def _is_weight(tensor: Any) -> bool:
    return int(np.prod(tensor.dims)) >= LEAST and tensor.name.rpartition(".")[2] not in FOURIER
