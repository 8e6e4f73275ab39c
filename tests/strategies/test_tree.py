"""Search trees: the way down, virtual losses, what is still open; the frontier of A*."""

import math
import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategies.testing import ROOT
from strategies.tree import Frontier, Tree


def path(id, finish="step"):
    return replace(ROOT, id=id, finish=finish)


def grow(tree, leaf, values, open=True):
    tree.expanded(leaf)
    for at, value in enumerate(values):
        tree.add(leaf, path(f"{leaf.path.id}.{at}"), value, open=open)


def nodes(tree):
    waiting = [tree.root]
    for node in waiting:
        waiting += node.children
    return waiting


def two_arms(values, waves, parallel=1):
    """A tree whose paths are worth what their first step is; how often each first step was visited."""
    tree = Tree(ROOT, 1.4)
    grow(tree, tree.pick(), values)
    for _ in range(waves):
        leaves = [tree.pick() for _ in range(min(parallel, tree.root.open))]
        for leaf in leaves:
            grow(tree, leaf, [values[int(leaf.path.id.split(".")[1])]] * 2)
    assert all(node.virtual == 0 for node in nodes(tree))
    return [child.visits for child in tree.root.children]


@pytest.mark.parametrize("values", [(0.9, 0.1), (8.0, -5.0), (-1.0, -9.0)])
def test_of_two_arms_the_better_one_gets_most_visits(values):
    better, worse = two_arms(values, 64)
    assert better + worse == 2 + 2 * 64
    assert better >= 0.8 * (better + worse)


def test_values_of_any_range_are_explored_alike():
    assert two_arms((90.0, 10.0), 64) == two_arms((1.0, 1 / 9), 64)


def test_leaves_in_batches_are_shared_out_nearly_as_one_by_one():
    better, worse = two_arms((0.9, 0.1), 16, parallel=4)
    assert better >= 0.8 * (better + worse)


def test_a_wave_takes_each_leaf_once_and_spreads():
    tree = Tree(ROOT, 1.4)
    grow(tree, tree.pick(), [0.9, 0.8, 0.1])
    leaves = [tree.pick() for _ in range(3)]
    assert {leaf.path.id for leaf in leaves} == {"0.0", "0.1", "0.2"}
    assert tree.root.open == 0
    assert tree.root.virtual == 3


def test_a_wave_puts_back_what_is_not_of_the_first_ones_kind():
    tree = Tree(ROOT, 1.4)
    grow(tree, tree.pick(), [0.9, 0.8, 0.7])
    leaves = tree.wave(3, lambda path: path.id == "0.1")
    assert [leaf.path.id for leaf in leaves] == ["0.0", "0.2"]
    assert (tree.root.open, tree.root.virtual) == (1, 2)
    assert tree.pick().path.id == "0.1"


def test_virtual_visits_are_worth_nothing_and_are_taken_back():
    tree = Tree(ROOT, 0.0)
    grow(tree, tree.pick(), [0.9, 0.8])
    first = tree.pick()
    assert first.path.id == "0.0"
    assert tree.promise(first) == pytest.approx(0.45)
    tree.put_back(first)
    assert tree.promise(first) == pytest.approx(0.9)
    assert tree.pick() is first


def test_a_tree_without_open_leaves_is_done():
    tree = Tree(ROOT, 1.4)
    grow(tree, tree.pick(), [0.9, 0.1], open=False)
    assert tree.root.open == 0
    assert [leaf.path.id for leaf in tree.root.leaves()] == ["0.0", "0.1"]


def test_a_leaf_whose_children_are_all_lost_is_not_picked_again():
    tree = Tree(ROOT, 1.4)
    grow(tree, tree.pick(), [0.9, 0.1])
    grow(tree, tree.pick(), [])
    assert tree.pick().path.id == "0.1"


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(0, 3), st.floats(0, 1)), max_size=30), st.integers())
def test_open_leaves_are_counted_right_whatever_happens(waves, seed):
    tree, rng = Tree(ROOT, 1.4), random.Random(seed)
    for parallel, width, value in waves:
        leaves = [tree.pick() for _ in range(min(parallel, tree.root.open))]
        for leaf in leaves:
            if rng.random() < 0.2:
                tree.put_back(leaf)
            else:
                tree.expanded(leaf)
                for at in range(width):
                    tree.add(leaf, path(f"{leaf.path.id}.{at}"), value, open=rng.random() < 0.7)
    assert tree.root.open == sum(leaf.open for leaf in tree.root.leaves())
    assert all(node.virtual == 0 for node in nodes(tree))
    for node in nodes(tree):
        assert node.visits == (node is not tree.root) + sum(child.visits for child in node.children)
        assert node.open == (sum(child.open for child in node.children) if node.children else node.open)


DEPTH = 3


def best_first(value, foresight):
    """Search a tree of three steps, two at a path: the first finished path, its product, how many were expanded."""
    frontier, expanded = Frontier(ROOT, DEPTH, foresight), 0
    while ends := frontier.best(1):
        [end] = ends
        expanded += 1
        ids = [f"{end.path.id}.{at}" for at in range(2)]
        finish = "stop" if end.depth + 1 == DEPTH else "step"
        frontier.replace(ends, [(end, path(id, finish), value(id)) for id in ids])
    best = frontier.ranked()[0]
    return best.path.id, math.exp(best.log), expanded


@given(st.lists(st.sampled_from([0.3, 0.5, 0.6, 0.8, 0.9]), min_size=14, max_size=14))
def test_with_an_admissible_foresight_the_first_finished_path_is_the_best_one(scores):
    ids = [f"0.{a}" for a in (0, 1)]
    ids += [f"{id}.{b}" for id in ids for b in (0, 1)]
    ids += [f"{id}.{c}" for id in ids if id.count(".") == 2 for c in (0, 1)]
    value = dict(zip(ids, scores, strict=True)).__getitem__
    most = max(value(id[:3]) * value(id[:5]) * value(id) for id in ids if id.count(".") == DEPTH)
    admissible = math.log(max(scores)) / math.log(min(scores))  # no step can score more than this much of the mean
    _, blind, all_expanded = best_first(value, 0.0)
    _, seeing, expanded = best_first(value, admissible)
    assert blind == pytest.approx(most)
    assert seeing == pytest.approx(most)
    assert expanded <= all_expanded


def test_with_equal_scores_the_deepest_path_goes_on():
    frontier = Frontier(ROOT, DEPTH, 1.0)
    [end] = frontier.best(1)
    frontier.replace([end], [(end, path("0.0"), 0.5), (end, path("0.1"), 0.5)])
    [end] = frontier.best(1)
    frontier.replace([end], [(end, path("0.0.0"), 0.5)])
    assert frontier.best(1)[0].path.id == "0.0.0"


def test_only_paths_that_promise_more_than_the_best_finished_one_are_expanded():
    frontier = Frontier(ROOT, DEPTH, 0.0)
    [end] = frontier.best(1)
    frontier.replace(
        [end],
        [(end, path("0.0"), 0.9), (end, path("0.1", "stop"), 0.5), (end, path("0.2"), 0.4), (end, path("0.3"), 0.6)],
    )
    assert [end.path.id for end in frontier.best(4)] == ["0.0", "0.3"]


def test_a_path_longer_than_the_shortest_finished_one_gains_nothing_by_that():
    frontier = Frontier(ROOT, DEPTH, 1.0)
    [end] = frontier.best(1)
    frontier.replace([end], [(end, path("0.0"), 0.9), (end, path("0.1", "stop"), 0.5)])
    [end] = frontier.best(1)
    frontier.replace([end], [(end, path("0.0.0"), 0.5)])
    assert frontier.best(1) == []
