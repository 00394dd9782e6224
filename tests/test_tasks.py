"""Labels against loops over the tasks' definitions, the guess line against a direct count."""

import itertools

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from simplex_lab import code_bytes
from simplex_lab.code_bytes import CodeBytes
from simplex_lab.tasks import (
    NO_LABEL,
    Composition,
    FunctionComposition,
    Match,
    ModularSum,
    WindowBits,
    best_guess,
    match2_labels,
    match3_labels,
    match3_partners,
)

ROWS = st.integers(1, 7).flatmap(lambda S: st.lists(st.lists(st.integers(0, 8), min_size=S, max_size=S), min_size=1, max_size=3))
MODULI = st.integers(2, 9)
SWITCHES = [(distinct, causal) for distinct in (True, False) for causal in (True, False)]
few = settings(max_examples=60, deadline=None, derandomize=True)


def allowed(i, others, distinct, causal):
    if causal and max(others) > i:
        return False
    return not distinct or len({i, *others}) == 1 + len(others)


def by_loops(row, modulus, partners, distinct, causal):
    """For each i: is there a choice of so many partners that sums with x_i to a multiple of the modulus?"""
    S = len(row)
    return [
        any(
            allowed(i, others, distinct, causal) and (row[i] + sum(row[p] for p in others)) % modulus == 0
            for others in itertools.product(range(S), repeat=partners)
        )
        for i in range(S)
    ]


@pytest.mark.parametrize(("distinct", "causal"), SWITCHES)
@few
@given(rows=ROWS, modulus=MODULI)
@example(rows=[[0]], modulus=2)
@example(rows=[[1, 2, 1]], modulus=2)
def test_match2_is_its_definition(distinct, causal, rows, modulus):
    labels = match2_labels(torch.tensor(rows), modulus, distinct=distinct, causal=causal)
    assert labels.dtype == torch.bool
    assert labels.tolist() == [by_loops(row, modulus, 1, distinct, causal) for row in rows]


@pytest.mark.parametrize(("distinct", "causal"), SWITCHES)
@few
@given(rows=ROWS, modulus=MODULI)
@example(rows=[[0]], modulus=2)
@example(rows=[[1, 2, 1]], modulus=4)
@example(rows=[[3, 1, 1]], modulus=5)
def test_match3_is_its_definition(distinct, causal, rows, modulus):
    labels = match3_labels(torch.tensor(rows), modulus, distinct=distinct, causal=causal)
    assert labels.dtype == torch.bool
    assert labels.tolist() == [by_loops(row, modulus, 2, distinct, causal) for row in rows]


def test_labels_are_causal_and_distinct_unless_told():
    x = torch.tensor([[1, 2, 0, 4, 3]])
    assert match2_labels(x, 5).tolist() == [[False, False, False, True, True]]
    assert match3_labels(x, 3).tolist() == [[False, False, True, True, True]]


def test_the_four_tasks_are_four_different_tasks():
    x = torch.randint(11, (20, 8), generator=torch.Generator().manual_seed(0))
    for rule in (match2_labels, match3_labels):
        labels = {tuple(rule(x, 11, distinct=d, causal=c).flatten().tolist()) for d, c in SWITCHES}
        assert len(labels) == 4


@few
@given(rows=ROWS, modulus=MODULI)
def test_partners_are_the_reasons_of_the_label(rows, modulus):
    row, x = rows[0], torch.tensor(rows[0])
    labels = match3_labels(x[None], modulus)[0].tolist()
    for i in range(len(row)):
        pairs = match3_partners(x, i, modulus)
        assert pairs == [(j, k) for j in range(i) for k in range(i) if j < k and (row[i] + row[j] + row[k]) % modulus == 0]
        assert bool(pairs) == labels[i]


# The data set


@pytest.mark.parametrize("order", [2, 3])
@pytest.mark.parametrize(("distinct", "causal"), SWITCHES)
def test_a_sample_has_the_labels_of_its_task(order, distinct, causal):
    task = Match(order, n=6, modulus=7, distinct=distinct, causal=causal)
    x, y = task.sample(40, torch.Generator().manual_seed(0))
    assert x.shape == y.shape == (40, 6)
    assert set(x.flatten().tolist()) == set(range(7))
    assert task.vocabulary == 7
    assert y.tolist() == [by_loops(row, 7, order - 1, distinct, causal) for row in x.tolist()]


def test_a_sample_is_decided_by_its_generator():
    task = Match(3, n=8, modulus=11)
    one, same, other = (torch.Generator().manual_seed(seed) for seed in (1, 1, 2))
    first, again = task.sample(16, one), task.sample(16, same)
    torch.manual_seed(99)
    second, second_again = task.sample(16, one), task.sample(16, same)
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert torch.equal(second[0], second_again[0])
    assert not torch.equal(first[0], second[0])
    assert not torch.equal(first[0], task.sample(16, other)[0])


@pytest.mark.parametrize(("order", "n", "modulus"), [(2, 5, 3), (3, 6, 7), (3, 2, 5), (2, 1, 4)])
def test_the_guess_is_the_more_frequent_label_of_each_position(order, n, modulus):
    task = Match(order, n, modulus)
    _, y = task.sample(300, torch.Generator().manual_seed(4))
    right = 0
    for position in zip(*y.tolist(), strict=True):
        right += max(position.count(True), position.count(False))
    assert task.guess_accuracy(sequences=300, seed=4) == pytest.approx(right / (300 * n))


def test_the_guess_line_of_chapter_00():
    """A larger, independent sample gives the same line to a percent, so that the default sample is large enough."""
    task = Match(3, n=12, modulus=23)
    assert task.guess_accuracy() == pytest.approx(task.guess_accuracy(sequences=8192, seed=1), abs=0.01)
    assert task.guess_accuracy() == task.guess_accuracy()


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"order": 4}, "order=4"),
        ({"order": 1}, "order=1"),
        ({"n": 0}, "n=0"),
        ({"modulus": 1}, "modulus=1"),
    ],
)
def test_errors_name_the_argument_and_its_value(values, says):
    with pytest.raises(ValueError, match=rf"\b{says}\b"):
        Match(**{"order": 3, "n": 4, "modulus": 5} | values)


# Bits in a window, and relations


@pytest.mark.parametrize("rule", ["parity", "majority"])
@pytest.mark.parametrize("span", [1, 3, 5])
def test_labels_of_bits_are_those_of_the_last_span(rule, span):
    x, y = WindowBits(rule, n=9, span=span).sample(20, torch.Generator().manual_seed(0))
    for bits, labels in zip(x.tolist(), y.tolist(), strict=True):
        for i, label in enumerate(labels):
            ones = sum(bits[max(0, i - span + 1) : i + 1])
            expected = NO_LABEL if i < span - 1 else ones % 2 if rule == "parity" else int(2 * ones > span)
            assert label == expected


@pytest.mark.parametrize(("rule", "span"), [("xor", 3), ("parity", 2), ("parity", 0), ("majority", 11)])
def test_bits_that_are_no_task_are_refused(rule, span):
    with pytest.raises(ValueError, match=rf"rule='{rule}'|span={span}, n=9"):
        WindowBits(rule, n=9, span=span)


def test_a_query_is_answered_by_paths_of_two_arrows():
    task = Composition(elements=4, edges=6, queries=5)
    x, y = task.sample(50, torch.Generator().manual_seed(0))
    assert x.shape == y.shape == (50, task.n)
    assert x.min() >= 0
    assert x.max() < task.vocabulary
    for tokens, labels in zip(x.tolist(), y.tolist(), strict=True):
        arrows = {divmod(t, 4) for t in tokens[:6]}
        assert labels[:6] == [NO_LABEL] * 6
        for token, label in zip(tokens[6:], labels[6:], strict=True):
            start, end = divmod(token - 16, 4)
            assert label == any((start, z) in arrows and (z, end) in arrows for z in range(4))
    assert 0.2 < y[y != NO_LABEL].double().mean() < 0.8


def test_positions_that_are_not_asked_do_not_count_for_the_guess():
    y = torch.tensor([[NO_LABEL, 1, 0], [NO_LABEL, 1, 1], [NO_LABEL, 0, 1], [NO_LABEL, 1, 1]])
    assert best_guess(y) == 6 / 8


# Sums modulo a number


@pytest.mark.parametrize(("n", "modulus", "terms"), [(1, 2, 1), (6, 5, 3), (7, 4, 2), (5, 7, 5)])
def test_a_modular_sum_is_its_definition(n, modulus, terms):
    x, y = ModularSum(n, modulus, terms).sample(20, torch.Generator().manual_seed(0))
    for row, labels in zip(x.tolist(), y.tolist(), strict=True):
        assert labels == [sum(row[i - terms + 1 : i + 1]) % modulus if i >= terms - 1 else NO_LABEL for i in range(n)]
    assert (int(x.min()), int(x.max())) == (0, modulus - 1)


def test_a_sum_of_uniform_tokens_cannot_be_guessed():
    assert ModularSum(8, 5).guess_accuracy() == pytest.approx(1 / 5, abs=0.02)


@pytest.mark.parametrize("values", [{"terms": 9}, {"terms": 0}, {"modulus": 1}])
def test_sums_that_make_no_sense_are_refused(values):
    with pytest.raises(ValueError, match="terms="):
        ModularSum(**{"n": 8, "modulus": 5} | values)


# Relations and functions


def test_one_hop_asks_for_an_arrow():
    task = Composition(elements=3, edges=4, queries=5, hops=1)
    x, y = task.sample(50, torch.Generator().manual_seed(1))
    for row, labels in zip(x.tolist(), y.tolist(), strict=True):
        assert labels == [NO_LABEL] * 4 + [int(q - 9 in row[:4]) for q in row[4:]]


@pytest.mark.parametrize("hops", [1, 2])
@pytest.mark.parametrize(("elements", "queries"), [(2, 3), (5, 4)])
def test_function_composition_is_its_definition(elements, queries, hops):
    E = elements
    x, y = FunctionComposition(elements, queries, hops).sample(50, torch.Generator().manual_seed(2))
    for row, labels in zip(x.tolist(), y.tolist(), strict=True):
        told, asked = row[: 2 * E], [t - 2 * E * E for t in row[2 * E :]]
        f = {t // E: t % E for t in told if t < E * E}
        g = {(t - E * E) // E: t % E for t in told if t >= E * E}
        assert sorted(f) == sorted(g) == list(range(E))
        assert labels == [NO_LABEL] * 2 * E + [g[f[a]] if hops == 2 else f[a] for a in asked]
    assert len({tuple(t // E for t in row[: 2 * E]) for row in x.tolist()}) > 1  # shuffled


@pytest.mark.parametrize(("kind", "values"), [(Composition, (3, 4, 5)), (FunctionComposition, (3, 2))])
def test_more_hops_are_refused(kind, values):
    with pytest.raises(ValueError, match="hops=3"):
        kind(*values, hops=3)


# Bytes


def test_code_is_real_python_and_the_label_is_the_next_byte():
    x, y = CodeBytes(n=200).sample(4, torch.Generator().manual_seed(0))
    assert torch.equal(x[:, 1:], y[:, :-1])
    text = b"".join(path.read_bytes() for path in code_bytes.files("train"))
    for row, label in zip(x.tolist(), y.tolist(), strict=True):
        assert bytes([*row, label[-1]]) in text
    assert b"def " in text


def test_validation_files_are_never_trained_on():
    train, kept = (set(code_bytes.files(split)) for split in ("train", "validation"))
    assert not train & kept
    assert 0.05 < len(kept) / len(train | kept) < 0.2
    held_out = CodeBytes(n=120).held_out(3, torch.Generator().manual_seed(0))[0]
    text = b"".join(path.read_bytes() for path in sorted(kept))
    assert all(bytes(row) in text for row in held_out.tolist())
    assert not any({"test", "tests", "site-packages"} & set(path.parts[:-1]) for path in train | kept)


def test_another_split_is_refused():
    with pytest.raises(ValueError, match="'exam'"):
        code_bytes.files("exam")
