"""The tracer sees every access of every program, protects memory, and names what a CPU would let pass."""

import numpy as np
import pytest
import torch
import triton
import triton.language as tl

from simplex_lab import access_plots, tracer
from simplex_lab.access import Access, Launch, Region, Trace, faults
from simplex_lab.interpreter import interpreting

pytestmark = pytest.mark.skipif(not interpreting(), reason="kernels run on a GPU here: accesses cannot be watched")


@triton.jit
def copy_kernel(x_ptr, out_ptr, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + at, mask=at < n)
    tl.store(out_ptr + at, x, mask=at < n)


@triton.jit
def unmasked_kernel(x_ptr, out_ptr, FAR: tl.constexpr, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + at * FAR)
    tl.store(out_ptr + at * FAR, x)


@triton.jit
def sum_kernel(x_ptr, sum_ptr, ATOMIC: tl.constexpr):
    x = tl.load(x_ptr + tl.program_id(0))
    if ATOMIC:
        tl.atomic_add(sum_ptr, x)
    else:
        tl.store(sum_ptr, tl.load(sum_ptr) + x)


@triton.jit
def neighbour_kernel(x_ptr, n):
    p = tl.program_id(0)
    tl.store(x_ptr + p, tl.load(x_ptr + (p + 1) % n))


@triton.jit
def clash_kernel(out_ptr, STEP: tl.constexpr):
    at = tl.arange(0, 4)
    tl.store(out_ptr + at // 2, (at // STEP).to(tl.float32))


@triton.jit
def dot_kernel(a_ptr, out_ptr, K: tl.constexpr):
    m, k = tl.arange(0, 4), tl.arange(0, K)
    a = tl.load(a_ptr + m[:, None] * K + k[None, :])
    tl.store(out_ptr + m[:, None] * 4 + m[None, :], tl.dot(a, tl.trans(a)))


@triton.jit
def row_kernel(x_ptr, out_ptr, stride, C, BLOCK: tl.constexpr):
    r, c = tl.program_id(0), tl.arange(0, BLOCK)
    tl.store(out_ptr + r, tl.sum(tl.load(x_ptr + r * stride + c, mask=c < C, other=0.0), 0))


def watched(launch):
    with tracer.watch() as trace:
        launch()
    return trace


def named(trace):
    return [f.name for f in faults(trace)]


def test_accesses_are_recorded_in_order_with_their_lines():
    x, out = torch.arange(10.0), torch.zeros(10)
    trace = watched(lambda: copy_kernel[(3,)](x, out, 10, BLOCK=4))
    (launch,) = trace.launches
    assert (launch.kernel, launch.grid, list(launch.regions)) == ("copy_kernel", (3, 1, 1), ["x", "out"])
    assert [(a.program[0], a.op, a.name) for a in trace.accesses] == [(p, *w) for p in range(3) for w in (("load", "x"), ("store", "out"))]
    last = trace.accesses[-1]
    assert (last.offsets.tolist(), last.active.tolist()) == ([8, 9, 10, 11], [True, True, False, False])
    assert last.code == "tl.store(out_ptr + at, x, mask=at < n)"
    assert last.line == trace.accesses[-2].line + 1
    assert torch.equal(out, x)
    assert named(trace) == []
    assert (launch.loaded("x"), len(trace.written(out.data_ptr(), out.nbytes))) == (10, 10)


def test_an_access_beyond_the_end_is_named_and_not_made():
    whole = torch.zeros(16)
    x, out = torch.ones(10), whole[:10]
    trace = watched(lambda: unmasked_kernel[(3,)](x, out, FAR=1, BLOCK=4))
    assert named(trace) == ["reads-outside", "writes-outside"]
    assert next(faults(trace)).says.startswith("program 2 reads offsets 10 to 11 of `x`, which has 10 elements: line ")
    assert trace.accesses[-1].outside.tolist() == [10, 11]
    assert whole[:10].tolist() == [1.0] * 10
    assert whole[10:12].isnan().all()  # it lies in the output's own storage: written, with what a load from outside gives


@triton.jit
def two_tensors_kernel(first_ptr, second_ptr, START: tl.constexpr, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK) + START
    x = tl.load(first_ptr + at)
    tl.store(second_ptr + tl.arange(0, BLOCK), x)


def test_the_line_tells_which_tensor_was_meant_even_if_the_addresses_lie_in_another():
    both = torch.zeros(48)
    trace = watched(lambda: two_tensors_kernel[(1,)](both[:8], both[16:], 0, 16))
    (fault,) = faults(trace)
    assert fault.says.startswith("program 0 reads offsets 8 to 15 of `first`, which has 8 elements")


@pytest.mark.parametrize(("start", "asks"), [(-8, "in front of the tensor"), (8, "nothing masks it")])
def test_the_question_fits_the_offsets(start, asks):
    both = torch.zeros(64)
    trace = watched(lambda: two_tensors_kernel[(1,)](both[16:32], both[48:], start, 16))
    assert asks in next(faults(trace)).asks


def test_a_wild_address_does_not_end_the_process():
    x, out = torch.ones(10), torch.zeros(10)
    trace = watched(lambda: unmasked_kernel[(1,)](x, out, FAR=10**9, BLOCK=4))
    assert named(trace) == ["reads-outside", "writes-outside"]
    assert out.tolist() == [1.0] + [0.0] * 9


@pytest.mark.parametrize(("undefined", "seen"), [(float("nan"), True), (0.0, False)])
def test_masked_lanes_without_other_hold_what_is_asked_for(undefined, seen):
    @triton.jit
    def first_lanes(x_ptr, out_ptr):
        at = tl.arange(0, 4)
        tl.store(out_ptr + at, tl.load(x_ptr + at, mask=at < 2))

    out = torch.zeros(4)
    with tracer.watch(undefined=undefined):
        first_lanes[(1,)](torch.ones(4), out)
    assert out[:2].tolist() == [1.0, 1.0]
    assert bool(out[2:].isnan().all()) == seen


@pytest.mark.parametrize(
    ("launch", "expected"),
    [
        (lambda x, s: sum_kernel[(4,)](x, s, ATOMIC=False), ["race"]),
        (lambda x, s: sum_kernel[(1,)](x, s, ATOMIC=False), []),
        (lambda x, s: sum_kernel[(4,)](x, s, ATOMIC=True), []),
        (lambda x, s: neighbour_kernel[(4,)](x, 4), ["race"]),
        (lambda x, s: neighbour_kernel[(1,)](x, 1), []),
        (lambda x, s: clash_kernel[(1,)](x, STEP=1), ["race"]),
        (lambda x, s: clash_kernel[(1,)](x, STEP=2), []),
    ],
    ids=["sum", "one program", "atomic", "reads what another writes", "reads its own", "lanes differ", "lanes agree"],
)
def test_an_element_with_two_owners_is_a_race(launch, expected):
    trace = watched(lambda: launch(torch.ones(4), torch.zeros(1)))
    assert named(trace) == expected


def test_launches_are_in_order_so_they_do_not_race():
    x, s = torch.ones(4), torch.zeros(1)

    def twice():
        sum_kernel[(1,)](x, s, ATOMIC=False)
        sum_kernel[(1,)](x, s, ATOMIC=False)

    assert named(watched(twice)) == []


@pytest.mark.parametrize(("K", "expected"), [(4, ["small-dot"]), (16, [])])
def test_a_product_too_small_for_a_gpu_is_named(K, expected):
    assert named(watched(lambda: dot_kernel[(1,)](torch.ones(4, K), torch.zeros(4, 4), K=K))) == expected


@pytest.mark.parametrize(("stride", "expected"), [(8, []), (5, ["reads-outside"])])
def test_the_gap_between_rows_is_outside(stride, expected):
    x = torch.ones(3, 8)[:, :5]
    assert named(watched(lambda: row_kernel[(3,)](x, torch.zeros(3), stride, 5, BLOCK=8))) == expected


def test_afterwards_everything_is_as_before():
    from triton.runtime.interpreter import InterpretedFunction, interpreter_builder

    run = InterpretedFunction.run
    with tracer.watch():
        assert InterpretedFunction.run is not run
        with pytest.raises(RuntimeError, match="already"), tracer.watch():
            pass
    x = torch.ones(4)
    with pytest.raises(Exception, match="BLOCK"):
        watched(lambda: copy_kernel[(1,)](x, x, 4))
    assert InterpretedFunction.run is run
    assert not vars(interpreter_builder).keys() & tracer.SIGNATURES.keys()


def test_another_triton_is_noticed(monkeypatch):
    from triton.runtime.interpreter import interpreter_builder

    assert tracer.missing() == ""
    monkeypatch.setattr(interpreter_builder, "create_dot", lambda a, b: None)
    assert tracer.missing() == "this version of Triton has another create_dot"
    with pytest.raises(RuntimeError, match="another create_dot"), tracer.watch():
        pass


def test_the_adapter_stays_small():
    """What reaches into Triton is one file of some hundred lines."""
    from pathlib import Path

    lines = Path(tracer.__file__).read_text(encoding="utf-8").splitlines()
    code = [line for line in lines[lines.index("@contextmanager") :] if line.strip()]
    assert len(code) < 100


# --- pictures ------------------------------------------------------------------------------------------------------------


def cells(ax):
    return {(int(p.get_y()), int(p.get_x())) for p in ax.patches}


def texts(ax):
    return [t.get_text() for t in ax.texts]


def test_the_map_shows_which_program_touches_which_element(closed):
    x, out = torch.arange(10.0), torch.zeros(10)
    launch = watched(lambda: copy_kernel[(3,)](x, out, 10, BLOCK=4)).launches[0]
    loaded, stored = access_plots.access_map(launch).axes
    assert texts(loaded) == texts(stored) == list("0000111122")
    assert (loaded.get_title(loc="left"), stored.get_title(loc="left")) == ("x, loaded", "out, stored")


def test_the_map_crosses_out_what_is_outside(closed):
    launch = watched(lambda: unmasked_kernel[(3,)](torch.ones(10), torch.zeros(10), FAR=1, BLOCK=4)).launches[0]
    loaded, _ = access_plots.access_map(launch).axes
    assert cells(loaded) == {(0, c) for c in range(12)}
    assert sorted({int(line.get_xdata()[0]) for line in loaded.lines}) == [10, 11]


def test_a_step_shows_lanes_masked_lanes_and_the_past(closed):
    launch = watched(lambda: copy_kernel[(3,)](torch.arange(10.0), torch.zeros(10), 10, BLOCK=4)).launches[0]
    loaded, stored = access_plots.access_step(launch, 6).axes
    assert texts(loaded) == []
    assert texts(stored) == list("0123")
    assert "program 2 stores to out" in access_plots.told(launch, 6)
    assert "4 lanes, 2 masked off" in access_plots.told(launch, 6)


def test_a_matrix_has_a_cell_for_each_element(closed):
    launch = watched(lambda: dot_kernel[(1,)](torch.ones(4, 16), torch.zeros(4, 4), K=16)).launches[0]
    a, out = access_plots.access_map(launch).axes
    assert (cells(a), cells(out)) == ({(r, c) for r in range(4) for c in range(16)}, {(r, c) for r in range(4) for c in range(4)})


def test_far_away_accesses_do_not_blow_up_the_picture(closed):
    region = Region("x", 0, 4, (4,), (1,), (0, 16))
    far = np.array([0, 10**9])
    access = Access((0, 0, 0), "load", region, far, np.array([True, True]), np.array([True, False]), True, False, 1, "x")
    fig = access_plots.access_map(Launch("k", "m", {"x": region}, (1, 1, 1), [access]))
    assert max(fig.get_size_inches()) < 10
    assert named(Trace([Launch("k", "m", {"x": region}, (1, 1, 1), [access])])) == ["reads-outside"]


@pytest.fixture
def closed():
    from matplotlib import pyplot as plt

    yield
    plt.close("all")
