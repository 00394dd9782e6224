"""Chapter 08's five kernels against the formula and the reference, and the pictures of what a program visits."""

import pytest
import torch
from matplotlib import pyplot as plt

from simplex_lab import forward_steps, program_plots, reference
from simplex_lab.windows import visible_pairs

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


@pytest.fixture(autouse=True)
def close():
    yield
    plt.close("all")


def draw(*sizes, seed=0):
    gen = torch.Generator().manual_seed(seed)
    return [torch.randn(*size, 16, generator=gen).to(DEVICE) for size in sizes]


@pytest.mark.parametrize(("step", "n1", "n2"), [("step1", 1, 16), ("step1", 1, 11), ("step2", 1, 33), ("step2", 1, 5), ("step3", 3, 40)])
def test_steps_without_windows_are_the_formula(step, n1, n2):
    q, k1, k2, v1, v2 = draw((32,), (n1,), (n2,), (n1,), (n2,))
    A = torch.einsum("id,jd,kd->ijk", q, k1, k2) * 16**-0.5
    P = A.flatten(1).softmax(1).view_as(A)
    torch.testing.assert_close(getattr(forward_steps, step)(q, k1, k2, v1, v2), torch.einsum("ijk,jd,kd->id", P, v1, v2), atol=1e-5, rtol=0)


@pytest.mark.parametrize("H", [0, 1, 3, 16], ids=lambda H: f"{H} heads" if H else "step 4")
@pytest.mark.parametrize(("S", "w1", "w2"), [(1, 1, 1), (18, 3, 17), (17, 20, 2)])
def test_steps_with_windows_are_the_reference(S, w1, w2, H):
    q, *keys = draw((S, H) if H else (S,), (S,), (S,), (S,), (S,))
    found = (forward_steps.step5 if H else forward_steps.step4)(q, *keys, w1, w2)
    queries = q if H else q[:, None]
    expected = reference.two_simplicial(queries[None], *(x[None, :, None] for x in keys), w1=w1, w2=w2).o[0]
    torch.testing.assert_close(found, expected if H else expected[:, 0], atol=1e-5, rtol=0)


@pytest.mark.parametrize("positions", [1, 3, 8])
def test_a_program_visits_each_pair_that_it_sees_once(positions):
    S, w1, w2, block_k = 24, 4, 12, 4
    for i_first in range(0, S, positions):
        counts = torch.zeros(positions, S + block_k, S + block_k, dtype=torch.int64)
        for j, k0, seen in program_plots.steps(S, i_first, positions, w1, w2, block_k):
            counts[: len(seen), j, k0 : k0 + block_k] += torch.from_numpy(seen)
        rows = visible_pairs(S, w1, w2)[i_first : i_first + positions].long()
        assert torch.equal(counts[: len(rows), :S, :S], rows)


def test_the_picture_marks_the_step_and_what_needs_a_mask():
    walk = program_plots.steps(24, 12, 4, 4, 12, 4)
    (ax,) = program_plots.program_walk(24, 12, 4, w1=4, w2=12, block_k=4, step=9).axes
    strips = ax.patches[: len(walk)]
    assert [bool(p.get_hatch()) for p in strips] == [not s.all() for _, _, s in walk]
    assert (strips[8].get_y() + 0.5, strips[8].get_x() + 0.5) == walk[8][:2]


def test_rows_and_columns_outline_what_sees_what():
    (ax,) = program_plots.rows_and_columns(12, 4, query=8, key=3).axes
    row, column = ax.patches[-2:]
    assert (row.get_x() + 0.5, row.get_y() + 0.5, row.get_width()) == (5, 8, 4)
    assert (column.get_x() + 0.5, column.get_y() + 0.5, column.get_height()) == (3, 3, 4)
    assert len(ax.patches) - 2 == visible_pairs(12, 4, 1).sum()
