"""Flask and `model.predict`, as in the tutorials: MODEL=model.keras python -m benchmarks.serving.flask_keras PORT"""

import logging
import os
import sys
from typing import Any

import flask
import keras
import numpy as np

app = flask.Flask(__name__)
model = keras.models.load_model(os.environ["MODEL"])


@app.post("/predict")
def predict() -> Any:
    image = np.array(flask.request.get_json()["image"], np.uint8).reshape(1, 28, 28, 1)
    row = model.predict(image, verbose=0)[0]
    return {"digit": int(row.argmax()), "probabilities": row.tolist()}


if __name__ == "__main__":
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    app.run(port=int(sys.argv[1]))
