"""S3 targets as a person meets them: URLs, credentials, what is missing, an interrupt. The store is
tests/support/s3_fake.py; tests/s3 has a real server."""
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from copy_cases import two_streams
from tool import need, same

FAKE = Path(__file__).resolve().parent.parent / "support" / "s3_fake.py"


class Store:
    """The fake, with the tool told about it; None for a build without S3 targets."""

    def __init__(self, tool):
        self.process = subprocess.Popen(
            [sys.executable, FAKE], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self.port = int(self.process.stdout.readline())
        for name in [name for name in tool.env if name.startswith("AWS_")]:
            del tool.env[name]
        tool.env.update(
            AWS_ACCESS_KEY_ID="AKIATEST",
            AWS_SECRET_ACCESS_KEY="secret/with+odd=chars",
            AWS_ENDPOINT_URL_S3=f"http://127.0.0.1:{self.port}",
            HOME=str(tool.dir),
        )

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()

    def seen(self, text):
        url = f"http://127.0.0.1:{self.port}/_count/{text}"
        with urllib.request.urlopen(url, timeout=20) as answer:
            return int(answer.read())


def _has_s3(tool):
    return b"s3 on" in tool.ok("--version")


def s3__backup_comes_back(tool):
    if not _has_s3(tool):
        return
    with Store(tool) as store:
        tool.ok("put", tool.db, "a", "1")
        tool.ok("backup", tool.db, "s3://bucket/app")
        tool.ok("restore", "s3://bucket/app", "copy")
        same(tool.ok("get", "copy", "a"), b"1")
        endpoint = f"?style=host&endpoint=http://localhost:{store.port}"
        tool.ok("restore", "s3://bucket/app" + endpoint, "again")
        same(tool.ok("get", "again", "a"), b"1")
        need(b"1 base" in tool.ok("generations", "s3://bucket/app"), "generations")
        tool.ok("prune", "--keep", "1", "s3://bucket/app")


def s3__two_programs_never_mix(tool):
    if not _has_s3(tool):
        return
    with Store(tool):
        two_streams(tool, "s3://bucket/app")


def s3__a_wrong_target_is_named_once(tool):
    tool.ok("put", tool.db, "a", "1")
    for url in ("s3://b/x", "s3://Bad_Bucket!/x", "s3://bucket//x", "s3://bucket/x?y=z"):
        shown = "s3://..." if "!" in url else url.split("?")[0]
        for words in (("backup", tool.db, url), ("restore", url, "copy"), ("generations", url)):
            result = tool.run(*words)
            need(result.code != 0 and result.err.startswith(f"kist: {words[0]}: {shown}: "), result)
            need(result.err.count("s3://") == 1, result)


def s3__messages_hold_no_secret(tool):
    tool.ok("put", tool.db, "a", "1")
    for url in (
        "s3://bucket/p?secret_key=hunter2",
        "s3://me:hunter2@bucket/p",
        "s3://bucket/p?endpoint=https://me:hunter2@host",
        "s3://bucket/p?hunter2",
    ):
        for words in (("backup", tool.db, url), ("restore", url, "x"), ("generations", url)):
            result = tool.run(*words)
            need(result.code != 0 and "KIST_E_INVALID" in result.err, result)
            need("hunter2" not in result.err or url.endswith("?hunter2"), result)


def s3__without_libcurl_all_else_works(tool):
    """Who never asks for S3 needs no libcurl; who does is told what is missing."""
    broken = tool.dir / "broken"
    broken.mkdir()
    for name in ("libcurl.so.4", "libcurl-gnutls.so.4"):
        (broken / name).write_bytes(b"")
    tool.env["LD_LIBRARY_PATH"] = str(broken)
    tool.ok("put", tool.db, "a", "1")
    tool.ok("backup", tool.db, "target")
    says = "libcurl" if _has_s3(tool) else "KIST_S3"
    tool.fails(4, "backup", tool.db, "s3://bucket/app", says=(says, "KIST_E_UNSUPPORTED"))


def s3__an_interrupt_ends_a_call_that_waits(tool):
    if not _has_s3(tool):
        return
    with Store(tool) as store:
        tool.ok("put", tool.db, "a", "1")
        process = tool.start("backup", tool.db, "s3://bucket/put:stall:99:tables")
        while store.seen("/tables/") == 0 and process.poll() is None:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        error = process.communicate(timeout=60)[1].decode()
        need(process.returncode != 0 and "interrupted" in error, error)
