"""What outlives a process on the machine's clocks."""

from __future__ import annotations

from pathlib import Path

from supervisor.clock import SystemClock


def test_processes_of_one_start_know_each_other() -> None:
    """What one has written has its age for the next, by a clock that only goes forward."""
    first, second = SystemClock().reading(), SystemClock().reading()
    assert second.uptime >= first.uptime > 0
    assert first.boot > 0
    if Path("/proc/sys/kernel/random/boot_id").exists():
        assert second.boot == first.boot


def test_another_start_has_another_number(tmp_path: Path) -> None:
    """The number is that of the name, and no name is none."""
    file = tmp_path / "boot_id"
    for name, boot in (("7d6fa0c8-113d-437e", 0x7D6FA0C8 // 2), ("00000001-113d", 1)):
        file.write_text(f"{name}\n")
        assert SystemClock(file).reading().boot == boot


def test_where_no_start_has_a_name_each_clock_has_its_own(tmp_path: Path) -> None:
    """Then wall time decides over a restart, and within a process nothing changes."""
    nameless = [SystemClock(tmp_path / "missing") for _ in range(3)]
    boots = [clock.reading().boot for clock in nameless]
    assert len(set(boots)) > 1
    assert boots == [clock.reading().boot for clock in nameless]
    garbage = tmp_path / "boot_id"
    garbage.write_text("none of ours")
    assert SystemClock(garbage).reading().boot > 0
