"""Collective operations between the workers of a distributed training: all-reduce and broadcast over gRPC.

They are those of tf.distribute.MultiWorkerMirroredStrategy, in a ring whose order of summation is fixed.
"""

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.system.tensorflow import Tensor, tensorflow

Array = NDArray[Any]  # of any type of numbers


class Collectives:
    """The connection of worker *number* to the others; created before anything else is computed in the process."""

    def __init__(self, addresses: Sequence[str], number: int) -> None:
        """Start this worker's server and wait for those of the others."""
        tf = tensorflow()
        self.size, self.number, self._tf = len(addresses), number, tf
        resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
            tf.train.ClusterSpec({"worker": list(addresses)}), task_type="worker", task_id=number, rpc_layer="grpc"
        )
        ring = tf.distribute.experimental.CommunicationImplementation.RING
        options = tf.distribute.experimental.CommunicationOptions(implementation=ring)
        self._strategy = tf.distribute.MultiWorkerMirroredStrategy(resolver, options)
        vector = tf.TensorSpec([None], tf.float64)
        self._reduce_vector = tf.function(self._reduce_in_replica, input_signature=[vector], autograph=False)

    @property
    def is_chief(self) -> bool:
        return self.number == 0

    def run(self, function: Callable[..., Any], *arguments: Tensor) -> Any:
        """*function* of *arguments*, in which `all_reduce` may be called."""
        return self._strategy.run(function, args=arguments)

    def all_reduce(self, tensors: Any) -> Any:
        """The sum over all workers of a tensor, or of each of a list; gradients flow through it."""
        tf = self._tf
        return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, tensors)

    def _reduce_in_replica(self, vector: Tensor) -> Tensor:
        return self.run(lambda mine: self.all_reduce(self._tf.identity(mine)), vector)

    def sum(self, values: Sequence[float] | Array) -> NDArray[np.float64]:
        """The sum over all workers of each of *values*; waits until every worker has called it."""
        total: NDArray[np.float64] = self._reduce_vector(self._tf.constant(values, self._tf.float64)).numpy()
        return total

    def broadcast(self, arrays: Sequence[Array]) -> list[Array]:
        """The chief's *arrays*, whose numbers have to be exact in float64; all workers give the same shapes."""
        flat = np.concatenate([array.ravel().astype(np.float64) for array in arrays])
        chiefs = self.sum(flat if self.is_chief else np.zeros_like(flat))
        parts = np.split(chiefs, np.cumsum([array.size for array in arrays])[:-1])
        return [p.reshape(a.shape).astype(a.dtype) for p, a in zip(parts, arrays, strict=True)]

    def broadcast_text(self, text: str) -> str:
        """The chief's *text*."""
        encoded = np.frombuffer(text.encode(), np.uint8)
        (length,) = self.broadcast([np.array([len(encoded)])])
        buffer = encoded if self.is_chief else np.zeros(int(length[0]), np.uint8)
        return self.broadcast([buffer])[0].tobytes().decode()

    def leave(self) -> None:
        """Wait until no other worker needs this one.

        A worker that has the first sum may still have to pass it on to the next in the ring; once a worker starts the
        second, it has the first.
        """
        self.sum([0.0])
        with contextlib.suppress(self._tf.errors.OpError):  # the others may leave as soon as they have the second
            self.sum([0.0])
