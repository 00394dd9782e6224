"""The ``simplex-lab`` command: doctor, start, progress, grade, train, sweep, bench."""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import sys
from pathlib import Path


def main(argv: list[str] | None = None) -> int:
    """Run one command; the exit code is 0, 1 for a failure that was explained, 2 for a wrong call."""
    args = _parser().parse_args(argv)
    return args.run(args)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="simplex-lab", description="The command of the course. Each part has its own --help.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    doctor = commands.add_parser("doctor", help="is this machine ready for the course?")
    doctor.add_argument(
        "--workshop",
        type=int,
        nargs="?",
        const=30,
        metavar="SEATS",
        help="what a workshop needs, too: offline, speed, exercises, seats (30)",
    )
    doctor.set_defaults(run=_doctor)

    start = commands.add_parser("start", help="copy an exercise to work/, never overwriting your answers")
    start.add_argument("chapter", metavar="NN", help="number of the chapter, for example 03")
    start.add_argument("--reset", action="store_true", help="begin anew; the old copy is kept as a backup")
    start.set_defaults(run=_start)

    progress = commands.add_parser("progress", help="which exercises are solved")
    progress.set_defaults(run=_progress)

    grade = commands.add_parser("grade", help="grade submitted exercise notebooks without trusting them; writes JSON, CSV and JUnit")
    grade.add_argument("paths", nargs="+", metavar="PATH", help="a notebook, or a folder of them")
    grade.add_argument("--out", default="grades", help="folder for grades.json, grades.csv and grades.xml (default grades)")
    grade.add_argument("--jobs", type=int, default=1, help="notebooks at a time (default 1)")
    grade.add_argument("--seconds", type=float, help="for one notebook, from start to end (default 240)")
    grade.add_argument("--chapter", metavar="NN", help="the chapter of all of them (default: found from what a notebook defines)")
    grade.set_defaults(run=_grade)

    train = commands.add_parser("train", help="run a preset and record it in results/")
    train.add_argument("--preset", required=True, help="name of the preset, for example chapter00")
    train.add_argument("--seeds", type=int, default=5, help="number of seeds (default 5)")
    train.add_argument("--device", default="auto", help="cpu or cuda (default: the GPU if there is one); for several use torchrun")
    train.add_argument("--out", help="CSV to write (default results/PRESET.csv)")
    train.set_defaults(run=_train)

    sweep = commands.add_parser("sweep", help="run an experiment of results/plan.md, all of its cells, and record it")
    sweep.add_argument("--experiment", required=True, help="a name in experiments.EXPERIMENTS, for example choosing")
    sweep.add_argument("--task", action="append", help="only this task; may be given again (default: all that the plan names)")
    sweep.add_argument("--folder", help="where cells are kept, so that a stopped sweep goes on (default work/sweeps/EXPERIMENT)")
    sweep.add_argument("--jobs", type=int, default=1, help="processes at a time on each device (default 1)")
    sweep.add_argument("--device", default="cpu", help="cpu, or cuda for all GPUs; on a GPU runs share a process as a fleet (default cpu)")
    sweep.add_argument("--cluster", help="slurm: hand the processes, at most --jobs at a time, to Slurm (extra: cluster); local to try it")
    sweep.add_argument("--partition", help="of Slurm")
    sweep.add_argument("--minutes", type=float, default=math.inf, help="start no process after so long (default: no limit)")
    sweep.add_argument("--out", help="CSV to add to; what it holds is not run again (default results/EXPERIMENT.csv)")
    sweep.set_defaults(run=_sweep)

    bench = commands.add_parser("bench", help="time the kernels on a GPU and record it in results/kernel_bench.csv")
    bench.add_argument(
        "--question", action="append", help="headline, windows, model, naive, atomics or ladder; may be given again (default: all)"
    )
    bench.add_argument("--out", help="CSV to append to (default results/kernel_bench.csv)")
    bench.add_argument("--plots", action="store_true", help="only draw results/kernel_*.png from the record; needs no GPU")
    bench.set_defaults(run=_bench)
    return parser


def _doctor(args) -> int:
    from simplex_lab.doctor import doctor

    fine = doctor()
    if args.workshop is not None:
        from simplex_lab.doctor_workshop import workshop

        fine = workshop(args.workshop) and fine
    return 0 if fine else 1


def _start(args) -> int:
    from simplex_lab.start import StartError, start

    try:
        path, said = start(args.chapter, reset=args.reset)
    except StartError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{said}: {os.path.relpath(path)}")
    print(f"Open it with: {_jupyter()} lab {os.path.relpath(path)}")
    return 0


def _progress(_) -> int:
    from simplex_lab.checks import progress

    print(progress.table())
    return 0


def _grade(args) -> int:
    os.environ |= {"CUDA_VISIBLE_DEVICES": "", "TRITON_INTERPRET": "1"}  # kernels are graded in the interpreter, here and there
    from simplex_lab.grading import reports, sandbox
    from simplex_lab.grading.grade import grade_all

    limits = sandbox.Limits(seconds=args.seconds) if args.seconds else sandbox.Limits()
    isolation = "namespaces" if sandbox.isolated() else "limits only: network and files are open to submissions"
    rows = grade_all(args.paths, limits, chapter=args.chapter, jobs=args.jobs)
    print(reports.as_text(rows))
    print(f"isolation: {isolation}")
    for path in reports.write(args.out, rows, isolation):
        print(f"wrote {os.path.relpath(path)}")
    return 0


def _train(args) -> int:
    import torch

    from simplex_lab import parallel, presets, records, sweep

    device = args.device if args.device != "auto" else "cuda" if torch.cuda.is_available() else "cpu"
    keep = records.ROOT / "work" / "train" / args.preset
    try:
        sweep.devices_of(device)
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return 1
    try:
        path = presets.record(args.preset, args.seeds, args.out, device=device, keep=keep)
    except (ValueError, FloatingPointError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"\nstopped; the same command goes on from {os.path.relpath(keep)}", file=sys.stderr)
        return 130
    if not parallel.rank():
        print(f"wrote {os.path.relpath(path)}")
        shutil.rmtree(keep, ignore_errors=True)
    return 0


def _sweep(args) -> int:
    from simplex_lab import experiments, records, sweep

    folder = Path(args.folder or records.ROOT / "work" / "sweeps" / args.experiment)
    at_a_time = f" --jobs {args.jobs}" if args.jobs > 1 else ""  # fleets that share a GPU slow each other down: a reader must know
    os.environ["SIMPLEX_LAB_COMMAND"] = f"simplex-lab sweep --experiment {args.experiment} --device {args.device}{at_a_time}"
    try:
        cells = experiments.cells(args.experiment, args.task)
        if args.cluster:
            from simplex_lab import cluster

            devices, at_once = (args.device,), 20 if args.device == "cuda" else 1
            partition = {"slurm_partition": args.partition} if args.partition else {}
            start = cluster.starter(args.cluster, folder / "cluster", gpus=args.device == "cuda", **partition)
        else:
            (devices, at_once), start = sweep.devices_of(args.device), None
    except (ValueError, FileNotFoundError, RuntimeError) as error:
        print(error, file=sys.stderr)
        return 1
    out = Path(args.out or records.RESULTS / f"{args.experiment}.csv")
    recorded = {row["config"]["cell"] for row in records.read(out)} if out.exists() else set()
    try:
        options = {"devices": devices, "at_once": at_once, "jobs": args.jobs, "minutes": args.minutes, "start": start}
        failed = sweep.run(cells, folder, recorded=recorded, **options)
    finally:  # after Ctrl-C, too
        rows = sweep.rows(args.experiment, folder, target=experiments.TARGET, every=experiments.recorded_every)
        new = [row for row in rows if json.loads(row["config"])["cell"] not in recorded]
        print(f"wrote {os.path.relpath(records.append(out, new))}")
    return 1 if failed else 0


def _bench(args) -> int:
    from simplex_lab import bench

    try:
        if args.plots:
            from simplex_lab import bench_plots

            for path in bench_plots.draw():
                print(f"wrote {os.path.relpath(path)}")
            return 0
        for question in args.question or bench.QUESTIONS:
            print(f"wrote {os.path.relpath(bench.run(question, args.out))}")
    except (RuntimeError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _jupyter() -> str:
    """The jupyter beside this Python, as one would type it here."""
    beside = Path(sys.executable).with_name("jupyter")
    return os.path.relpath(beside) if beside.exists() else "jupyter"
