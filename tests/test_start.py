"""The command line, and the promise that no answer is ever overwritten."""

import pytest

from simplex_lab import cli, doctor


@pytest.fixture(autouse=True)
def work(tmp_path, monkeypatch):
    monkeypatch.setenv("SIMPLEX_LAB_HOME", str(tmp_path))
    return tmp_path


def mine(work):
    return next(work.glob("03_*.ipynb"))


def test_start_copies_the_exercise(work, capsys):
    assert cli.main(["start", "03"]) == 0
    assert "YOUR CODE HERE" in mine(work).read_text()
    assert "A fresh copy" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["3", "03", "03_trilinear_attention"])
def test_start_understands_a_chapter_however_it_is_written(name, work):
    assert cli.main(["start", name]) == 0
    assert mine(work).exists()


def test_start_never_overwrites(work, capsys):
    cli.main(["start", "03"])
    mine(work).write_text("my answers")
    assert cli.main(["start", "03"]) == 0
    assert mine(work).read_text() == "my answers"
    assert "left as it is" in capsys.readouterr().out


def test_reset_keeps_every_backup(work):
    cli.main(["start", "03"])
    for n in (1, 2):
        next(p for p in work.glob("03_*.ipynb") if "backup" not in p.name).write_text(f"answers {n}")
        assert cli.main(["start", "03", "--reset"]) == 0
    backups = sorted(work.glob("*.backup-*.ipynb"))
    assert [b.read_text() for b in backups] == ["answers 1", "answers 2"]


def test_an_unknown_chapter_lists_the_known(capsys):
    assert cli.main(["start", "77"]) == 1
    said = capsys.readouterr().err
    assert "There is no exercise '77'" in said
    assert "01, 03" in said


def test_progress_is_a_table(capsys):
    assert cli.main(["progress"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("01.1  ")
    assert "not attempted" in lines[0]
    assert lines[-1] == "0 of 10 exercises passed"


def test_an_unknown_preset_is_explained(capsys):
    assert cli.main(["train", "--preset", "nope"]) == 1
    assert "choose one of" in capsys.readouterr().err


@pytest.mark.parametrize(("fine", "code"), [(True, 0), (False, 1)])
def test_the_exit_code_of_doctor(fine, code, monkeypatch):
    monkeypatch.setattr(doctor, "doctor", lambda: fine)
    assert cli.main(["doctor"]) == code


def test_a_wrong_call_exits_with_2():
    with pytest.raises(SystemExit) as stop:
        cli.main(["dance"])
    assert stop.value.code == 2
