import socket
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PurePosixPath

import fsspec
import pytest
from fsspec.registry import known_implementations

from m3dfel.errors import InputError
from m3dfel.video.remote import changed_s, is_url, local_copy, path_in_url, videos_at


@pytest.fixture
def bucket(tmp_path: Path) -> Iterator[str]:
    """The URL of a folder in memory with videos, and with files that are none."""
    storage = fsspec.filesystem("memory")
    bucket = f"memory:///{tmp_path.name}"
    for name in ("b.MP4", "a/c.mov", "a/c_annotated.mp4", "own_annotated.mp4"):
        storage.pipe_file(f"{bucket}/{name}", name.encode())
    for name in ("notes.txt", ".hidden.mp4", "a/1.jpg"):
        storage.pipe_file(f"{bucket}/{name}", b"")
    yield bucket
    storage.rm(bucket, recursive=True)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    """The address of a web server for the files in `tmp_path`."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=tmp_path)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_folder_means_the_videos_in_it_and_in_its_folders(bucket: str):
    names = ["a/c.mov", "b.MP4", "own_annotated.mp4"]
    assert videos_at(bucket) == [f"{bucket}/{name}" for name in names]
    assert videos_at(f"{bucket}/b.MP4") == [f"{bucket}/b.MP4"]


def test_a_copy_has_the_name_of_the_file_and_is_deleted_after_use(bucket: str):
    with local_copy(f"{bucket}/a/c.mov") as copy:
        assert copy.name == "c.mov"
        assert copy.read_bytes() == b"a/c.mov"
    assert not copy.parent.exists()
    with pytest.raises(InputError, match=f"^{bucket}/b.MP4 is not a video$"):  # noqa: SIM117
        with local_copy(f"{bucket}/b.MP4") as copy:
            raise InputError(f"{copy} is not a video")
    assert not copy.parent.exists()
    with pytest.raises(KeyboardInterrupt), local_copy(f"{bucket}/b.MP4") as copy:
        raise KeyboardInterrupt
    assert not copy.parent.exists()


def test_the_videos_of_a_web_server_are_found_and_copied(site: str, tmp_path: Path):
    (tmp_path / "films" / "summer").mkdir(parents=True)
    (tmp_path / "films" / "a b.mp4").write_bytes(b"first")
    (tmp_path / "films" / "summer" / "c.mp4").write_bytes(b"second")
    urls = [f"{site}/films/a%20b.mp4", f"{site}/films/summer/c.mp4"]
    assert videos_at(f"{site}/films/") == urls
    with local_copy(f"{urls[0]}?token=1/2#t=3") as copy:
        assert (copy.name, copy.read_bytes()) == ("a b.mp4", b"first")


@pytest.mark.parametrize("read", [videos_at, lambda url: local_copy(f"{url}film.mp4").__enter__()])
def test_what_is_not_there_is_named(read, site: str, bucket: str):
    for url in (f"{site}/gone/", f"{bucket}/gone/"):
        with pytest.raises(InputError, match=rf"there is nothing at {url}.*: check the address"):
            read(url)


def test_a_server_that_does_not_answer_is_named():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/films/"
        with pytest.raises(InputError, match=rf"cannot read {url} \(.*\): check the address"):
            videos_at(url)


def test_a_camera_is_not_copied():
    with pytest.raises(InputError, match="may never end: use `m3dfel live`"):
        local_copy("rtsp://127.0.0.1/door").__enter__()


def test_a_folder_without_videos_is_named(bucket: str):
    fsspec.filesystem("memory").pipe_file(f"{bucket}/empty/notes.txt", b"")
    with pytest.raises(InputError, match=f"there is no video at {bucket}/empty: give a folder"):
        videos_at(f"{bucket}/empty")


def test_a_protocol_names_the_package_that_it_needs(monkeypatch):
    needs = {"class": "not_installed.Storage", "err": "Install cloudfs to read clouds"}
    monkeypatch.setitem(known_implementations, "cloud", needs)
    with pytest.raises(InputError, match=r"cannot read cloud://a/b.mp4: Install cloudfs to read"):
        videos_at("cloud://a/b.mp4")
    with pytest.raises(InputError, match=r"cannot read cluod://a/b.mp4: Protocol not known: cluod"):
        videos_at("cluod://a/b.mp4")


def test_the_time_of_a_change_is_known_where_the_storage_knows_it(bucket: str, site: str):
    assert changed_s(f"{bucket}/b.MP4") > 1.7e9
    assert changed_s(f"{site}/film.mp4") == 0


def test_a_path_is_not_a_url():
    assert is_url("s3://bucket/film.mp4")
    for path in ("C:/films/film.mp4", "C://film.mp4", "films/a:b.mp4", "s3:/film.mp4"):
        assert not is_url(path)
    assert path_in_url("s3://bucket/a?b.mp4") == PurePosixPath("bucket/a?b.mp4")
    assert path_in_url("https://host/a/my%20film.mp4?x=/1") == PurePosixPath("host/a/my film.mp4")


def test_no_test_waits_for_another_machine():
    with pytest.raises(OSError, match=r"tests do without the network, .* example\.org"):
        socket.create_connection(("example.org", 80))
    with pytest.raises(OSError, match=r"tests do without the network, .* 192\.0\.2\.1"):
        socket.create_connection(("192.0.2.1", 80))
