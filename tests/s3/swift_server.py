#!/usr/bin/env python3
"""OpenStack Swift with its S3 layer, whole, in one process: a real server for the tests of S3.

    swift_server.py DIRECTORY

Proxy, account, container and object server of Debian's python3-swift, with one device in DIRECTORY.
Prints the port, then serves until its standard input ends. Access key test:tester, secret testing.

Swift creates objects under a condition, but its S3 layer refuses to ask it to ("Conditional object
PUTs are not supported"). That one check is lifted here, so that Swift's own answer counts; buckets
whose names begin with "plain" keep it.
"""
import logging
import os
import sys

import eventlet

eventlet.monkey_patch()

from eventlet import wsgi  # noqa: E402
from swift.account.server import AccountController  # noqa: E402
from swift.common import utils  # noqa: E402
from swift.common.middleware.s3api.s3request import S3Request  # noqa: E402
from swift.common.ring import RingBuilder  # noqa: E402
from swift.common.wsgi import SwiftHttpProtocol, loadapp  # noqa: E402
from swift.container.server import ContainerController  # noqa: E402
from swift.obj.server import ObjectController  # noqa: E402

PROXY = """
[DEFAULT]
swift_dir = {root}
log_level = CRITICAL
[pipeline:main]
pipeline = catch_errors cache s3api tempauth slo proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:1
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
min_segment_size = 1
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = testing .admin
[filter:slo]
use = egg:swift#slo
"""


def lift_refusal_of_conditions():
    refuse = S3Request._validate_headers

    def validate(self):
        condition = None
        if not self.environ["PATH_INFO"].startswith("/plain"):
            condition = self.environ.pop("HTTP_IF_NONE_MATCH", None)
        refuse(self)
        if condition is not None:
            self.environ["HTTP_IF_NONE_MATCH"] = condition

    S3Request._validate_headers = validate


class Quiet(SwiftHttpProtocol):
    def log_message(self, *words):
        pass


def serve(socket, app):
    silent = logging.getLogger("silent")
    silent.addHandler(logging.NullHandler())
    silent.propagate = False
    wsgi.server(socket, app, silent, protocol=Quiet, log_output=False)


def main():
    root = sys.argv[1]
    os.makedirs(os.path.join(root, "devices", "d"))
    utils.HASH_PATH_SUFFIX = b"kist"
    lift_refusal_of_conditions()
    servers = {
        "account": AccountController,
        "container": ContainerController,
        "object": ObjectController,
    }
    conf = {
        "swift_dir": root,
        "devices": os.path.join(root, "devices"),
        "mount_check": "false",
        "log_level": "CRITICAL",
        "fallocate_reserve": "0",
        "disable_fallocate": "true",
    }
    for name in servers:
        socket = eventlet.listen(("127.0.0.1", 0))
        builder = RingBuilder(1, 1, 0)
        place = {"ip": "127.0.0.1", "port": socket.getsockname()[1], "device": "d"}
        builder.add_dev({"id": 0, "region": 1, "zone": 1, "weight": 1, **place})
        builder.rebalance(seed="1")
        builder.get_ring().save(os.path.join(root, name + ".ring.gz"))
        eventlet.spawn(serve, socket, servers[name](conf))
    config = os.path.join(root, "proxy.conf")
    with open(config, "w") as out:
        out.write(PROXY.format(root=root))
    app = loadapp(config)
    socket = eventlet.listen(("127.0.0.1", 0))
    print(socket.getsockname()[1], flush=True)
    eventlet.spawn(serve, socket, app)
    eventlet.tpool.execute(sys.stdin.read)  # until who started it ends
    os._exit(0)


if __name__ == "__main__":
    main()
