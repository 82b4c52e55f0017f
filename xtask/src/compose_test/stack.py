"""The running stack: what Docker, HAProxy and Prometheus say of it."""

import csv
import io
import json
import os
import subprocess
import time
import urllib.parse
import urllib.request

PROJECT = os.environ["COMPOSE_TEST_PROJECT"]
COMPOSE = json.loads(os.environ["COMPOSE_TEST_COMMAND"])
HOST = "127.0.0.1"
# Replicas by service; HAProxy answers for itself.
REPLICAS = {"imap": 3, "pop3": 1, "delivery": 1, "storage": 1, "auth": 1}
# As published: see ports() in xtask/src/compose_test/stack.rs.
PORTS = {name: int(port) for name, port in json.loads(os.environ["COMPOSE_TEST_PORTS"]).items()}


class Failed(Exception):
    """Something is not as it should be."""


def check(right, what):
    if not right:
        raise Failed(what)


def wait(what, seconds, ready):
    """Returns what `ready` returns once that is true, and fails after so many seconds."""
    deadline = time.monotonic() + seconds
    while True:
        answer = ready()
        if answer:
            return answer
        check(time.monotonic() < deadline, f"{what}: not after {seconds} s")
        time.sleep(0.2)


def run(*command, text=None):
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=120)
    check(done.returncode == 0, f"{' '.join(command)}: {done.stdout}{done.stderr}")
    return done.stdout


def compose(*args, text=None):
    return run(*COMPOSE, *args, text=text)


def docker(*args):
    return run("docker", *args)


def containers(service):
    """Running containers of a service: name by name, with address, health and when they were started."""
    filters = [f"label=com.docker.compose.project={PROJECT}", f"label=com.docker.compose.service={service}"]
    names = docker("ps", "-q", *(arg for text in filters for arg in ("--filter", text))).split()
    found = json.loads(docker("inspect", *names)) if names else []
    return sorted(found, key=lambda container: container["Name"])


def address(container, network="internal"):
    return container["NetworkSettings"]["Networks"][f"{PROJECT}_{network}"]["IPAddress"]


def is_healthy(service):
    states = [one["State"].get("Health", {}).get("Status") for one in containers(service)]
    return len(states) == REPLICAS[service] and all(state == "healthy" for state in states)


def get(url):
    with urllib.request.urlopen(url, timeout=5) as answer:
        return answer.read().decode()


def metrics(container):
    """The /metrics page of one replica."""
    return get(f"http://{address(container)}:8080/metrics")


def sum_of(page, metric, **labels):
    """The sum of a metric's series that have these labels."""
    total = 0.0
    for line in page.splitlines():
        series, _, value = line.rpartition(" ")
        if series.split("{")[0] == metric and all(f'{k}="{v}"' in series for k, v in labels.items()):
            total += float(value)
    return total


def balancer_servers(backend):
    """How many servers of a backend HAProxy sends sessions to."""
    page = get(f"http://{HOST}:{PORTS['haproxy_stats']}/;csv")
    rows = csv.DictReader(io.StringIO(page.lstrip("# ")))
    return sum(row["pxname"] == backend and row["svname"] != "BACKEND" and row["status"].startswith("UP") for row in rows)


def balancer_is_ready():
    expected = {"imap": 3, "imaps": 3, "pop3": 1, "pop3s": 1, "smtp": 1, "lmtp": 1}
    return all(balancer_servers(backend) == count for backend, count in expected.items())


def prometheus(path, **query):
    url = f"http://{HOST}:{PORTS['prometheus']}/api/v1/{path}"
    return json.loads(get(f"{url}?{urllib.parse.urlencode(query)}" if query else url))["data"]
