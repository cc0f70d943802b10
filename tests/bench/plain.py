"""The plain script: what somebody would write who wants these labels once, and no system around them.

    python -m tests.bench.plain PATHS PARQUET

A pool of threads reads the files that the lines of PATHS name, decodes each with Pillow and asks onnxruntime;
then one Parquet file is written. Nothing is checked, nothing is retried, and a file that cannot be decoded
ends it. It prints its seconds and its CPU seconds as JSON, both without imports and the loading of the model:
what it is compared with is warm, too.
"""

import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image, ImageOps

from model.files import DEFAULT_MODEL


def main(paths_file: str, parquet_file: str) -> None:
    """Classify the files and write their labels."""
    card = json.loads((DEFAULT_MODEL / "card.json").read_text(encoding="utf-8"))
    size_px = (card["image_size_px"],) * 2
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(DEFAULT_MODEL / "model.onnx", options)

    def classify(path: str) -> tuple[str, str, float]:
        with Image.open(path) as image:
            image.draft("RGB", (2 * size_px[0], 2 * size_px[1]))
            upright = ImageOps.exif_transpose(image).convert("RGB").resize(size_px, Image.Resampling.BILINEAR)
        (scores,) = session.run(["probabilities"], {"images": np.asarray(upright)[np.newaxis]})
        best = int(scores[0].argmax())
        return path, card["classes"][best], float(scores[0][best])

    paths = Path(paths_file).read_text(encoding="utf-8").splitlines()
    classify(paths[0])
    started, cpu_started = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        rows = list(pool.map(classify, paths))
    keys, labels, confidences = zip(*rows, strict=True)
    pq.write_table(pa.table({"key": keys, "label": labels, "confidence": confidences}), parquet_file)
    seconds, cpu_s = time.perf_counter() - started, time.process_time() - cpu_started
    sys.stdout.write(json.dumps({"images": len(paths), "seconds": seconds, "cpu_s": cpu_s}))


if __name__ == "__main__":
    main(*sys.argv[1:])
