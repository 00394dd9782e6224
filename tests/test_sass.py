"""A listing of a compiled kernel is read as it is meant, and the recorded ones are what the compiler makes today."""

import os
import subprocess
import sys

import pytest
import triton

from simplex_lab import sass
from simplex_lab.checks.chapter10 import HAND_LISTING
from simplex_lab.records import ROOT


def test_lines_are_read_with_and_without_predicates():
    instructions = sass.parse(HAND_LISTING)
    assert len(instructions) == 12
    assert [x.name for x in instructions[:5]] == ["LDC", "LDL", "LDG", "WARPGROUP", "HGMMA"]
    assert instructions[4].text == "HGMMA.64x128x16.F32.BF16 R24, R4, gdesc[UR8], !UPT"
    assert [x.target for x in instructions if x.target is not None] == [0x20]
    assert [x.predicate for x in instructions if x.predicate] == ["@!P1", "@P0", "@P2"]
    assert "\n".join(map(str, instructions)) == HAND_LISTING.strip()


def test_encodings_are_passed_over():
    (found,) = sass.parse("  /*0e10*/   @!UP0 UIADD3 UR4, UR4, 0x1, URZ ;   /* 0x000000010404789a */\n   /* 0x000fe20000000000 */\n")
    assert (found.address, found.predicate, found.name) == (0xE10, "@!UP0", "UIADD3")


def test_only_innermost_loops_are_found():
    listing = "\n".join(
        f"/*{16 * n:04x}*/ {text} ;" for n, text in enumerate(("NOP", "NOP", "HGMMA R0", "@P0 BRA 0x20", "@P1 BRA 0x10", "BRA 0x90"))
    )
    (loop,) = sass.loops(sass.parse(listing))
    assert [x.name for x in loop] == ["HGMMA", "BRA"]


def test_the_mix_counts_each_instruction_once():
    mix = sass.mix(sass.parse(HAND_LISTING))
    assert sum(mix.values()) == 12
    assert (mix["products"], mix["special functions"], mix["reloads and spills"], mix["barriers"]) == (2, 2, 3, 1)
    names = [name for of in sass.UNITS.values() for name in of]
    assert len(names) == len(set(names))


@pytest.mark.skipif(triton.__version__ != "3.7.1", reason="listings are those of the Triton of requirements.lock")
def test_recorded_listings_are_what_the_compiler_makes_today():
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    command = [
        sys.executable,
        "-c",
        "from tools.listing import *; driver.set_active(kernel_resources.Target()); print(listing('forward_kernel'), end='')",
    ]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout == (sass.LISTINGS / "forward_kernel.sass").read_text(), "run `python -m tools.listing`"


def test_the_recorded_loop_is_as_chapter_10_tells_it():
    usage, listing = sass.recorded("forward_kernel")
    assert "REG:255 STACK:232 " in usage
    (step,) = sass.loops(sass.parse(listing))
    assert sass.mix(step)["reloads and spills"] == 0
    assert sass.mix(step)["products"] == 16  # two products of 64 x 128 x 128
