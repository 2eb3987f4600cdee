"""Drives agentd with the public library jsonrpcclient, over lines and over HTTP.

usage: public_client.py PORT TOKEN-FILE
"""

import itertools
import json
import socket
import sys
import urllib.request

from jsonrpcclient import Error, Ok, parse, request

TIMEOUT_SECONDS = 30
IDS = itertools.count(1)


class Lines:
    """One JSON text a line, over TCP."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_SECONDS)
        self.file = self.socket.makefile("rwb")

    def send(self, message):
        self.file.write(json.dumps(message).encode() + b"\n")
        self.file.flush()

    def receive(self):
        return json.loads(self.file.readline())

    def call(self, name, /, **params):
        self.send(request(name, params=params or None, id=next(IDS)))
        return parse(self.receive())


class Http:
    """One request, one reply, each with the token."""

    def __init__(self, port, token):
        self.url = f"http://127.0.0.1:{port}/rpc"
        self.headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def call(self, name, /, **params):
        body = json.dumps(request(name, params=params or None, id=next(IDS))).encode()
        message = urllib.request.Request(self.url, data=body, headers=self.headers)
        with urllib.request.urlopen(message, timeout=TIMEOUT_SECONDS) as reply:
            return parse(json.loads(reply.read()))


def ok(outcome):
    assert isinstance(outcome, Ok), outcome
    return outcome.result


def refused(outcome, code):
    assert isinstance(outcome, Error) and outcome.code == code, (outcome, code)
    return outcome.data


def every_method(client):
    """Calls each method once, with parameters that make it succeed."""
    ok(client.call("system.describe"))
    assert len(ok(client.call("system.info"))["cpus"]) == 2
    assert ok(client.call("system.time"))["mono_ns"] > 0
    assert ok(client.call("rpc.discover"))["openrpc"].startswith("1.3")

    ok(client.call("fs.write", path="/py.txt", data="from python\n"))
    assert ok(client.call("fs.read", path="/py.txt", encoding="utf8"))["data"] == "from python\n"
    assert ok(client.call("fs.stat", path="/py.txt"))["size"] == 12
    assert any(entry["name"] == "py.txt" for entry in ok(client.call("fs.list", path="/"))["entries"])

    ok(client.call("fs.write", path="/loop.peb", data="while True:\n    pass\n"))
    pid = ok(client.call("process.spawn", argv=["/loop.peb"]))["pid"]
    assert any(process["pid"] == pid for process in ok(client.call("process.list"))["processes"])
    assert ok(client.call("process.info", pid=pid))["pid"] == pid
    assert ok(client.call("process.limits", pid=pid))["limits"]
    ok(client.call("process.kill", pid=pid, signal="KILL"))
    assert "signal" in ok(client.call("process.wait", pid=pid))["exit"]

    assert any(service["name"] == "logd" for service in ok(client.call("service.list"))["services"])
    ok(client.call("service.status", name="logd"))
    ok(client.call("service.restart", name="logd"))
    ok(client.call("service.stop", name="logd"))
    ok(client.call("service.start", name="logd"))
    assert ok(client.call("log.read"))["records"]

    assert ok(client.call("pebble.eval", source="1 + 1"))["value"] == 2
    assert ok(client.call("shell.run", cmd="echo hi | cat", output="text"))["stdout"] == "hi\n"

    services = ok(client.call("ipc.services"))["services"]
    for service in services:
        assert ok(client.call("ipc.schema", service=service["name"]))["methods"]
    assert "result" in ok(client.call("ipc.call", service="logd", method="stats", args={}))
    ok(client.call("fault.kill", service="logd"))


def every_refusal(client):
    """Provokes errors that any client can make."""
    refused(client.call("no.such.method"), -32601)
    assert refused(client.call("process.info", pid="x"), -32602)["path"] == "/pid"
    refused(client.call("process.info", pid=999999), -31003)
    refused(client.call("pebble.eval", source="1 / 0"), -31014)
    refused(client.call("ipc.call", service="logd", method="write", args={"level": 9}), -31015)


def main():
    port, token_file = int(sys.argv[1]), sys.argv[2]
    with open(token_file, encoding="utf-8") as file:
        token = file.read().strip()

    lines = Lines(port)
    refused(lines.call("system.info"), -31001)
    refused(lines.call("auth.login", token=token[:-1] + ("0" if token[-1] != "0" else "1")), -31001)
    ok(lines.call("auth.login", token=token, client="jsonrpcclient"))
    assert ok(lines.call("auth.whoami"))["scopes"]

    for client in (lines, Http(port, token)):
        every_method(client)
        every_refusal(client)
    print("every method and refusal over lines and HTTP")


if __name__ == "__main__":
    main()
