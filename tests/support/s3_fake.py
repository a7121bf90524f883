#!/usr/bin/env python3
"""S3 as the tests need it: a small store that checks every signature, and faults on demand.

    s3_fake.py [--tls CERT KEY] [--upstream HOST:PORT [--chaos SEED]]

Prints its port, then serves until its standard input ends. It signs on its own, from the
description of Signature Version 4, and shares nothing with what it tests. With --upstream it holds
no objects: it passes requests on, and puts faults in between; --chaos chooses them at random.

Faults are asked for by the first part of a key or prefix, "method:kind:count[:substring],...":
"put:503:2:start" answers the first two PUTs of keys with "start" in them with 503. See FAULTS.
The name of a bucket may ask for more: see BUCKETS.
"""
import argparse
import hashlib
import hmac
import http.client
import json
import random
import re
import socket
import ssl
import sys
import threading
import time
from datetime import datetime, timezone
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, quote, unquote, urlsplit
from xml.sax.saxutils import escape

SECRETS = {  # key: (secret, session token)
    "AKIATEST": ("secret/with+odd=chars", None),
    "ASIATEST": ("second secret", "token/of+a=session=="),
    "ASIAOLD": ("old secret", "old token"),  # expired
}
FAULTS = {
    "500": "an error, again and again until the count is used up; so do 429, 501, 502, 503, 507",
    "denied": "403 AccessDenied",
    "skew": "403 RequestTimeTooSkewed",
    "wordless": "400 without a word, as Swift answers a body that came as another",
    "redirect": "307 to another host, without a region",
    "cut": "the connection ends: inside a GET's answer, inside a PUT's body",
    "lost": "the call is done, the connection ends without an answer",
    "twice": "the call is done twice, the second answer is given",
    "late": "the connection ends; the call is done when the next one for the key is under way",
    "flip": "one byte of the body is another: of a PUT's before it is checked, of a GET's after",
    "short": "a GET's answer ends early and says so in its length",
    "slow": "the answer trickles",
    "stall": "no answer, for a long time",
    "badxml": "the answer's XML is cut",
    "endless": "a listing that always goes on at the same place",
    "range": "another range than was asked for",
    "whole": "all of the object where a range was asked for",
    "notag": "a part gets no ETag",
    "error200": "200 with an error in its body",
}
BUCKETS = {
    "elsewhere": "is in region eu-west-9: 301 with x-amz-bucket-region",
    "malformed": "is in region eu-west-9: 400 AuthorizationHeaderMalformed",
    "paged": "lists two keys a page",
    "careless": "ignores If-None-Match",
    "simple": "answers 501 to If-None-Match",
    "absent": "is not there",
    "old-upload": "has an upload of a table that began two days ago, and one that began now",
}
OLD_TABLE = "left/tables/000007-10-00000001-0000000000000001.kst"
NEW_TABLE = "left/tables/000008-10-00000001-0000000000000001.kst"


def sign(secret, request, signed, stamp, scope, payload_hash):
    """The signature of a request, by the steps of the Signature Version 4 description."""
    method, path, query, headers = request
    pairs = sorted((quote(k, safe="-_.~"), quote(v, safe="-_.~")) for k, v in query)
    canonical = "\n".join(
        [
            method,
            quote(unquote(path), safe="/-_.~"),
            "&".join(f"{k}={v}" for k, v in pairs),
            *(f"{name}:{' '.join(headers.get(name, '').split())}" for name in signed),
            "",
            ";".join(signed),
            payload_hash,
        ]
    )
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, digest])
    key = ("AWS4" + secret).encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


class Refused(Exception):
    def __init__(self, code, name, message="", headers=None, more=""):
        self.code, self.name, self.message = code, name, message
        self.headers, self.more = headers or {}, more


class Store:
    def __init__(self):
        self.lock = threading.Lock()
        self.objects = {}  # (bucket, key): bytes
        self.uploads = {}  # id: (bucket, key, started, {number: bytes})
        self.next_upload = 1
        self.log = []
        for key, age in ((OLD_TABLE, 2 * 86400), (NEW_TABLE, 0), ("left/other", 2 * 86400)):
            self.begin("old-upload", key, time.time() - age)

    def begin(self, bucket, key, started):
        name = f"upload+{self.next_upload}/"
        self.next_upload += 1
        self.uploads[name] = (bucket, key, started, {})
        return name

    def check_new(self, bucket, key, headers):
        condition = headers.get("if-none-match")
        if condition and bucket == "simple":
            raise Refused(501, "NotImplemented", "A header is not known here")
        if condition == "*" and bucket != "careless" and (bucket, key) in self.objects:
            raise Refused(412, "PreconditionFailed", "At least one of the pre-conditions failed")

    def do(self, call):
        """(code, headers, body) of a call whose signature is good."""
        with self.lock:
            if call.bucket == "absent":
                raise Refused(404, "NoSuchBucket", "The specified bucket does not exist")
            name = f"{call.method.lower()}_{'object' if call.key else 'bucket'}"
            if not hasattr(self, name):
                raise Refused(405, "MethodNotAllowed")
            return getattr(self, name)(call)

    def put_object(self, call):
        upload = call.query.get("uploadId")
        tag = {"ETag": f'"{hashlib.md5(call.body).hexdigest()}"'}
        if upload is not None:
            if upload not in self.uploads:
                raise Refused(404, "NoSuchUpload")
            self.uploads[upload][3][int(call.query["partNumber"])] = call.body
            return 200, tag, b""
        self.check_new(call.bucket, call.key, call.headers)
        self.objects[call.bucket, call.key] = call.body
        return 200, tag, b""

    def post_object(self, call):
        if "uploads" in call.query:
            name = self.begin(call.bucket, call.key, time.time())
            return 200, {}, f"<Result><UploadId>{name}</UploadId></Result>".encode()
        upload = call.query.get("uploadId")
        if upload not in self.uploads:
            raise Refused(404, "NoSuchUpload")
        self.check_new(call.bucket, call.key, call.headers)
        parts = self.uploads[upload][3]
        listed = re.findall(rb"<PartNumber>(\d+)</PartNumber><ETag>\"(\w+)\"</ETag>", call.body)
        whole = b""
        for number, tag in listed:
            part = parts.get(int(number), b"?")
            if hashlib.md5(part).hexdigest() != tag.decode():
                raise Refused(400, "InvalidPart")
            whole += part
        self.objects[call.bucket, call.key] = whole
        del self.uploads[upload]
        return 200, {}, b"<Result><ETag>x</ETag></Result>"

    def delete_object(self, call):
        upload = call.query.get("uploadId")
        if upload is not None:
            if self.uploads.pop(upload, None) is None:
                raise Refused(404, "NoSuchUpload")
        else:
            self.objects.pop((call.bucket, call.key), None)
        return 204, {}, b""

    def get_object(self, call):
        if (call.bucket, call.key) not in self.objects:
            raise Refused(404, "NoSuchKey", "The specified key does not exist.")
        data = self.objects[call.bucket, call.key]
        wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", call.headers.get("range", ""))
        if not wanted:
            return 200, {}, data
        first, last = int(wanted[1]), min(int(wanted[2]), len(data) - 1)
        if first >= len(data):
            raise Refused(416, "InvalidRange")
        return 206, {"Content-Range": f"bytes {first}-{last}/{len(data)}"}, data[first : last + 1]

    head_object = get_object

    def get_bucket(self, call):
        prefix = call.query.get("prefix", "")
        if "uploads" in call.query:
            items = "".join(
                f"<Upload><Key>{escape(key)}</Key><UploadId>{name}</UploadId><Initiated>"
                f"{datetime.fromtimestamp(at, timezone.utc):%Y-%m-%dT%H:%M:%S.000Z}"
                "</Initiated></Upload>"
                for name, (bucket, key, at, _) in self.uploads.items()
                if bucket == call.bucket and key.startswith(prefix)
            )
            root = "ListMultipartUploadsResult"
            return 200, {}, f"<{root}>{items}</{root}>".encode()
        keys = sorted(k for b, k in self.objects if b == call.bucket and k.startswith(prefix))
        after = call.query.get("continuation-token", "")
        keys = [key for key in keys if f"after {key}" > after or not after]
        page = 2 if call.bucket == "paged" else 1000
        more = len(keys) > page
        keys = keys[:page]
        text = ['<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="urn:s3">']
        text.append(f"<IsTruncated>{str(more).lower()}</IsTruncated>")
        text.append(f"<EncodingType>{call.query.get('encoding-type', '')}</EncodingType>")
        if more:
            text.append(f"<NextContinuationToken>after {escape(keys[-1])}</NextContinuationToken>")
        for key in keys:
            size = len(self.objects[call.bucket, key])
            text.append(f"<Contents><Key>{quote(key)}</Key><Size>{size}</Size></Contents>")
        return 200, {}, "".join([*text, "</ListBucketResult>"]).encode()


class Call:
    """A request, taken apart."""

    def __init__(self, handler, body):
        self.method = handler.command
        self.raw_path = handler.path
        self.headers = {k.lower(): v for k, v in handler.headers.items()}
        self.body = body
        parts = urlsplit(handler.path)
        self.path = parts.path
        self.pairs = parse_qsl(parts.query, keep_blank_values=True)
        self.query = dict(self.pairs)
        host = self.headers.get("host", "").rsplit(":", 1)[0]
        names = unquote(parts.path).lstrip("/")
        if host.endswith(".localhost"):
            self.bucket, self.key = host.removesuffix(".localhost"), names
        else:
            self.bucket, _, self.key = names.partition("/")
        self.subject = self.key or self.query.get("prefix", "")

    def check_signature(self):
        match = re.fullmatch(
            r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8}/([\w-]+)/s3/aws4_request), "
            r"SignedHeaders=([\w;-]+), Signature=([0-9a-f]{64})",
            self.headers.get("authorization", ""),
        )
        if not match:
            raise Refused(403, "AccessDenied", "No signature, or one of another form")
        key, scope, region, signed = match[1], match[2], match[3], match[4].split(";")
        if key not in SECRETS:
            raise Refused(403, "InvalidAccessKeyId", "The access key does not exist")
        secret, token = SECRETS[key]
        home = "eu-west-9" if self.bucket in ("elsewhere", "malformed") else "us-east-1"
        hint = {"x-amz-bucket-region": home}
        if region != home and self.bucket == "malformed":
            more = f"<Region>{home}</Region>"
            raise Refused(400, "AuthorizationHeaderMalformed", "wrong region", more=more)
        if region != home:
            raise Refused(301, "PermanentRedirect", "wrong region", hint)
        must = {"host", "x-amz-date", "x-amz-content-sha256"}
        must |= {name for name in self.headers if name.startswith("x-amz-")}
        if not must <= set(signed):
            raise Refused(403, "AccessDenied", f"not signed: {sorted(must - set(signed))}")
        if not set(signed) <= set(self.headers):
            unsent = sorted(set(signed) - set(self.headers))
            raise Refused(403, "AccessDenied", f"signed, but not sent: {unsent}")
        if self.headers.get("x-amz-security-token") != token:
            raise Refused(403, "InvalidToken", "The token is not the right one")
        stamp = self.headers["x-amz-date"]
        at = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc).timestamp()
        if abs(at - time.time()) > 900:
            raise Refused(403, "RequestTimeTooSkewed")
        payload = self.headers["x-amz-content-sha256"]
        request = (self.method, self.path, self.pairs, self.headers)
        wanted = sign(secret, request, signed, stamp, scope, payload)
        if not hmac.compare_digest(wanted, match[5]):
            raise Refused(403, "SignatureDoesNotMatch", "The signature does not match")
        if key == "ASIAOLD":
            raise Refused(400, "ExpiredToken", "The provided token has expired.")
        if hashlib.sha256(self.body).hexdigest() != payload:
            raise Refused(400, "XAmzContentSHA256Mismatch", "The body is not what was signed")


class Faults:
    """Which fault a call meets; each is used up after its count."""

    def __init__(self):
        self.lock = threading.Lock()
        self.met = {}

    def of(self, call):
        spec = call.subject.split("/")[0]
        rest = unquote(call.raw_path).replace(spec, "")
        for item in spec.split(","):
            words = item.split(":")
            if len(words) < 3 or words[0] != call.method.lower():
                continue
            if len(words) > 3 and words[3] not in rest:
                continue
            with self.lock:
                at = (call.bucket, spec, item)
                self.met[at] = self.met.get(at, 0) + 1
                if self.met[at] <= int(words[2]):
                    return words[1]
        return None


class Chaos:
    """A fault now and then; by a seed, so that a run can be repeated as far as its order can."""

    KINDS = {
        "GET": ["500", "503", "cut", "slow"],
        "PUT": ["500", "503", "cut", "lost", "twice", "late", "flip"],
        "POST": ["500", "503", "lost"],
        "DELETE": ["500", "lost", "twice"],
    }

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.lock = threading.Lock()

    def of(self, call):
        with self.lock:
            if self.random.random() < 0.8:
                return None
            return self.random.choice(self.KINDS.get(call.method, ["500"]))


class Upstream:
    """Passes a call on, signature and all."""

    def __init__(self, address):
        self.address = address

    def do(self, call):
        connection = http.client.HTTPConnection(self.address, timeout=30)
        headers = {k: v for k, v in call.headers.items() if k != "connection"}
        connection.putrequest(call.method, call.raw_path, skip_host=True, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders(call.body or None)
        answer = connection.getresponse()
        body = answer.read()
        kept = {
            k: v for k, v in answer.getheaders()
            if k.lower() not in ("content-length", "transfer-encoding", "connection", "date")
        }
        connection.close()
        return answer.status, kept, body


class Cut(Exception):
    pass


NAMES = {"500": "InternalError", "502": "BadGateway", "503": "SlowDown", "429": "TooManyRequests",
         "501": "NotImplemented", "507": "InsufficientStorage"}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *words):
        pass

    def handle_one(self):
        fault = None
        try:
            length = int(self.headers.get("content-length") or 0)
            call = Call(self, b"")
            if call.path.startswith("/_"):
                return self.admin(call)
            self.server.count(call)
            fault = self.server.faults.of(call)
            if fault == "cut" and self.command != "GET":
                self.rfile.read(length // 2)
                raise Cut
            body = self.rfile.read(length)
            self.server.release(call)
            if fault == "flip" and body:
                body = bytes([body[0] ^ 1]) + body[1:]
            call.body = body
            code, headers, answer = self.answer(call, fault)
        except Refused as e:
            code, headers = e.code, {**e.headers, "Content-Type": "application/xml"}
            answer = (
                f"<?xml version='1.0'?><Error><Code>{e.name}</Code><Message>{escape(e.message)}"
                f"</Message>{e.more}<Resource>x</Resource></Error>"
            ).encode()
        self.send(code, headers, answer, fault)

    def answer(self, call, fault):
        if fault in NAMES:
            raise Refused(int(fault), NAMES[fault], "a fault of the test")
        if fault == "denied":
            raise Refused(403, "AccessDenied", "Access Denied")
        if fault == "wordless":
            return 400, {}, b""
        if fault == "skew":
            raise Refused(403, "RequestTimeTooSkewed", "The clocks differ")
        if fault == "redirect":
            there = {"Location": "http://there.invalid/"}
            raise Refused(307, "TemporaryRedirect", "Go there", there)
        if fault == "stall":
            time.sleep(20)
            raise Cut
        if fault == "late":
            self.server.hold(call, self.do)
            raise Cut
        result = self.do(call)
        if fault == "twice":
            result = self.do(call)
        if fault == "lost":
            raise Cut
        code, headers, answer = result
        if fault == "flip" and answer:
            answer = answer[:-1] + bytes([answer[-1] ^ 1])
        if fault == "short" or fault == "badxml":
            answer = answer[: len(answer) // 2]
        if fault == "endless":
            more = b"<NextContinuationToken>x</NextContinuationToken><IsTruncated>true"
            answer = answer.replace(b"<IsTruncated>false", more)
        if fault == "range":
            headers = {**headers, "Content-Range": "bytes 7-9/10"}
        if fault == "whole":
            code, headers = 200, {}
        if fault == "notag":
            headers = {}
        if fault == "error200":
            answer = b"<Error><Code>InternalError</Code><Message>late</Message></Error>"
        return code, headers, answer

    def do(self, call):
        if not self.server.is_proxy:
            call.check_signature()
        return self.server.store.do(call)

    def send(self, code, headers, answer, fault):
        self.send_response_only(code)
        self.send_header("Date", formatdate(usegmt=True))
        for name, value in headers.items():
            self.send_header(name, value)
        if code != 204:
            self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        if self.command == "HEAD" or code == 204:
            return
        if fault == "cut":
            self.wfile.write(answer[: len(answer) // 2])
            raise Cut
        if fault == "slow":
            step = max(1, len(answer) // 8)
            for at in range(0, len(answer), step):
                self.wfile.write(answer[at : at + step])
                self.wfile.flush()
                time.sleep(0.05)
            return
        self.wfile.write(answer)

    def admin(self, call):
        """/_count/TEXT: requests that had TEXT in their path; /_uploads: those that are open."""
        if call.path.startswith("/_count/"):
            text = unquote(call.path[len("/_count/") :])
            with self.server.lock:
                answer = sum(text in line for line in self.server.seen)
        else:
            uploads = list(self.server.store.uploads.values())
            if call.path != "/_all-uploads":
                uploads = [upload for upload in uploads if upload[0] != "old-upload"]
            answer = len(uploads)
        self.send(200, {}, json.dumps(answer).encode(), None)

    def guarded(self):
        try:
            self.handle_one()
        except (Cut, OSError, http.client.HTTPException):
            self.close_connection = True
            try:
                self.connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = guarded


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, store, faults, is_proxy):
        super().__init__(("127.0.0.1", 0), Handler)
        self.store, self.faults, self.is_proxy = store, faults, is_proxy
        self.lock = threading.Lock()
        self.seen = []
        self.held = {}

    def count(self, call):
        with self.lock:
            self.seen.append(f"{call.method} {call.headers.get('host')} {unquote(call.raw_path)}")

    def hold(self, call, do):
        with self.lock:
            self.held[call.bucket, call.key] = (call, do)

    def release(self, call):
        """Does what was held back for the key of this call, in a thread: either may come first."""
        with self.lock:
            held = self.held.pop((call.bucket, call.key), None)
        if held:
            def late():
                try:
                    held[1](held[0])
                except (Refused, OSError, http.client.HTTPException):
                    pass
            threading.Thread(target=late, daemon=True).start()

    def handle_error(self, request, address):
        if not isinstance(sys.exc_info()[1], (OSError, ssl.SSLError)):
            super().handle_error(request, address)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tls", nargs=2)
    parser.add_argument("--upstream")
    parser.add_argument("--chaos", type=int)
    arguments = parser.parse_args()
    store = Upstream(arguments.upstream) if arguments.upstream else Store()
    faults = Chaos(arguments.chaos) if arguments.chaos is not None else Faults()
    server = Server(store, faults, bool(arguments.upstream))
    if arguments.tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*arguments.tls)
        wrap = {"server_side": True, "do_handshake_on_connect": False}
        server.socket = context.wrap_socket(server.socket, **wrap)
    print(server.server_port, flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()  # until who started it ends


if __name__ == "__main__":
    main()
