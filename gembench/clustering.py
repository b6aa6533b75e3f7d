"""Clusters of points, and one point of each cluster to stand for it.

Shapes: N points in D dimensions, K clusters.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from gembench.lanes import take
from gembench.query_policy import first_unseen

_ITERATIONS = 30
WHOLE = 2**24
"""The sum of the weights of all anchors, but for rounding."""


class Clusters(NamedTuple):
    """A partition: `centers` [K, D] float32, and of each point its cluster, `cluster_of` [N] int32."""

    centers: Array
    cluster_of: Array


class Anchors(NamedTuple):
    """The points that stand for all.

    Attributes:
        points: [K] int32, distinct.
        weights: [K] int32, for how many of `WHOLE` each stands. Whole numbers, so that sums of them tie exactly.
    """

    points: Array
    weights: Array


def cluster(points: Array, first_centers: Array) -> Clusters:
    """Lloyd's algorithm: k-means of `points` [N, D] from the given centers [K, D] on; an empty cluster stays put.

    Source: Lloyd, "Least Squares Quantization in PCM", IEEE Transactions on Information Theory 28, 1982.
    """
    num_clusters = len(first_centers)

    def improve(_: int, centers: Array) -> Array:
        nearest = _distances(points, centers).argmin(axis=1)
        total = jax.ops.segment_sum(points, nearest, num_clusters)
        size = jax.ops.segment_sum(jnp.ones(len(points), jnp.float32), nearest, num_clusters)[:, None]
        return jnp.where(size > 0, total / jnp.maximum(size, 1), centers)

    centers = lax.fori_loop(0, _ITERATIONS, improve, first_centers)
    return Clusters(centers, _distances(points, centers).argmin(axis=1).astype(jnp.int32))


def spread_out(rng_key: Array, points: Array, num_clusters: int) -> Array:
    """Centers [K, D] to start from: points drawn with chances as the square of the distance to those drawn before.

    Source: Arthur and Vassilvitskii, "k-means++: The Advantages of Careful Seeding", SODA 2007.
    """
    first_key, rng_key = jax.random.split(rng_key)
    first = take(points, jax.random.randint(first_key, (), 0, len(points)))
    centers = jnp.broadcast_to(first, (num_clusters, points.shape[1]))

    def draw(index: Array, state: tuple[Array, Array]) -> tuple[Array, Array]:
        centers, distance = state
        drawn = take(points, jax.random.categorical(jax.random.fold_in(rng_key, index), jnp.log(distance)))
        return centers.at[index].set(drawn), jnp.minimum(distance, _distances(points, drawn[None])[:, 0])

    drawn: tuple[Array, Array] = lax.fori_loop(1, num_clusters, draw, (centers, _distances(points, first[None])[:, 0]))
    return drawn[0]


def choose_anchors(rng_key: Array, points: Array, clusters: Clusters) -> Anchors:
    """The point of each cluster that is nearest to its center, weighted by the cluster's size.

    In place of an empty cluster's anchor stands another point, at random; the anchors in one cluster share its weight.
    """
    num_points, num_clusters = len(points), len(clusters.centers)
    index, own = jnp.arange(num_points, dtype=jnp.int32), clusters.cluster_of
    distance = ((points - take(clusters.centers, own)) ** 2).sum(axis=1)
    least = jax.ops.segment_min(distance, own, num_clusters)
    nearest = jax.ops.segment_min(jnp.where(distance == take(least, own), index, num_points), own, num_clusters)
    size = jax.ops.segment_sum(jnp.ones_like(index), own, num_clusters)
    is_empty = size == 0
    is_used = jnp.zeros(num_points, bool).at[jnp.where(is_empty, num_points, nearest)].set(True, mode="drop")
    spare = first_unseen(jax.random.permutation(rng_key, index), is_used, num_clusters)
    anchors = jnp.where(is_empty, take(spare, jnp.maximum(jnp.cumsum(is_empty) - 1, 0)), nearest)
    home = take(own, anchors)
    num_sharing = jax.ops.segment_sum(jnp.ones_like(anchors), home, num_clusters)
    share = (take(size, home) / take(num_sharing, home)).astype(jnp.float32) / num_points
    return Anchors(anchors, jnp.round(share * WHOLE).astype(jnp.int32))


def _distances(points: Array, centers: Array) -> Array:
    """Squares of distances, [N, K]."""
    inner = jnp.matmul(points, centers.T, precision=lax.Precision.HIGHEST)
    square = (points**2).sum(axis=1)[:, None] + (centers**2).sum(axis=1)[None, :] - 2 * inner
    return jnp.maximum(square, 0)
