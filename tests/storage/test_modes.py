"""What a stage hands over is for others to read, as far as the umask says so."""

import os
from pathlib import Path

import pytest

from r1trl.storage.modes import usual_modes


@pytest.mark.parametrize(
    ("mask", "files", "folders"),
    [(0o022, 0o644, 0o755), (0o077, 0o600, 0o700), (0o027, 0o640, 0o750), (0o002, 0o644, 0o755)],
)
def test_modes_are_the_usual_ones_or_what_the_umask_leaves_of_them(
    mask: int, files: int, folders: int, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    folder.mkdir(mode=0o700)
    file = folder / "model.safetensors"
    file.touch(mode=0o600)
    (folder / "link").symlink_to("/etc/passwd")
    before = os.umask(mask)
    try:
        usual_modes(folder)
        assert os.umask(mask) == mask, "the umask stays"
    finally:
        os.umask(before)
    assert file.stat().st_mode & 0o777 == files
    assert folder.stat().st_mode & 0o777 == folders
