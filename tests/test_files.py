"""`write_atomic` leaves the old content or the new one, and nothing beside it."""

import os
import shutil
import stat
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tinygrad_rnn.files import NotRegular, check_writable, read_regular, write_atomic


@pytest.fixture
def target(tmp_path):
    return tmp_path / "figure.svg"


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_file(target):
    write_atomic(target, b"new")
    assert target.read_bytes() == b"new"
    assert os.listdir(target.parent) == ["figure.svg"]


def test_a_path_given_as_text_relative_to_the_working_directory(target, monkeypatch):
    monkeypatch.chdir(target.parent)
    write_atomic("figure.svg", b"")
    assert target.read_bytes() == b""


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_a_new_file_has_the_mode_that_open_gives(target, umask):
    before = os.umask(umask)
    try:
        write_atomic(target, b"new")
    finally:
        os.umask(before)
    assert mode(target) == 0o666 & ~umask


def test_an_existing_file_keeps_its_mode(target):
    target.write_bytes(b"old")
    target.chmod(0o640)
    write_atomic(target, b"new")
    assert (target.read_bytes(), mode(target)) == (b"new", 0o640)


def test_a_symbolic_link_stays_one_and_its_target_is_written(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    target, link = tmp_path / "elsewhere" / "figure.svg", tmp_path / "link.svg"
    link.symlink_to(target)
    for content in (b"through a dangling link", b"through a link to a file"):
        write_atomic(link, content)
        assert link.is_symlink()
        assert target.read_bytes() == content


def test_a_name_of_the_greatest_length(tmp_path):
    target = tmp_path / ("x" * 255)
    write_atomic(target, b"new")
    assert target.read_bytes() == b"new"


@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failure_in_the_middle_leaves_the_old_content_alone(target, monkeypatch, step, failure):
    def fail(*_):
        raise failure

    target.write_bytes(b"old")
    monkeypatch.setattr(os, step, fail)
    with pytest.raises(type(failure)):
        write_atomic(target, b"new")
    assert target.read_bytes() == b"old"
    assert os.listdir(target.parent) == ["figure.svg"]


def test_an_error_names_the_path_that_was_asked_for(target):
    missing = target.parent / "missing" / "figure.svg"
    with pytest.raises(FileNotFoundError) as caught:
        write_atomic(missing, b"new")
    assert caught.value.filename == str(missing)


def test_a_directory_is_refused_and_stays(tmp_path):
    directory = tmp_path / "figure.svg"
    directory.mkdir()
    with pytest.raises(IsADirectoryError) as caught:
        write_atomic(directory, b"new")
    assert caught.value.filename == str(directory)
    assert os.listdir(tmp_path) == ["figure.svg"]


@pytest.fixture
def directory_of_others():
    """A directory entered without the administrator's privilege, who may write anywhere."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        directory.chmod(0o777)
        user = os.geteuid()
        if user == 0:
            os.seteuid(65534)
        yield directory
        os.seteuid(user)


def test_a_directory_without_write_permission(directory_of_others):
    inside = directory_of_others / "inside"
    inside.mkdir(0o555)
    with pytest.raises(PermissionError) as caught:
        write_atomic(inside / "figure.svg", b"new")
    assert caught.value.filename == str(inside / "figure.svg")


def test_a_read_only_file_is_not_replaced(directory_of_others):
    target = directory_of_others / "figure.svg"
    target.write_bytes(b"old")
    target.chmod(0o444)
    with pytest.raises(PermissionError):
        write_atomic(target, b"new")
    assert target.read_bytes() == b"old"
    assert os.listdir(directory_of_others) == ["figure.svg"]


def test_a_pipe_is_written_to_and_stays_a_pipe(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with ThreadPoolExecutor() as pool:
        reading = pool.submit(pipe.read_bytes)
        write_atomic(pipe, b"new")
        assert reading.result() == b"new"
    assert pipe.is_fifo()


def test_a_device_is_written_to_and_stays_a_device():
    write_atomic(os.devnull, b"new")
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)


def test_readers_never_see_a_part_while_writers_compete(target):
    contents = [bytes([i]) * 100_000 for i in range(4)]
    target.write_bytes(contents[0])
    done = threading.Event()

    def read():
        seen = set()
        while not done.is_set():
            seen.add(target.read_bytes())
        return seen

    with ThreadPoolExecutor() as pool:
        seen = pool.submit(read)
        try:
            write = lambda content: [write_atomic(target, content) for _ in range(5)]
            list(pool.map(write, contents))
        finally:
            done.set()
        assert seen.result() <= set(contents)
    assert os.listdir(target.parent) == ["figure.svg"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no locks here")
def test_a_writer_that_sweeps_late_removes_nothing_that_is_being_written(target, monkeypatch):
    """Two found a file that had no lock yet; the second removes its name once the first has."""
    import fcntl

    swept: list[Path] = []

    def flock(file, how):
        if how == fcntl.LOCK_EX and not swept:
            swept.extend(target.parent.glob("*.tmp"))
            swept[0].unlink()
        return lock(file, how)

    def copymode(*files):
        swept[0].unlink(missing_ok=True)
        copy(*files)

    target.write_bytes(b"old")
    lock, copy = fcntl.flock, shutil.copymode
    monkeypatch.setattr(fcntl, "flock", flock)
    monkeypatch.setattr(shutil, "copymode", copymode)
    write_atomic(target, b"new")
    assert target.read_bytes() == b"new"
    assert os.listdir(target.parent) == ["figure.svg"]


def test_an_error_after_the_file_was_replaced_is_a_warning_that_says_so(target, monkeypatch):
    def refuse(path, flags, *rest, **more):
        if os.path.isdir(path):
            raise PermissionError(13, "Permission denied")
        return real(path, flags, *rest, **more)

    target.write_bytes(b"old")
    real = os.open
    monkeypatch.setattr(os, "open", refuse)
    with pytest.warns(UserWarning, match="saved, but its folder cannot be written"):
        write_atomic(target, b"new")
    assert target.read_bytes() == b"new"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no such device")
def test_an_error_of_a_device_and_a_path_that_is_none_name_the_path():
    with pytest.raises(OSError, match="No space left on device: '/dev/full'"):
        write_atomic("/dev/full", b"new")
    for function in (read_regular, check_writable, lambda path: write_atomic(path, b"new")):
        with pytest.raises(OSError, match="null character"):
            function("a\0b")
        with pytest.raises(OSError, match=r"A path cannot have such characters: .*ud800"):
            function("a\ud800b")


def test_what_is_no_regular_file_is_refused_unopened(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(NotRegular) as caught:
        read_regular(tmp_path / "pipe")
    assert caught.value.filename == str(tmp_path / "pipe")
    with pytest.raises(IsADirectoryError):
        read_regular(tmp_path)
    (tmp_path / "text").write_bytes(b"12345")
    assert read_regular(tmp_path / "text", 5) == b"12345"
    with pytest.raises(OSError, match="More than 0 MiB"):
        read_regular(tmp_path / "text", 4)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_a_pipe_that_nobody_reads_is_refused_and_one_that_is_read_gets_all(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(OSError, match=r"Nobody reads from this pipe: .*pipe"):
        write_atomic(pipe, b"data")
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_atomic(pipe, b"data")
        assert os.read(reader, 10) == b"data"
    finally:
        os.close(reader)
