"""Watch a kernel at a small size and show what it touches: a picture of everything, or one step after the other."""

from __future__ import annotations

from collections.abc import Callable

from simplex_lab import access_plots, tracer
from simplex_lab.access import Launch, faults
from simplex_lab.show import show_figure
from simplex_lab.widgets import Slider, explorer


def show_accesses(run: Callable[[], object], only: tuple[str, ...] = ()) -> None:
    """Run ``run``, which launches a kernel, and show which program touches which element, and what is wrong with that.

    ``only`` these tensors are drawn, by their names in the kernel without ``_ptr``; all of them if it is empty.
    """
    launch = _watch(run)
    if launch is not None:
        names = ", ".join(only or launch.regions)
        show_figure(access_plots.access_map(launch, only), f"The elements of {names}, each with the numbers of the programs that touch it.")
        print_faults(launch)


def access_explorer(run: Callable[[], object], *, start: int = 1) -> None:
    """Run ``run``, which launches a kernel, and step through its loads and stores; ``start`` is the step shown first."""
    launch = _watch(run)
    if launch is not None:
        explorer(
            lambda step: access_plots.access_step(launch, step),
            lambda step: access_plots.told(launch, step),
            step=Slider("step", start, 1, len(launch.accesses)),
        )


def print_faults(launch: Launch) -> None:
    from simplex_lab.access import Trace

    found = list(faults(Trace([launch])))
    fine = "every access stays inside its tensor, and no element is written by one program and touched by another"
    print("\n".join(f"{f.name}: {f.says}" for f in found) or fine)


def _watch(run: Callable[[], object]) -> Launch | None:
    if why := tracer.missing():
        print(f"no picture here: {why}")
        return None
    with tracer.watch() as trace:
        run()
    return trace.launches[-1]
