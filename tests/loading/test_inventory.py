"""All plugins of a directory: the broken ones never stop the others."""

from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from supervisor.errors import ConfigError
from supervisor.loading.inventory import load_all
from tests.loading.plugins import GOOD, private_modules, write


def named(name: str) -> str:
    """A good plugin that names its role itself."""
    return GOOD + f"    name = '{name}'\n"


def test_a_broken_plugin_stops_nobody(roles: Path) -> None:
    """The good plugins of a directory are loaded, the broken ones listed with file and line."""
    write(roles, "alpha.py", GOOD)
    write(roles, "beta.py", "import nothing_like_it\n")
    write(roles, "gamma/__init__.py", GOOD)
    write(roles, "Delta.py", GOOD)
    write(roles, "omega.py", GOOD).chmod(0o666)
    with capture_logs() as logs:
        inventory = load_all(roles)
    assert list(inventory.roles) == ["alpha", "gamma"]
    assert [(error.file, error.line) for error in inventory.broken] == [
        ("roles/Delta.py", 0),
        ("roles/beta.py", 1),
        ("roles/omega.py", 0),
    ]
    assert inventory.present == {"alpha", "beta", "gamma", "omega", "Delta"}
    assert set(inventory.digests) == {"alpha", "beta", "gamma", "omega"}
    assert [log.get("role") or log["file"] for log in logs] == [
        "alpha",
        "gamma",
        "roles/Delta.py",
        "roles/beta.py",
        "roles/omega.py",
    ]


def test_an_unreadable_part_breaks_only_its_plugin(roles: Path) -> None:
    """A plugin with a file that cannot be read is broken; the reason stands for its digest."""
    write(roles, "alpha.py", GOOD)
    write(roles, "beta/__init__.py", GOOD)
    (roles / "beta" / "gone.txt").symlink_to(roles / "nowhere")
    inventory = load_all(roles)
    assert list(inventory.roles) == ["alpha"]
    assert "roles/beta/__init__.py: cannot be read" in str(inventory.broken[0])
    assert inventory.digests["beta"] == "unreadable: No such file or directory"


def test_what_has_not_changed_is_taken_over(roles: Path) -> None:
    """A reload gives the very same object for what did not change, a new one for what did."""
    write(roles, "alpha.py", GOOD)
    write(roles, "beta.py", GOOD)
    broken = write(roles, "gamma.py", "1 / 0\n")
    old = load_all(roles)
    write(roles, "beta.py", GOOD + "# another\n")
    with capture_logs() as logs:
        new = load_all(roles, previous=old)
    assert new.roles["alpha"] is old.roles["alpha"]
    assert new.roles["beta"] is not old.roles["beta"]
    assert [(log["event"], log["role"]) for log in logs] == [("loading.role_loaded", "beta")]
    broken.write_text(GOOD)
    assert list(load_all(roles, previous=new).roles) == ["alpha", "beta", "gamma"]


def test_broken_and_removed_are_told_apart(roles: Path) -> None:
    """A plugin that is only broken is still present; one that was removed is not."""
    alpha, beta = write(roles, "alpha.py", GOOD), write(roles, "beta.py", GOOD)
    old = load_all(roles)
    alpha.write_text("1 / 0\n")
    beta.unlink()
    new = load_all(roles, previous=old)
    assert list(new.roles) == []
    assert new.present == {"alpha"}
    # Nothing of the old inventory was touched: its roles can go on.
    assert {role.module for role in old.roles.values()} <= private_modules()


def test_one_name_belongs_to_one_plugin(roles: Path) -> None:
    """Of two plugins that call their roles the same, the second is refused and leaves nothing."""
    write(roles, "alpha.py", named("boss"))
    write(roles, "beta.py", named("boss"))
    before = len(private_modules())
    inventory = load_all(roles)
    assert inventory.roles["boss"].plugin == "alpha"
    assert [str(error) for error in inventory.broken] == [
        'roles/beta.py: the name "boss" is taken by alpha.py '
        "(change the class attribute `name` of one of them)"
    ]
    assert len(private_modules()) == before + 1


def test_a_newcomer_does_not_take_the_name_of_one_in_use(roles: Path) -> None:
    """A new file cannot take over a running role by its name, wherever it stands in the order."""
    write(roles, "zeta.py", named("boss"))
    old = load_all(roles)
    write(roles, "alpha.py", named("boss"))
    new = load_all(roles, previous=old)
    assert new.roles["boss"] is old.roles["boss"]
    assert "roles/alpha.py" in str(new.broken[0])


def test_a_directory_that_cannot_be_read_is_a_config_error(tmp_path: Path) -> None:
    """Without a roles directory there is no inventory at all."""
    with pytest.raises(ConfigError, match=r"roles\.directory"):
        load_all(tmp_path / "none")


def test_an_empty_directory_is_an_empty_inventory(roles: Path) -> None:
    """A directory without roles is nothing wrong."""
    inventory = load_all(roles)
    assert not any((inventory.roles, inventory.broken, inventory.present, inventory.digests))
