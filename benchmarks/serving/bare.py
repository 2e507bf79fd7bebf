"""The least that an ASGI application can do: the same model and the same numbers, and nothing around it.

MODEL=model.tflite python -m benchmarks.serving.bare PORT
"""

import os
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import uvicorn

from components.inference.classifier import Classifier

CLASSIFIER = Classifier(Path(os.environ["MODEL"]))
decode, encode = msgspec.json.Decoder().decode, msgspec.json.Encoder().encode


async def app(scope: Any, receive: Any, send: Any) -> None:
    body = (await receive())["body"]
    image = np.array(decode(body)["image"], np.uint8).reshape(1, 28, 28, 1)
    row = CLASSIFIER.probabilities(image)[0]
    answer = encode({"digit": int(row.argmax()), "probabilities": row.tolist()})
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(answer)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})


if __name__ == "__main__":
    uvicorn.run(
        app, port=int(sys.argv[1]), http="httptools", loop="uvloop", lifespan="off", log_level="error", access_log=False
    )
