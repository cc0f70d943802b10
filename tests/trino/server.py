"""A Trino of the version that Athena's engine is compared with: fetched, configured, started, ended."""

import hashlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tarfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from infra.stack import write_privately

VERSION = 476
_URL = f"https://repo.maven.apache.org/maven2/io/trino/trino-server/{VERSION}/trino-server-{VERSION}.tar.gz"
_SHA256 = "cfd5accde17e8ebd251eeeb78aed1f490e77bb3a164d95a0f454bf8a7c1cbd3f"
_PLUGINS = ("hive", "memory", "geospatial", "teradata-functions")
_PARTS = ("bin/", "lib/", *(f"plugin/{name}/" for name in _PLUGINS))
"""What is extracted: half of the archive is connectors that nothing here asks. Two plugins have functions."""
_JAVA = 24
"""Oldest Java that this version runs on."""
_JAVAS = Path("/usr/lib/jvm")
"""Folder of the installed Javas on Debian and its like."""
_START_TIMEOUT_S = 900
_STOP_TIMEOUT_S = 60


class CannotJudge(Exception):
    """Trino cannot be fetched or started, with the reason and what to do."""


def java_home() -> Path:
    """Return the folder of a Java that is new enough: JAVA_HOME's, the PATH's, or one in /usr/lib/jvm.

    Raises:
        CannotJudge: there is none.
    """
    on_path = shutil.which("java")
    candidates = [
        *([Path(os.environ["JAVA_HOME"])] if os.environ.get("JAVA_HOME") else []),
        *([Path(on_path).resolve().parent.parent] if on_path else []),
        *sorted(_JAVAS.glob("*"), reverse=True),
    ]
    found = {home: version for home in candidates if (version := _java_version(home)) is not None}
    new_enough = next((home for home, version in found.items() if version >= _JAVA), None)
    if new_enough:
        return new_enough
    has = f"the newest one found is {max(found.values())}" if found else "no Java was found"
    raise CannotJudge(
        f"Trino {VERSION} needs Java {_JAVA} or newer, and {has}. "
        "Install one, and set JAVA_HOME to its folder."
    )


def _java_version(home: Path) -> int | None:
    try:
        done = subprocess.run(
            [home / "bin" / "java", "-version"], capture_output=True, text=True, check=False
        )
    except OSError:
        return None
    version = re.search(r'version "(\d+)', done.stderr)
    return int(version[1]) if version else None


def fetched(folder: Path) -> Path:
    """Return the folder of the server, after its download from Maven Central, once.

    Raises:
        CannotJudge: the download failed, or is not the expected archive.
    """
    server = folder / f"trino-server-{VERSION}"
    if server.is_dir():
        return server
    packed, unpacked = folder / "server.tar.gz", folder / "unpacked"
    shutil.rmtree(unpacked, ignore_errors=True)
    print(f"Fetching Trino {VERSION}: 821 MB from Maven Central, once …", flush=True)
    try:
        with urllib.request.urlopen(_URL, timeout=60) as response:
            digest = _written(response, packed)
        if digest != _SHA256:
            raise CannotJudge(f"{_URL} has the SHA-256 {digest}, not {_SHA256}: nothing of it was run.")
        _unpack(packed, unpacked)
    except (OSError, tarfile.TarError) as error:
        raise CannotJudge(f"{_URL} cannot be fetched: {error}") from error
    finally:
        packed.unlink(missing_ok=True)
    (unpacked / server.name).rename(server)
    unpacked.rmdir()
    return server


def _written(source: IO[bytes], file: Path) -> str:
    """Write a stream into a file, and return its SHA-256."""
    sha256 = hashlib.sha256()
    with file.open("wb") as target:
        while block := source.read(1 << 20):
            sha256.update(block)
            target.write(block)
    return sha256.hexdigest()


def _unpack(packed: Path, folder: Path) -> None:
    """Extract the parts that are needed. Of a file that plugins share, all but one have a link."""
    with tarfile.open(packed) as archive:
        members = {member.name: member.linkname if member.islnk() else "" for member in archive}
    parts = {name for name in members if name.partition("/")[2].startswith(_PARTS)}
    linked = {members[name] for name in parts} - parts
    with tarfile.open(packed, mode="r|gz") as archive:
        archive.extraction_filter = getattr(tarfile, "data_filter", None)  # Python 3.11.4 brought it
        for member in archive:
            if member.name in parts | linked:
                archive.extract(member, folder)
    for plugin in {Path(*Path(name).parts[:3]) for name in linked - {""}}:
        shutil.rmtree(folder / plugin)  # Trino would start it


@contextmanager
def running(folder: Path, catalogs: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    """Run a Trino on a free loopback port with these catalogs, and yield its address.

    Raises:
        CannotJudge: Java is missing or too old, or Trino does not start.
    """
    home = java_home()
    server = fetched(folder)
    port = _free_port()
    settings = folder / "etc"
    shutil.rmtree(settings, ignore_errors=True)
    (settings / "catalog").mkdir(parents=True)
    _write(settings / "node.properties", _node(folder / "data"))
    (settings / "jvm.config").write_text("\n".join(_JVM) + "\n", encoding="ascii")
    _write(settings / "config.properties", _config(port))
    for name, properties in catalogs.items():
        _write(settings / "catalog" / f"{name}.properties", properties)
    log = folder / "trino.log"
    environment = {**os.environ, "JAVA_HOME": str(home), "PATH": f"{home / 'bin'}:{os.environ['PATH']}"}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [server / "bin" / "launcher", "--etc-dir", settings, "--data-dir", folder / "data", "run"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    address = f"http://127.0.0.1:{port}"
    try:
        _wait(process, address, log)
        yield address
    finally:
        _end(process)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _write(file: Path, properties: Mapping[str, str]) -> None:
    """Write properties where only their owner reads them: there are secrets among them."""
    write_privately(file, "".join(f"{key}={value}\n" for key, value in properties.items()))


def _node(data: Path) -> dict[str, str]:
    return {
        "node.environment": "judge",
        "node.id": "judge",
        "node.data-dir": str(data),
        "node.internal-address": "127.0.0.1",
        "node.bind-ip": "127.0.0.1",
    }


_JVM = (
    "-server",
    "-Xmx2G",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",  # it runs for minutes: what it spends on compiling well does not pay
    "-XX:+ExitOnOutOfMemoryError",
    "-XX:ReservedCodeCacheSize=512M",
    "-Djdk.attach.allowAttachSelf=true",
    "--add-modules=jdk.incubator.vector",
    "-Duser.timezone=UTC",
)


def _config(port: int) -> dict[str, str]:
    return {
        "coordinator": "true",
        "node-scheduler.include-coordinator": "true",
        "http-server.http.port": str(port),
        "discovery.uri": f"http://127.0.0.1:{port}",
        "catalog.management": "static",
    }


def _wait(process: "subprocess.Popen[bytes]", address: str, log: Path) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{address}/v1/info", timeout=5) as response:  # noqa: S310
                if not json.load(response)["starting"]:
                    return
        except OSError:
            pass
        time.sleep(1)
    raise CannotJudge(f"Trino does not start within {_START_TIMEOUT_S} s: see {log}")


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End the launcher and the Java that it started."""
    for signal_ in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is None:
            os.killpg(process.pid, signal_)
            try:
                process.wait(_STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                continue
