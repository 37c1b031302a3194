"""BirdNET's embedding of windows of noise, in one of three ways.

kagglekit: models.embedder, on one core. threads: one interpreter with threads, the embedding made an output.
usual: one interpreter with threads that preserves all tensors.
"""

import sys
import warnings

import numpy as np
import torch
from serve import serve

from kagglekit.models import birdnet, embedder, network_file

way, count, threads = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
windows = np.random.default_rng(0).normal(0, 0.1, (count, 144_000)).astype(np.float32)
config = birdnet.Config()
if way == "kagglekit":
    network = embedder.FileEmbedder(config, birdnet.weights_path())
    serve(lambda: network.embed(torch.from_numpy(windows))[:, 0].numpy())
else:
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.interpreter import Interpreter

    warnings.simplefilter("ignore")
    content = bytearray(birdnet.weights_path().read_bytes())
    graph = schema.Model.GetRootAs(content, 0).Subgraphs(0)
    names = [graph.Tensors(i).Name().decode() for i in range(graph.TensorsLength())]
    place = names.index(config.output)
    if way == "threads":
        network_file._make_first_output(content, graph, place)
    interpreter = Interpreter(
        model_content=bytes(content),
        num_threads=threads,
        experimental_preserve_all_tensors=way == "usual",
    )
    interpreter.allocate_tensors()
    entry = interpreter.get_input_details()[0]["index"]

    def embed() -> np.ndarray:
        found = []
        for window in windows:
            interpreter.set_tensor(entry, window[None])
            interpreter.invoke()
            found.append(interpreter.get_tensor(place)[0].copy())
        return np.stack(found)

    serve(embed)
