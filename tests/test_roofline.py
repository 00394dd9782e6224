"""Bounds by hand, checked by counting what they count in another way."""

import pytest

from simplex_lab import bench_plots, records, roofline
from simplex_lab.windows import count_triples, visible_pairs

CHIP = roofline.Chip(products=1000.0, adds=60.0, exps=4.0, memory=4.0)


def test_the_ridge_is_where_both_clocks_agree():
    assert CHIP.ridge == 250
    assert CHIP.products * 1e12 / CHIP.ridge == CHIP.memory * 1e12


@pytest.mark.parametrize("decode", [False, True])
@pytest.mark.parametrize(("w1", "w2", "G"), [(4, 8, 1), (3, 5, 4), (32, 512, 64)])
def test_intensity_counts_flops_and_bytes(w1, w2, G, decode):
    D = 16
    flops = 4 * D * w1 * w2 * G
    keys = 2 * (w1 + w2) if decode else 4  # rows of k1, v1, k2, v2 that one position reads, or that are its own
    assert roofline.intensity(w1, w2, G, decode=decode) == pytest.approx(flops / (2 * D * (2 * G + keys)))


@pytest.mark.parametrize("decode", [False, True])
def test_intensity_of_dot_products(decode):
    D, w, G = 16, 40, 3
    keys = 2 * w if decode else 2
    assert roofline.intensity(w, None, G, decode=decode) == pytest.approx(4 * D * w * G / (2 * D * (2 * G + keys)))


def test_whole_tiles_hold_all_that_is_seen():
    S, w1, w2 = 20, 3, 7
    assert roofline.executed_triples(S, w1, w2, 1) == count_triples(S, w1, w2)
    seen = visible_pairs(S, w1, w2)
    by_tiles = sum(
        int(seen[i].any(1).sum()) * 4 * len({(k - max(i - w2 + 1, 0)) // 4 for k in seen[i].any(0).nonzero().flatten().tolist()})
        for i in range(S)
    )
    assert roofline.executed_triples(S, w1, w2, 4) == by_tiles


def test_a_first_kernel_pays_for_its_maximum_and_masks():
    first = roofline.on_chip(CHIP, 128, 64, online=True, masked=True)
    last = roofline.on_chip(CHIP, 128, 128, online=False, masked=False)
    assert first["products"] == last["products"] == 4 * 128 / 1000
    assert first["exponentials"] == last["exponentials"] == 0.25
    assert first["the rest"] == pytest.approx((6 + 2.5 * 2) / 30)
    assert last["the rest"] == pytest.approx((3 + 1.5) / 30)


def test_compiling_removes_passes_over_the_weights():
    shape = {"B": 2, "S": 16, "H": 4, "D": 8, "w1": 4, "w2": 8}
    weights, rows = 2 * 4 * 16 * 32, 2 * 4 * 16 * 4 * 8
    eager, compiled = (roofline.unfolded_bytes(**shape, compiled=c) for c in (False, True))
    assert eager - compiled == 2 * (20 * weights + 2 * rows)


def test_the_recorded_ladder_climbs_and_its_rungs_have_their_bounds():
    rungs = roofline.ladder(bench_plots.latest(records.read("kernel_bench.csv")), roofline.published_chip())
    assert [r.arm for r in rungs] == list(roofline.NAMES)
    taken = [r.taken for r in rungs]
    assert taken == sorted(taken, reverse=True)
    for r in rungs:
        if r.resource == "memory":
            assert r.by_hand < r.taken, "a bound on memory was beaten: the count of bytes is wrong"
