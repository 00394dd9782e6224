import torch

from simplex_lab.meter import memory_of

MB = 250_000  # fp32 numbers


def test_tensors_alive_at_once_add_up():
    def two():
        a, b = torch.ones(MB), torch.ones(2 * MB)
        return a, b

    assert memory_of(two) == (3_000_000, 2_000_000)


def test_what_is_freed_no_longer_counts():
    def one_after_the_other():
        for _ in range(5):
            torch.ones(MB)

    assert memory_of(one_after_the_other).peak <= 2_000_000


def test_views_are_not_counted_twice():
    def views():
        a = torch.ones(MB)
        return a, a.view(2, -1), a[::2], a.t()

    assert memory_of(views) == (1_000_000, 1_000_000)


def test_inputs_do_not_count():
    x = torch.ones(MB)
    assert memory_of(lambda: x + 1) == (1_000_000, 1_000_000)
