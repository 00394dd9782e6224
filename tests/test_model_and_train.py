"""The model, its parameter counts and its causality; training that repeats; the presets and what was recorded of them."""

import math
import signal
from dataclasses import replace
from statistics import median

import pytest
import torch

from simplex_lab import experiments, presets, records
from simplex_lab import train as train_module
from simplex_lab.model import Attention, Model, ModelConfig, every, flops_per_token, match_parameters, parameter_count
from simplex_lab.tasks import NO_LABEL, Match, Task
from simplex_lab.train import History, TrainConfig, accuracy, train
from simplex_lab.windows import count_pairs, count_triples

TRIPLE, PAIR, PAIRS = "2-simplicial, 1 layer", "dot product, 1 layer", "dot product, 2 layers"
TASK = Match(order=2, n=5, modulus=4)
SMALL = ModelConfig(vocabulary=4, length=5, layers=("dot",), width=16, heads=2, hidden=16)
TINY = TrainConfig(SMALL, TASK, steps=12, batch=8, warmup=3, eval_every=5, eval_sequences=32)
STACKS = [("dot",), ("simplicial",), ("dot", "simplicial"), ("simplicial", "dot")]


# Model


@pytest.mark.parametrize("layers", STACKS)
def test_one_set_of_logits_for_each_position(layers):
    model = Model(replace(SMALL, layers=layers, classes=3))
    assert model(torch.zeros(2, 5, dtype=torch.long)).shape == (2, 5, 3)
    assert model(torch.zeros(2, 4, dtype=torch.long)).shape == (2, 4, 3)


@pytest.mark.parametrize("windows", [(None, None), (2, 4)])
@pytest.mark.parametrize("layers", STACKS)
def test_later_tokens_leave_earlier_logits_alone(layers, windows):
    torch.manual_seed(0)
    config = replace(SMALL, layers=layers, length=8, w1=windows[0], w2=windows[1])
    model, x = Model(config), torch.randint(4, (3, 8))
    changed = x.clone()
    changed[:, 5:] = (x[:, 5:] + 1) % 4
    gap = (model(x) - model(changed)).abs().amax((0, 2))
    assert gap[:5].max() < 1e-6
    assert gap[5:].min() > 1e-3


@pytest.mark.parametrize("layers", STACKS)
def test_without_causality_they_do_not(layers):
    torch.manual_seed(0)
    model, x = Model(replace(SMALL, layers=layers, causal=False)), torch.randint(4, (3, 5))
    changed = x.clone()
    changed[:, 4] = (x[:, 4] + 1) % 4
    assert (model(x) - model(changed)).abs().amax((0, 2)).min() > 1e-4


@pytest.mark.parametrize(("w1", "w2", "reach"), [(1, 1, 1), (3, 1, 3), (1, 3, 3), (2, 4, 4)])
def test_a_layer_sees_no_further_than_its_windows(w1, w2, reach):
    torch.manual_seed(0)
    model, x = Model(replace(SMALL, layers=("simplicial",), length=8, w1=w1, w2=w2)), torch.randint(4, (3, 8))
    changed = x.clone()
    changed[:, 2] = (x[:, 2] + 1) % 4
    moved = ((model(x) - model(changed)).abs().amax((0, 2)) > 1e-6).tolist()
    assert moved == [2 <= i < 2 + reach for i in range(8)]


def test_w1_bounds_the_first_value_and_w2_the_second():
    """Logits of 0, v1 reads channels 0 to 7 and v2 the others: with w1=1 and w2=4 the past comes in through the others only."""
    torch.manual_seed(0)
    attention = Attention(replace(SMALL, layers=("simplicial",), w1=1, w2=4), "simplicial")
    _, k1, k2, v1, v2 = attention.inputs.weight.data.view(5, 16, 16)
    k1[:], k2[:], v1[:, 8:], v2[:, :8] = 0, 0, 0, 0
    x = torch.randn(1, 5, 16)
    for channels, moved in ((slice(0, 8), [0]), (slice(8, 16), [0, 1, 2, 3])):
        changed = x.clone()
        changed[:, 0, channels] += 1.0
        gap = (attention(x) - attention(changed)).abs().amax((0, 2))
        assert (gap > 1e-6).nonzero().flatten().tolist() == moved


@pytest.mark.parametrize(("nth", "first", "at"), [(4, 0, [0, 4]), (4, 3, [3, 7]), (1, 0, list(range(8))), (8, 5, [5])])
def test_every_nth_layer_is_2_simplicial(nth, first, at):
    layers = every(nth, 8, first=first)
    assert [n for n, kind in enumerate(layers) if kind == "simplicial"] == at
    assert len(layers) == 8


def test_shared_key_heads_are_the_same_keys_for_their_query_heads():
    """Four query heads on two key heads equal four on four whose projections repeat."""
    torch.manual_seed(0)
    for kind, n in (("dot", 3), ("simplicial", 5)):
        few = Attention(replace(SMALL, width=32, heads=4, key_heads=2), kind)
        many = Attention(replace(SMALL, width=32, heads=4), kind)
        q, *keys = few.inputs.weight.data.view(-1, 8, 32).split((4, *(n - 1) * (2,)))
        many.inputs.weight.data = torch.cat([q, *(k.repeat_interleave(2, 0) for k in keys)]).flatten(0, 1)
        many.output.weight.data = few.output.weight.data
        x = torch.randn(2, 6, 32)
        assert torch.allclose(few(x), many(x), atol=1e-6)


def shifted(config, kind):
    """How far apart are the last outputs of a sequence and of the same one behind three other tokens, in a window of 3?"""
    torch.manual_seed(1)
    attention = Attention(replace(config, w1=3, w2=3), kind)
    x, front = torch.randn(1, 5, config.width), torch.randn(1, 3, config.width)
    return (attention(x)[:, -1] - attention(torch.cat([front, x], 1))[:, -1]).abs().max().item()


def test_rope_depends_on_distances_and_tells_order():
    rope = replace(SMALL, width=24, heads=2, positions="rope")
    assert shifted(rope, "dot") < 1e-5
    assert shifted(replace(rope, logits="determinant"), "simplicial") < 1e-5
    torch.manual_seed(2)
    x = torch.randn(1, 5, 24)
    swapped = x[:, [1, 0, 2, 3, 4]]
    for config, kind, told in (
        (rope, "dot", True),
        (replace(rope, logits="determinant"), "simplicial", True),
        (rope, "simplicial", False),
        (replace(rope, positions="learned"), "dot", False),
    ):
        attention = Attention(config, kind)
        assert ((attention(x)[:, -1] - attention(swapped)[:, -1]).abs().max() > 1e-4) == told, (config, kind)


def test_rope_has_no_position_vectors():
    assert parameter_count(replace(SMALL, positions="rope", width=16)) == parameter_count(SMALL) - SMALL.length * SMALL.width


@pytest.mark.parametrize("kind", ["dot", "simplicial"])
def test_qk_norm_bounds_the_logits(kind):
    torch.manual_seed(0)
    attention = Attention(replace(SMALL, qk_norm=True), kind)
    x = torch.randn(1, 5, 16)
    before = attention(x)
    D, heads = 8, 2
    keys = attention.inputs.weight.data.view(-1, heads, D, 16)
    keys[: 2 if kind == "dot" else 3] *= 50
    assert torch.allclose(attention(x), before, atol=1e-4)


def test_a_value_bias_of_one_lets_plain_v1_through():
    """v2 = 0: without the bias nothing passes, with it the weighted sum of v1 does."""
    torch.manual_seed(0)
    x = torch.randn(1, 5, 16)
    for bias, passes in ((0.0, False), (1.0, True)):
        attention = Attention(replace(SMALL, v2_bias=bias), "simplicial")
        attention.inputs.weight.data.view(5, 16, 16)[4] = 0
        assert (attention(x).abs().max() > 1e-3) == passes


@pytest.mark.parametrize("layers", STACKS)
@pytest.mark.parametrize("options", [{}, {"w1": 2, "w2": 3}, {"key_heads": 1, "hidden": 0}], ids=["plain", "windows", "groups"])
def test_flops_are_counted_as_pytorch_counts_matrix_products(layers, options):
    """Weights by PyTorch's own counter on the projections and the MLP; attention by the windows' counts."""
    from torch.utils.flop_counter import FlopCounterMode

    config = replace(SMALL, layers=layers, **options)
    model = Model(config)
    for layer in model.layers:
        layer.attention.attend = lambda q, *rest: q  # attention itself is counted apart
    with FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, 5, dtype=torch.long))
    S, D = config.length, config.width // config.heads
    seen = {"dot": count_pairs(S, config.w1), "simplicial": count_triples(S, config.w1, config.w2)}
    attention = sum(4 * D * config.heads * seen[kind] for kind in layers)
    assert flops_per_token(config) * S == pytest.approx(3 * (counter.get_total_flops() + attention))


def test_the_skip_brings_the_embedding_to_2_simplicial_layers_alone():
    torch.manual_seed(0)
    tokens = torch.randint(4, (2, 5))
    for layers, differs in ((("dot", "dot"), False), (("dot", "simplicial"), True)):
        with_skip, without = (Model(replace(SMALL, layers=layers, skip=skip)) for skip in (True, False))
        without.load_state_dict(with_skip.state_dict())
        assert ((with_skip(tokens) - without(tokens)).abs().max() > 1e-4) == differs


def test_the_embedding_starts_as_large_as_it_says():
    torch.manual_seed(0)
    one = Model(replace(SMALL, vocabulary=400))
    torch.manual_seed(0)
    small = Model(replace(SMALL, vocabulary=400, embedding=0.02))
    assert one.embedding.weight.std().item() == pytest.approx(1, abs=0.05)
    assert torch.allclose(small.embedding.weight, 0.02 * one.embedding.weight)


def test_windows_may_be_for_2_simplicial_layers_alone():
    """Token 0 reaches the last of six positions through a dot-product layer, though the windows are 2 long."""
    torch.manual_seed(0)
    tokens = torch.randint(4, (1, 6))
    changed = tokens.clone()
    changed[0, 0] = (tokens[0, 0] + 1) % 4
    for sees_all in (False, True):
        model = Model(replace(SMALL, length=6, layers=("dot", "simplicial"), w1=2, w2=2, dot_sees_all=sees_all))
        assert ((model(tokens) - model(changed))[:, -1].abs().max() > 1e-5) == sees_all


def test_a_residual_of_zero_leaves_the_embedding():
    torch.manual_seed(0)
    model, tokens = Model(replace(SMALL, layers=("dot", "simplicial"), residual=0.0)), torch.randint(4, (2, 5))
    plain = model.head(model.norm(model.embedding(tokens) + model.position))
    assert torch.allclose(model(tokens), plain)


def test_a_stream_times_a_number_is_the_same_function():
    """Every part norms what it reads: tokens, positions and residuals a hundred times smaller change nothing but rounding."""
    tokens = torch.randint(4, (3, 5), generator=torch.Generator().manual_seed(0))
    found = []
    for scale, residual in ((1.0, 1.0), (0.01, 0.01), (1.0, 10.0), (0.1, 1.0)):
        torch.manual_seed(0)
        found.append(Model(replace(SMALL, layers=("dot", "simplicial"), scale=scale, residual=residual))(tokens))
    torch.testing.assert_close(found[1], found[0], rtol=2e-3, atol=2e-3)
    torch.testing.assert_close(found[3], found[2], rtol=2e-3, atol=2e-3)
    assert (found[2] - found[0]).abs().max() > 0.05


OPTIONS = {
    "plain": {},
    "windows": {"w1": 3, "w2": 5},
    "groups": {"key_heads": 1},
    "biases": {"k2_bias": 0.25, "v2_bias": 1.0},
    "norms": {"qk_norm": True, "output_norm": True},
    "determinant": {"logits": "determinant", "positions": "rope"},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_kernels_and_pytorch_give_the_same_model(options):
    """In Triton's interpreter here, on a GPU there: logits and gradients of a dot and a 2-simplicial layer."""
    config = replace(SMALL, layers=("simplicial", "dot"), width=32, heads=2, length=7, **options)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(0)
    by_pytorch = Model(config, "pytorch").to(device)
    by_kernels = Model(config, "kernels").to(device)
    by_kernels.load_state_dict(by_pytorch.state_dict())
    tokens = torch.randint(4, (2, 7), device=device)
    one, other = by_pytorch(tokens), by_kernels(tokens)
    assert torch.allclose(one, other, atol=1e-5)
    one.square().sum().backward()
    other.square().sum().backward()
    for p, q in zip(by_pytorch.parameters(), by_kernels.parameters(), strict=True):
        assert torch.allclose(p.grad, q.grad, atol=1e-4 * p.grad.abs().max().item() + 1e-6)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"layers": ("dot", "triple")}, r"layers=\('dot', 'triple'\): 'triple'"),
        ({"heads": 3}, "width=16 .* heads=3"),
        ({"heads": 4, "key_heads": 3}, "heads=4 .* key_heads=3"),
        ({"positions": "sine"}, "positions='sine'"),
        ({"logits": "cubic"}, "logits='cubic'"),
        ({"positions": "rope", "width": 6, "heads": 2}, "odd"),
    ],
)
def test_a_wrong_config_is_named(values, says):
    with pytest.raises(ValueError, match=says):
        replace(SMALL, **values)


# Parameters


def test_the_arms_of_chapter_00_are_equally_large():
    arms = presets.chapter00()
    assert len(arms) == 3
    counts = {arm: parameter_count(config.model) for arm, config in arms.items()}
    assert counts == {arm: sum(p.numel() for p in Model(config.model).parameters()) for arm, config in arms.items()}
    assert max(counts.values()) <= 1.01 * counts[TRIPLE]
    assert min(counts.values()) >= 0.99 * counts[TRIPLE]


def test_the_arms_of_chapter_00_differ_in_layers_width_of_the_mlp_and_rate_only():
    arms = presets.chapter00(seed=3)
    assert [config.model.layers for config in arms.values()] == [("simplicial",), ("dot",), ("dot", "dot")]
    first = arms[TRIPLE]
    for config in arms.values():
        same = replace(config, lr=first.lr, model=replace(config.model, layers=("simplicial",), hidden=first.model.hidden))
        assert same == first
        assert config.seed == 3


@pytest.mark.parametrize("layers", STACKS)
@pytest.mark.parametrize("target", [5_000, 20_011])
def test_matching_finds_the_nearest_width(layers, target):
    matched = match_parameters(replace(SMALL, layers=layers), target, tolerance=0.1)
    near = range(matched.hidden - 2, matched.hidden + 3)
    off = {hidden: abs(parameter_count(replace(matched, hidden=hidden)) - target) for hidden in near}
    assert off[matched.hidden] == min(off.values())
    assert replace(matched, hidden=16) == replace(SMALL, layers=layers)


def test_matching_says_when_it_cannot():
    with pytest.raises(ValueError, match=r"layers=\('dot',\), width=16: \d+ parameters at hidden=1, target is 100$"):
        match_parameters(SMALL, 100)
    nearest = parameter_count(match_parameters(SMALL, 5_000, tolerance=0.1))
    with pytest.raises(ValueError, match=f"{nearest} parameters .* target is 5000"):
        match_parameters(SMALL, 5_000, tolerance=abs(nearest - 5_000) / 5_000 / 2)


# Training


@pytest.fixture(scope="module")
def run():
    """One tiny run and the steps at which it was evaluated."""
    steps = []
    return train(TINY, lambda step, history: steps.append((step, len(history.accuracy)))), steps


def test_the_history_is_complete(run):
    history, steps = run
    assert steps == [(5, 1), (10, 2), (12, 3)]
    assert history.tokens == [5 * 8 * 5, 10 * 8 * 5, TINY.tokens]
    assert len(history.accuracy) == len(history.loss) == 3
    assert all(math.isfinite(loss) for loss in history.loss)
    assert all(0 <= share <= 1 for share in history.accuracy)
    assert history.seconds > 0


def test_a_seed_decides_the_run(run):
    history, _ = run
    torch.manual_seed(77)  # what happened before must not matter
    again, other = train(TINY), train(replace(TINY, seed=1))
    assert (again.tokens, again.accuracy, again.loss) == (history.tokens, history.accuracy, history.loss)
    for p, q in zip(history.model.parameters(), again.model.parameters(), strict=True):
        assert torch.equal(p, q)
    assert other.loss != history.loss


@pytest.fixture
def seen(monkeypatch):
    """Every batch drawn from a task, in order."""
    batches, sample = [], Match.sample

    def spy(self, batch, generator, device="cpu"):
        x, y = sample(self, batch, generator, device)
        batches.append(x)
        return x, y

    monkeypatch.setattr(Match, "sample", spy)
    return batches


def test_two_arms_with_one_seed_see_the_same_data(seen):
    config = replace(TINY, steps=6)
    train(config)
    first, seen[:] = list(seen), []
    train(replace(config, lr=1e-2, model=replace(SMALL, layers=("simplicial", "dot"))))
    assert len(first) == len(seen) == 1 + 6
    assert all(torch.equal(a, b) for a, b in zip(first, seen, strict=True))
    second, seen[:] = list(seen), []
    train(replace(config, seed=1))
    assert not any(torch.equal(a, b) for a, b in zip(second, seen, strict=True))


def test_held_out_sequences_are_not_trained_on(seen):
    task = Match(order=3, n=12, modulus=23)
    train(replace(TINY, task=task, model=replace(SMALL, vocabulary=23, length=12)))
    rows = [{tuple(row) for row in x.tolist()} for x in seen]
    held_out, batches = max(rows, key=len), sorted(rows, key=len)[:-1]
    assert len(held_out) == TINY.eval_sequences
    assert len(set().union(*batches)) == TINY.steps * TINY.batch
    assert not held_out & set().union(*batches)


def rates(monkeypatch, config):
    """The learning rate of every step."""
    used, step = [], torch.optim.AdamW.step

    def spy(self, *args, **kwargs):
        used.append(self.param_groups[0]["lr"])
        return step(self, *args, **kwargs)

    monkeypatch.setattr(torch.optim.AdamW, "step", spy)
    train(config)
    return used


def test_the_rate_rises_and_falls_linearly(monkeypatch):
    used = rates(monkeypatch, replace(TINY, lr=9e-3))
    up, down = [3e-3, 6e-3, 9e-3], [9e-3 * (12 - step) / 9 for step in range(3, 12)]
    assert used == pytest.approx(up + down)


def test_a_run_as_short_as_its_warm_up_has_positive_rates(monkeypatch):
    assert min(rates(monkeypatch, replace(TINY, steps=2))) > 0
    assert min(rates(monkeypatch, replace(TINY, steps=3))) > 0


def test_training_learns():
    """Match2 with modulus 4 needs pairs only: both kinds of layer must get well above the guess."""
    guess = TASK.guess_accuracy()
    for kind in ("dot", "simplicial"):
        config = replace(TINY, model=replace(SMALL, layers=(kind,)), steps=150, batch=64, lr=1e-2, eval_every=150, eval_sequences=256)
        history = train(config)
        assert history.accuracy[-1] > guess + 0.5 * (1 - guess)


def test_accuracy_is_the_share_of_right_positions(monkeypatch):
    model, x = Model(SMALL), torch.zeros(2, 3, dtype=torch.long)
    y = torch.tensor([[True, False, True], [True, True, False]])
    logits = torch.zeros(2, 3, 2)
    logits[..., 1] = torch.tensor([[1.0, 1.0, -1.0], [1.0, 1.0, -1.0]])
    monkeypatch.setattr(model, "forward", lambda _: logits)
    assert accuracy(model, x, y) == pytest.approx(4 / 6)
    assert model.training


def test_divergence_names_the_rate():
    with pytest.raises(FloatingPointError, match=r"loss is (nan|inf) at step \d+ with lr=1e\+30: lower the learning rate"):
        train(replace(TINY, lr=1e30))


def test_attention_alone_has_no_mlp():
    config = ModelConfig(vocabulary=5, length=6, layers=("dot",), width=8, heads=2, hidden=0)
    layer = Model(config).layers[0]
    assert layer.mlp is None
    x = torch.randn(2, 6, 8)
    torch.testing.assert_close(layer(x), x + layer.attention(layer.norm1(x)))
    with_mlp = parameter_count(replace(config, hidden=1))
    assert with_mlp - parameter_count(config) == 8 + 8 + 1 + 8 + 8  # two weights, two biases, a norm


def test_a_window_bounds_a_dot_product_layer_too():
    torch.manual_seed(0)
    model = Model(ModelConfig(vocabulary=5, length=6, layers=("dot",), width=8, heads=2, hidden=0, w1=3, w2=3))
    x = torch.randint(5, (1, 6))
    changed = x.clone()
    changed[0, 2] = (x[0, 2] + 1) % 5
    differs = (model(x) != model(changed)).any(-1)[0].tolist()
    assert differs == [False, False, True, True, True, False]


def test_positions_that_are_not_asked_neither_train_nor_count():
    class Silent(Task):
        n, vocabulary = 6, 5

        def sample(self, batch, generator, device="cpu"):
            x = torch.randint(5, (batch, 6), generator=generator)
            return x, torch.where(torch.arange(6) < 5, NO_LABEL, x % 2)

    config = ModelConfig(vocabulary=5, length=6, layers=("dot",), width=8, heads=2, hidden=8)
    run = train(TrainConfig(model=config, task=Silent(), steps=2, batch=4, eval_every=1))
    assert math.isfinite(run.loss[-1])
    x, y = Silent().sample(50, torch.Generator().manual_seed(0))
    assert accuracy(run.model, x, y) == (run.model(x).argmax(-1) == y)[:, 5].double().mean().item()


# Presets and their records


def finals(name, task=None):
    """Final accuracy by arm, rate and seed: the row with the most tokens of each run."""
    best = {}
    for row in records.read(name):
        if row["metric"] == "accuracy" and row["config"].get("task") == task:
            key = (row["config"]["arm"], row["config"]["lr"], row["seed"])
            best[key] = max(best.get(key, (0, 0)), (row["config"]["tokens"], row["value"]))
    return {key: value for key, (_, value) in best.items()}


def test_the_rates_are_the_best_of_the_recorded_grid():
    recorded = finals("chapter00_rates.csv")
    arms = {arm for arm, _, _ in recorded}
    assert arms == set(presets.BEST_RATE)
    for arm in arms:
        by_rate = {lr: [v for (a, r, _), v in recorded.items() if (a, r) == (arm, lr)] for lr in presets.RATES}
        assert all(len(values) == 5 for values in by_rate.values())
        assert presets.BEST_RATE[arm] == max(by_rate, key=lambda lr: median(by_rate[lr]))


def test_no_recorded_rate_is_missing_from_the_grid():
    assert {lr for _, lr, _ in finals("chapter00_rates.csv")} == set(presets.RATES)


def test_the_gain_of_chapter_00():
    """In at least 4 of 5 seeds the 2-simplicial arm ends 0.10 above the better dot-product arm."""
    recorded = finals("chapter00.csv")
    seeds = {seed for _, _, seed in recorded}
    assert len(seeds) == 5
    wins = 0
    for seed in seeds:
        last = {arm: value for (arm, _, s), value in recorded.items() if s == seed}
        assert set(last) == set(presets.BEST_RATE)
        wins += last.pop(TRIPLE) >= max(last.values()) + 0.10
    assert wins >= 4


@pytest.mark.parametrize("task", presets.TASKS)
def test_the_rates_of_chapter_02_are_the_better_of_the_recorded_two(task):
    recorded = finals("chapter02_rates.csv", task)
    assert len(recorded) == 5 * len(presets.CHAPTER02_RATES) * len({arm for arm, _, _ in recorded})
    for arm in {arm for arm, _, _ in recorded}:
        by_rate = {lr: median(v for (a, r, _), v in recorded.items() if (a, r) == (arm, lr)) for lr in presets.CHAPTER02_RATES}
        assert by_rate[presets.CHAPTER02_BEST[task, arm]] == max(by_rate.values())


@pytest.mark.parametrize(
    ("task", "claim"),
    [
        ("Match2", lambda last: min(last[TRIPLE], last[PAIR]) > 0.95),
        ("majority, one head", lambda last: min(last[TRIPLE], last[PAIR]) > 0.95),
        ("parity, one head", lambda last: last[TRIPLE] > last[PAIR] + 0.08 and round(8 * last[PAIR]) == 6),
        ("composition", lambda last: min(last[TRIPLE], last[PAIRS]) > 0.95 > last[PAIR]),
    ],
)
def test_what_chapter_02_says_holds_in_four_of_five_seeds(task, claim):
    recorded = finals("chapter02.csv", task)
    seeds = {seed for _, _, seed in recorded}
    assert len(seeds) == 5
    assert sum(claim({arm: value for (arm, _, s), value in recorded.items() if s == seed}) for seed in seeds) >= 4


@pytest.mark.parametrize("preset", [name for name in presets.PRESETS if name not in presets.AGAIN])
def test_the_record_is_of_the_preset_as_it_stands(preset):
    planned, found = set(), set()
    for arm, config in presets.runs(preset, 5):
        name = arm if isinstance(arm, tuple) else ("", arm)
        of_task = tuple(sorted(presets.sizes(config.task).items()))
        planned.add((*name, config.lr, config.seed, parameter_count(config.model), config.steps, config.batch, of_task))
    for row in records.read(f"{preset}.csv"):
        c = {"task": ""} | row["config"]
        known = ("task", "arm", "lr", "parameters", "steps", "batch", "tokens")
        of_task = tuple(sorted((name, value) for name, value in c.items() if name not in known))
        found.add((c["task"], c["arm"], c["lr"], row["seed"], c["parameters"], c["steps"], c["batch"], of_task))
    assert found == planned


def test_an_unknown_preset_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"preset='chapter99': choose one of .*chapter00"):
        list(presets.runs("chapter99", 1))
    with pytest.raises(ValueError, match="preset='chapter99'"):
        presets.record("chapter99", 1, str(tmp_path / "x.csv"))
    assert not list(tmp_path.iterdir())


@pytest.fixture
def fake_training(monkeypatch):
    """Training that takes no time; the number of threads, which a recording sets, is put back."""
    threads = torch.get_num_threads()
    history = History([10, 20], [0.5, 0.6], [1.0, 0.9], seconds=1.5)
    yield monkeypatch.setattr(presets, "train_with_bar", lambda label, config, **options: history)
    torch.set_num_threads(threads)


@pytest.mark.parametrize(
    ("preset", "runs", "tokens"), [("chapter00", 6, {10, 20}), ("chapter00_rates", 24, {20}), ("chapter02", 22, {10, 20})]
)
def test_a_recording_holds_every_run(fake_training, tmp_path, preset, runs, tokens):
    said = []
    rows = records.read(presets.record(preset, 2, str(tmp_path / "x.csv"), say=said.append))
    assert len(said) == runs
    points = [row for row in rows if row["metric"] == "accuracy"]
    assert len(points) == runs * len(tokens)
    assert {(row["config"]["tokens"], row["value"]) for row in points} <= {(10, 0.5), (20, 0.6)}
    assert {row["config"]["tokens"] for row in points} == tokens
    assert [row["value"] for row in rows if row["metric"] == "training time"] == [1.5] * runs
    assert {row["command"] for row in rows} == {f"simplex-lab train --preset {preset} --seeds 2"}


@pytest.mark.parametrize("preset", presets.AGAIN)
def test_a_row_run_again_is_told_beside_the_record(fake_training, monkeypatch, tmp_path, preset):
    arms = presets.again(presets.AGAIN[preset])
    assert len(arms) == 2
    there = {arm: records.final(records.read("fine.csv"), "tokens to target", arm=arm, task=presets.AGAIN[preset]) for arm in arms}
    needs = {arm: max(there[arm]) + shift for arm, shift in zip(arms, (0, 1000), strict=True)}  # the second misses

    def trained(label, config, **options):
        arm = next(arm for arm in arms if label.startswith(arm))
        return History([10, needs[arm]], [0.5, 0.99], [1.0, 0.1], seconds=1.5)

    monkeypatch.setattr(presets, "train_with_bar", trained)
    said = []
    presets.record(preset, 2, str(tmp_path / "x.csv"), say=said.append)
    assert "within" not in said[-1]  # two seeds against five
    rows = records.read(presets.record(preset, 5, str(tmp_path / "x.csv"), say=said.append))
    assert {row["metric"] for row in rows} == {"tokens to target", "final accuracy", "training time"}
    assert {row["value"] for row in rows if row["metric"] == "tokens to target"} == set(needs.values())
    first, second = said[-1].split("\n")
    assert "is within the recorded" in first
    assert "NOT within the recorded" in second


def test_a_row_run_again_is_the_recorded_run():
    """Every number that decides a run is that of the cell that the record names."""
    keys = {row["config"]["cell"] for row in records.read("fine.csv")}
    cells = {cell.key: cell for cell in experiments.fine(records.read("choosing.csv"))}
    for preset, task in presets.AGAIN.items():
        for _, config in presets.runs(preset, 5):
            assert any(cells[key].config == config for key in keys if dict(cells[key].about)["task"] == task)


@pytest.mark.parametrize(
    "path", [p for p in (records.RESULTS / f"{name}.csv" for name in presets.AGAIN) if p.exists()], ids=lambda p: p.stem
)
def test_a_row_comes_out_on_another_machine_as_it_is_recorded(path):
    rows, recorded = records.read(path), records.read("fine.csv")
    arms = {row["config"]["arm"] for row in rows}
    assert arms == set(presets.again(presets.AGAIN[path.stem]))
    assert {row["device"] for row in rows}.isdisjoint({row["device"] for row in recorded})
    for arm in arms:
        here = records.final(rows, "tokens to target", arm=arm)
        assert len(here) == 5
        there = records.final(recorded, "tokens to target", arm=arm, task=presets.AGAIN[path.stem])
        assert min(there) <= median(here) <= max(there)


def test_an_interrupted_recording_goes_on(tmp_path, monkeypatch):
    """The stopped run goes on from its checkpoint, finished ones are not run again, and the rows are those of an undisturbed call."""
    tiny = ModelConfig(vocabulary=5, length=6, layers=("simplicial",), width=16, heads=2, hidden=16)
    config = TrainConfig(tiny, Match(order=3, n=6, modulus=5), steps=12, batch=8, warmup=3, eval_every=4, eval_sequences=64)
    monkeypatch.setitem(presets.PRESETS, "tiny", (lambda seed: {"a": replace(config, seed=seed)}, ()))
    steps, advance = [], train_module._Run.advance

    def counted(run, keep):
        advance(run, keep)
        steps.append(run.config.seed)
        if len(steps) == 18:
            signal.raise_signal(signal.SIGINT)

    threads = torch.get_num_threads()
    monkeypatch.setattr(train_module._Run, "advance", counted)
    with pytest.raises(KeyboardInterrupt):
        presets.record("tiny", 2, str(tmp_path / "x.csv"), say=lambda line: None, keep=tmp_path / "kept")
    assert not (tmp_path / "x.csv").exists()
    rows = records.read(presets.record("tiny", 2, str(tmp_path / "x.csv"), say=lambda line: None, keep=tmp_path / "kept"))
    assert steps.count(0) == steps.count(1) == 12
    whole = records.read(presets.record("tiny", 2, str(tmp_path / "y.csv"), say=lambda line: None))
    torch.set_num_threads(threads)
    assert [row["value"] for row in rows if row["metric"] == "accuracy"] == [row["value"] for row in whole if row["metric"] == "accuracy"]
