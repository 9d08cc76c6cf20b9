"""What counts as a role, before any of it is executed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from supervisor.errors import ConfigError, PluginInvalid
from supervisor.loading.discovery import Candidate, digest, discover, require_safe
from tests.loading.plugins import GOOD, LONG_AGO, write


def names(roles: Path) -> list[str]:
    """The names of the candidates."""
    return [candidate.name for candidate in discover(roles).candidates]


def complaints(roles: Path) -> list[str]:
    """What is said of the broken ones."""
    return [str(error) for error in discover(roles).broken]


def test_files_and_folders_are_found(roles: Path) -> None:
    """NAME.py and NAME/__init__.py are candidates, in the order of their names."""
    write(roles, "quality.py", GOOD)
    write(roles, "code/__init__.py", GOOD)
    found = discover(roles)
    assert [(c.name, c.is_folder, c.shown()) for c in found.candidates] == [
        ("code", True, "roles/code/__init__.py"),
        ("quality", False, "roles/quality.py"),
    ]
    assert found.present == {"code", "quality"}
    assert found.broken == ()


def test_what_is_private_hidden_or_no_code_is_skipped(roles: Path) -> None:
    """Names with _ or ., bytecode, data folders and other files are no roles and no mistakes."""
    write(roles, "__init__.py", "")
    write(roles, "_shared.py", "")
    write(roles, ".hidden.py", "")
    write(roles, "__pycache__/x.py", "")
    write(roles, "prompts/review.txt", "")
    write(roles, "README.md", "")
    found = discover(roles)
    assert not any((found.candidates, found.broken, found.present))


def test_an_impossible_name_is_reported(roles: Path) -> None:
    """A name that cannot be a role's is reported with what is allowed."""
    write(roles, "My-Role.py", GOOD)
    assert names(roles) == []
    assert complaints(roles) == [
        "roles/My-Role.py: expected a name of lower-case letters, digits and _, beginning with a "
        'letter, got: "My-Role" (rename it; what is not a role can begin with _)'
    ]


def test_a_file_and_a_folder_of_one_name_clash(roles: Path) -> None:
    """Where a file and a folder have one name neither is loaded; both are told of the other."""
    write(roles, "code.py", GOOD)
    write(roles, "code/__init__.py", GOOD)
    write(roles, "fine.py", GOOD)
    assert names(roles) == ["fine"]
    hint = "(remove or rename one of them)"
    assert complaints(roles) == [
        f'roles/code: two roles "code": this and roles/code.py {hint}',
        f'roles/code.py: two roles "code": this and roles/code {hint}',
    ]


def test_a_folder_with_code_needs_an_init(roles: Path) -> None:
    """A folder of Python files without __init__.py is a mistake that is told."""
    write(roles, "code/tools.py", "")
    assert complaints(roles) == [
        "roles/code: expected the file roles/code/__init__.py, found none "
        "(add it; what is not a role can begin with _)"
    ]


def test_a_dangling_link_is_reported(roles: Path) -> None:
    """A link that leads nowhere is a broken plugin and stops nothing."""
    (roles / "gone.py").symlink_to(roles / "nowhere.py")
    write(roles, "fine.py", GOOD)
    assert names(roles) == ["fine"]
    assert "expected the file roles/gone.py, found none" in complaints(roles)[0]


def test_a_missing_directory_is_a_config_error(tmp_path: Path) -> None:
    """A roles directory that is not there, or is a file, is the operator's to mend."""
    with pytest.raises(ConfigError, match=r"expected roles\.directory to be a folder, got: .*none"):
        discover(tmp_path / "none")
    with pytest.raises(ConfigError, match="Not a directory"):
        discover(write(tmp_path, "file", ""))


def test_a_directory_everybody_may_write_holds_no_roles(roles: Path) -> None:
    """Where everybody can put a file in, nothing is executed, and one complaint says why."""
    write(roles, "fine.py", GOOD)
    roles.chmod(0o777)
    found = discover(roles)
    assert found.candidates == ()
    assert found.present == {"fine"}
    assert complaints(roles) == [
        "roles: everybody may write it (mode 777), and what is in it gets executed "
        "(chmod o-w roles)"
    ]


@pytest.mark.parametrize("name", ["code", "code/__init__.py", "code/deep/data.txt", "code/deep"])
def test_world_writable_parts_are_refused(roles: Path, name: str) -> None:
    """A plugin of which everybody may write any part is refused, with the command that mends it."""
    write(roles, "code/__init__.py", GOOD)
    write(roles, "code/deep/data.txt", "")
    candidate = Candidate("code", roles / "code")
    require_safe(candidate)
    (roles / name).chmod(0o757)
    with pytest.raises(PluginInvalid, match=rf"roles/{name}: .*\(chmod o-w roles/{name}\)"):
        require_safe(candidate)


def test_the_digest_sees_every_change_that_matters(roles: Path) -> None:
    """The digest changes with content, names and a mended mode, though time and size stay."""
    candidate = Candidate("code", roles / "code")
    init = write(roles, "code/__init__.py", "a = 1")
    os.utime(init, (LONG_AGO, LONG_AGO))
    digests = [digest(candidate)]
    init.write_text("a = 2")
    os.utime(init, (LONG_AGO, LONG_AGO))
    digests.append(digest(candidate))
    prompt = write(roles, "code/prompts/review.txt", "be kind")
    digests.append(digest(candidate))
    prompt.rename(prompt.with_name("other.txt"))
    digests.append(digest(candidate))
    init.chmod(0o666)
    digests.append(digest(candidate))
    assert len(set(digests)) == len(digests)


def test_the_digest_ignores_what_does_not(roles: Path) -> None:
    """Bytecode, hidden files, backups and a new time do not change the digest."""
    candidate = Candidate("code", roles / "code")
    init = write(roles, "code/__init__.py", GOOD)
    before = digest(candidate)
    write(roles, "code/__pycache__/x.pyc", "")
    write(roles, "code/.#lock", "")
    write(roles, "code/__init__.py~", "")
    os.utime(init, (LONG_AGO, LONG_AGO))
    assert digest(candidate) == before
