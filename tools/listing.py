"""Record the loop of a kernel that does the work, as compiled for a Hopper chip: ``python -m tools.listing``.

What stands in ``simplex_lab/listings`` is what the Triton of the lock file makes of the kernels of today; a test compiles them again.
"""

from triton.runtime import driver

from simplex_lab import sass
from tools import kernel_resources

KERNELS = {"forward_kernel": "headline"}
CONTEXT = 24  # instructions before the loop


def listing(kernel: str) -> str:
    """Usage line, then the first loop of products after the one that bounds the logits, with some lines before it."""
    (compiled,) = (k for name, k in kernel_resources.compiled(**kernel_resources.CASES[KERNELS[kernel]]) if name == kernel)
    usage = kernel_resources.said_of(compiled, "-res-usage").splitlines()[-1].strip()
    instructions = sass.parse(kernel_resources.said_of(compiled, "-sass"))
    loop = next(x for x in sass.loops(instructions) if sass.mix(x)["special functions"] and sass.mix(x)["products"])
    first = instructions.index(loop[0])
    return "\n".join([usage, *map(str, instructions[max(first - CONTEXT, 0) : first]), *map(str, loop)]) + "\n"


def main() -> None:
    driver.set_active(kernel_resources.Target())
    sass.LISTINGS.mkdir(exist_ok=True)
    for kernel in KERNELS:
        (sass.LISTINGS / f"{kernel}.sass").write_text(listing(kernel))
        print(f"simplex_lab/listings/{kernel}.sass: written")


if __name__ == "__main__":
    main()
