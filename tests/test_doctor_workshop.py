"""What the doctor says before a workshop, for good machines and bad ones."""

import pytest

from simplex_lab import cli, doctor_workshop
from simplex_lab.doctor import GB


@pytest.mark.parametrize(("status", "line"), [(0, "OK"), (1, "FAIL")])
def test_a_course_that_needs_a_network_fails(status, line):
    found = doctor_workshop.check_offline(status, "Traceback\nOSError: no network in this process\n", 3.2)
    assert found.status == line
    assert ("no network in this process" in found.text) == bool(status)


def test_the_process_without_a_network_has_none(monkeypatch):
    assert doctor_workshop.offline()[0] == 0
    monkeypatch.setattr(doctor_workshop, "OFFLINE", doctor_workshop.OFFLINE + "\nsocket.create_connection(('127.0.0.1', 9))\n")
    status, stderr, _ = doctor_workshop.offline()
    assert doctor_workshop.check_offline(status, stderr, 1).status == "FAIL"
    assert "no network in this process" in stderr


@pytest.mark.parametrize(("seconds", "status"), [(30, "OK"), (91, "WARN")])
def test_a_slow_machine_is_told_so(seconds, status):
    assert doctor_workshop.check_speed(seconds).status == status


def test_the_speed_is_measured(monkeypatch):
    assert 1 < doctor_workshop.seconds_of_chapter00(steps=4) < 2000


def test_exercises():
    count, wrong = doctor_workshop.stubs()
    assert count >= 50
    assert wrong == []
    assert doctor_workshop.check_exercises(count, []).status == "OK"
    assert doctor_workshop.check_exercises(count, ["03.2"]).status == "FAIL"
    assert doctor_workshop.check_exercises(0, []).status == "FAIL"


@pytest.mark.parametrize(
    ("memory", "cores", "room", "status", "first"),
    [
        (64 * GB, 16, 100 * GB, "OK", "64 seats (memory"),
        (16 * GB, 16, 100 * GB, "WARN", "16 seats (memory"),
        (64 * GB, 2, 100 * GB, "WARN", "8 seats (cores"),
        (64 * GB, 16, 3 * GB, "WARN", "15 seats (disk"),
    ],
)
def test_seats(memory, cores, room, status, first):
    line = doctor_workshop.check_seats(30, memory, cores, room)
    assert line.status == status
    assert first in line.text


def test_one_fail_makes_the_verdict_false(monkeypatch):
    said = []
    monkeypatch.setattr(doctor_workshop, "offline", lambda: (0, "", 1.0))
    monkeypatch.setattr(doctor_workshop, "seconds_of_chapter00", lambda: 20.0)
    assert doctor_workshop.workshop(1, out=said.append)
    assert [line.split()[1] for line in said] == ["offline", "speed", "exercise", "port", "room", "seats"]
    monkeypatch.setattr(doctor_workshop, "port_is_free", lambda: False)
    assert not doctor_workshop.workshop(1, out=said.append)


def test_the_command_asks_for_thirty_seats_unless_told(monkeypatch):
    asked = []
    monkeypatch.setattr("simplex_lab.doctor.doctor", lambda: True)
    monkeypatch.setattr(doctor_workshop, "workshop", lambda seats: asked.append(seats) or len(asked) < 3)
    codes = [cli.main(["doctor", *more]) for more in ([], ["--workshop"], ["--workshop", "12"], ["--workshop", "5"])]
    assert asked == [30, 12, 5]
    assert codes == [0, 0, 0, 1]
