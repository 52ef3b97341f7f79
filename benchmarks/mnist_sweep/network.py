"""How well does one neural network learn the digits: the function that every task of the sweep runs.

The packed environment's interpreter runs it, which has NumPy and scikit-learn and nothing of ours.
So it imports what it needs in its body, and takes and returns plain Python values alone.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any


def train(
    number: int, combination: dict[str, Any], images: int, epochs: int, threads: int, folder: str
) -> dict[str, Any]:
    """Train on the first `images` digits in the folder, and say how it went and where it ran."""
    import os
    import platform
    import socket
    import sys
    import time
    import warnings

    start_s = time.perf_counter()
    import numpy
    import sklearn
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier
    from threadpoolctl import threadpool_limits

    def pixels(name: str, count: int | None) -> Any:
        return numpy.load(os.path.join(folder, f"{name}_images.npy"), mmap_mode="r")[:count].astype("float32") / 255

    def labels(name: str, count: int | None) -> Any:
        return numpy.load(os.path.join(folder, f"{name}_labels.npy"))[:count]

    imported_s = time.perf_counter()
    train_images, train_labels = pixels("train", images), labels("train", images)
    loaded_s = time.perf_counter()
    network = MLPClassifier(
        hidden_layer_sizes=tuple(combination["hidden_layers"]),
        activation=combination["activation"],
        solver=combination["solver"],
        learning_rate_init=combination["learning_rate"],
        alpha=combination["weight_decay"],
        batch_size=combination["batch_size"],
        max_iter=epochs,
        random_state=number,
    )
    with threadpool_limits(threads), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # The number of epochs is ours to choose.
        network.fit(train_images, train_labels)
        fitted_s = time.perf_counter()
        accuracy = {name: float(network.score(pixels(name, None), labels(name, None))) for name in ("valid", "test")}
    return {
        "number": number,
        "accuracy": accuracy["valid"],
        "test_accuracy": accuracy["test"],
        "import_s": imported_s - start_s,
        "load_s": loaded_s - imported_s,
        "fit_s": fitted_s - loaded_s,
        "body_s": time.perf_counter() - start_s,
        "prefix": sys.prefix,
        "folder": os.getcwd(),
        "hostname": socket.gethostname(),
        "pid": os.getpid(),
        "python": platform.python_version(),
        "numpy": numpy.__version__,
        "sklearn": sklearn.__version__,
    }


def by_value(function: Callable[..., Any]) -> types.FunctionType:
    """The same function without its module, so that it travels as code: its module is not where it goes."""
    assert isinstance(function, types.FunctionType), "only plain functions have code to send"
    assert not function.__closure__, "a closure would drag its module's values along"
    return types.FunctionType(function.__code__, {"__name__": "__main__"}, function.__name__)
