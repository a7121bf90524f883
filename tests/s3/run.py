#!/usr/bin/env python3
"""The S3 target through the tool and the interface, against a real server: OpenStack Swift.

    tests/s3/run.py PATH_OF_KIST PATH_OF_STREAM_LOAD [NAME...]

Swift runs from Debian's python3-swift in one process (swift_server.py); where that is not installed
the cases are skipped by name. KIST_S3_SECONDS is how long the stream runs through a proxy that
fails calls at random, by KIST_SEED.
"""
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))
sys.path.insert(0, str(HERE.parent / "cli"))

from cases import Cases  # noqa: E402
from tool import Tool, need, same  # noqa: E402

SECONDS = float(os.environ.get("KIST_S3_SECONDS", "5"))
SEED = int(os.environ.get("KIST_SEED", time.time_ns() % 1000000007))
KEYS = {"AWS_ACCESS_KEY_ID": "test:tester", "AWS_SECRET_ACCESS_KEY": "testing"}


class Server:
    """A process that prints its port and ends with its standard input."""

    def __init__(self, *command):
        self.process = subprocess.Popen(
            list(map(str, command)), stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self.port = int(self.process.stdout.readline() or 0)

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def python_with_swift():
    for python in (sys.executable, "/usr/bin/python3"):
        command = [python, "-c", "import eventlet, swift.common.middleware.s3api"]
        if shutil.which(python) and subprocess.run(command, capture_output=True).returncode == 0:
            return python
    return None


class World:
    """The tool in a directory of its own, and a bucket of its own on the server."""

    buckets = 0

    def __init__(self, binary, loader, port, name):
        self.tool = Tool(binary)
        self.tool.env = {k: v for k, v in self.tool.env.items() if not k.startswith("AWS_")}
        self.tool.env.update(KEYS, HOME=str(self.tool.dir))
        self.loader = loader
        self.port = port
        World.buckets += 1
        self.bucket = f"{'plain' if 'plain' in name else 'bucket'}-{World.buckets}"
        self.make_bucket()

    def url(self, prefix, port=None):
        return f"s3://{self.bucket}/{prefix}?endpoint=http://127.0.0.1:{port or self.port}"

    def make_bucket(self):
        """The tool makes none; neither does Kist, so this is signed here."""
        import hashlib
        import http.client

        sys.path.insert(0, str(HERE.parent / "support"))
        from s3_fake import sign

        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        empty = hashlib.sha256(b"").hexdigest()
        headers = {
            "host": f"127.0.0.1:{self.port}",
            "x-amz-content-sha256": empty,
            "x-amz-date": stamp,
        }
        scope = f"{stamp[:8]}/us-east-1/s3/aws4_request"
        path, signed = f"/{self.bucket}", sorted(headers)
        request = ("PUT", path, [], headers)
        headers["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={KEYS['AWS_ACCESS_KEY_ID']}/{scope}, "
            f"SignedHeaders={';'.join(signed)}, Signature="
            + sign(KEYS["AWS_SECRET_ACCESS_KEY"], request, signed, stamp, scope, empty)
        )
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.request("PUT", path, headers=headers)
        answer = connection.getresponse()
        need(answer.status == 200, f"{answer.status} {answer.read()}")
        connection.close()

    def close(self):
        self.tool.close()


def s3__backups_come_back(world):
    tool, url = world.tool, world.url("app/copies")
    for i in range(3):
        tool.ok("put", tool.db, "a", str(i), f"b{i}", "x")
        tool.ok("backup", tool.db, url)
    lines = [json.loads(line) for line in tool.ok("generations", "--json", url).splitlines()]
    same([line["generation"] for line in lines], [1, 2, 3])
    tool.ok("restore", url, "newest")
    same(tool.ok("scan", "newest"), tool.ok("scan", tool.db))
    tool.ok("verify", "newest")
    tool.ok("restore", "--seq", lines[0]["last_seq"], url, "first")
    same(tool.ok("get", "first", "a"), b"0")
    tool.ok("prune", "--keep", "1", url)
    lines = [json.loads(line) for line in tool.ok("generations", "--json", url).splitlines()]
    same([line["generation"] for line in lines], [3])
    tool.ok("restore", url, "after")
    same(tool.ok("scan", "after"), tool.ok("scan", tool.db))
    tool.fails(7, "restore", "--seq", "1", url, "gone", says="KIST_E_MISSING")


def s3__streams_come_back(world):
    tool, url = world.tool, world.url("stream")
    for i in range(3):
        tool.ok("put", tool.db, "a", str(i))
        tool.ok("stream", tool.db, url)
        tool.ok("restore", url, f"copy{i}")
        same(tool.ok("get", f"copy{i}", "a"), str(i).encode())


def s3__large_objects_go_up_in_parts(world):
    """A table above 32 MiB is a multipart upload on the server."""
    tool, url = world.tool, world.url("large")
    rows = random.Random(SEED)
    values = [rows.randbytes(512).hex() for i in range(36000)]
    lines = "".join(f"key{i:06}\t{value}\n" for i, value in enumerate(values))
    tool.ok("load", tool.db, "-", "-o", "target_file_size=256MiB", stdin=lines, timeout=300)
    tool.ok("compact", tool.db, "-o", "target_file_size=256MiB; compression=none", timeout=300)
    tables = [path.stat().st_size for path in Path(tool.db).glob("*.kst")]
    need(max(tables) > 33 << 20, f"no large table: {tables}")
    tool.ok("backup", tool.db, url, timeout=300)
    tool.ok("restore", url, "back", timeout=300)
    same(tool.ok("stats", "back", "--json") != b"", True)
    same(tool.ok("scan", "back", "--limit", "5"), tool.ok("scan", tool.db, "--limit", "5"))
    tool.ok("verify", "back")


def s3__plain_swift_has_no_conditions(world):
    """As Swift is released it takes no condition: refused by name, or used by one writer."""
    tool, url = world.tool, world.url("app")
    tool.ok("put", tool.db, "a", "1")
    tool.fails(4, "backup", tool.db, url, says=("KIST_E_UNSUPPORTED", "writers=one"))
    tool.ok("backup", tool.db, url + "&writers=one")
    tool.ok("put", tool.db, "a", "2")
    tool.ok("backup", tool.db, url + "&writers=one")
    tool.ok("restore", url, "back")
    same(tool.ok("get", "back", "a"), b"2")


def s3__one_target_is_one_databases(world):
    tool, url = world.tool, world.url("owner")
    tool.ok("put", tool.db, "a", "1")
    tool.ok("backup", tool.db, url)
    tool.ok("put", "other", "a", "1")
    tool.fails(4, "backup", "other", url, says="another database")


def s3__errors_say_what_is_wrong(world):
    tool, url = world.tool, world.url("errors")
    tool.ok("put", tool.db, "a", "1")
    absent = url.replace(world.bucket, "no-such-bucket")
    tool.fails(7, "backup", tool.db, absent, says=("NoSuchBucket", "s3://no-such-bucket/errors"))
    tool.fails(7, "restore", url, "x", says="holds no backup")
    tool.env["AWS_SECRET_ACCESS_KEY"] = "not-the-secret"
    result = tool.run("backup", tool.db, url)
    need(result.code != 0 and "SignatureDoesNotMatch" in result.err, result)
    need("not-the-secret" not in result.err, result)
    del tool.env["AWS_SECRET_ACCESS_KEY"]
    del tool.env["AWS_ACCESS_KEY_ID"]
    result = tool.run("backup", tool.db, url)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SHARED_CREDENTIALS_FILE", "KIST_E_PERMISSION"):
        need(name in result.err, result)
    (tool.dir / ".aws").mkdir()
    (tool.dir / ".aws/credentials").write_text(
        "[default]\naws_access_key_id = test:tester\naws_secret_access_key = testing\n"
    )
    tool.ok("backup", tool.db, url)


def s3__a_stream_through_a_failing_network(world):
    """Every commit of a stream whose calls fail at random can be restored, and is what it was."""
    tool = world.tool
    proxy = Server(
        sys.executable, HERE.parent / "support/s3_fake.py", "--upstream", f"127.0.0.1:{world.port}",
        "--chaos", SEED,
    )
    try:
        command = [world.loader, tool.db, world.url("chaos", proxy.port), str(int(SECONDS * 1000))]
        done = subprocess.run(
            command, env=tool.env, capture_output=True, text=True, timeout=SECONDS + 1300
        )
        print(f"KIST_SEED={SEED}: {done.stderr.strip()}")
        need(done.returncode == 0, done.stderr)
        points = [line.split() for line in done.stdout.splitlines()]
        tool.ok("restore", world.url("chaos", proxy.port), "back", timeout=300)
    finally:
        proxy.close()
    same(tool.ok("scan", "back"), tool.ok("scan", tool.db))
    tool.ok("verify", "back")
    for seq, count in random.Random(SEED).sample(points, min(4, len(points))):
        tool.ok("restore", "--seq", seq, world.url("chaos"), f"at{seq}")
        same(tool.ok("get", f"at{seq}", "count"), count.encode())


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    binary, loader = map(os.path.abspath, sys.argv[1:3])
    found = [value for name, value in globals().items() if name.startswith("s3__")]
    wanted = [case for case in found if all(part in case.__name__ for part in sys.argv[3:])]
    cases = Cases()
    python = python_with_swift()
    build = subprocess.run([binary, "--version"], capture_output=True, text=True).stdout
    if python is None or "s3 off" in build:
        why = "no python3-swift here" if python is None else "a build without KIST_S3"
        for case in wanted:
            cases.skip(case.__name__, f"S3 against a real server is not tested: {why}")
        cases.finish()
    directory = tempfile.mkdtemp(prefix="kist-swift-")
    server = Server(python, HERE / "swift_server.py", directory)
    try:
        if server.port == 0:
            for case in wanted:
                cases.skip(case.__name__, "no S3 server was tested: no Swift started")
            wanted = []
        for case in wanted:
            world = World(binary, loader, server.port, case.__name__)
            cases.run(case.__name__, lambda: case(world), (case.__doc__ or "").strip())
            world.close()
    finally:
        server.close()
        shutil.rmtree(directory, ignore_errors=True)
    cases.finish()


main()
