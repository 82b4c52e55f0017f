"""What `cargo xtask compose-test` does with the stack once it is up. Every step prints what it saw."""

import json
import pathlib
import re
import socket
import statistics
import sys
import threading
import time

import clients
import stack
from clients import Idle, imap, message_ids, ok, pop3, send
from stack import Failed, check, compose, containers, docker, wait

# Messages that must be in the mailbox, by Message-ID, in no order.
expected = []


def start():
    """All services are healthy and the balancer knows them."""
    for service in stack.REPLICAS:
        wait(f"{service} is healthy", 90, lambda: stack.is_healthy(service))
    wait("the balancer sees every replica", 30, stack.balancer_is_ready)
    print(compose("exec", "-T", "auth", "todoku", "account", "add", clients.ADDRESS, "--password-stdin",
                  text=clients.PASSWORD + "\n").strip())


def deliver_and_read():
    """50 mails through the balancer; read by IMAP and POP3, with STARTTLS and with TLS from the first byte."""
    for connect in (clients.lmtp, clients.smtp):
        with connect() as client:
            expected.extend(send(client, number) for number in range(25))
    mailboxes = {tls: imap(tls) for tls in (False, True)}
    for client in mailboxes.values():
        compare(client)
    by_imap = clients.fetch_all(mailboxes[True])
    for tls in (False, True):
        client = pop3(tls)
        count, octets = client.stat()
        check(count == len(expected), f"POP3 STAT says {count}")
        check(octets == sum(map(len, by_imap)), "POP3 and IMAP count different octets")
        by_pop3 = [b"\r\n".join(client.retr(number + 1)[1]) + b"\r\n" for number in range(count)]
        check(by_pop3 == by_imap, "POP3 and IMAP show different mails")
        client.quit()
    print(f"{len(expected)} mails by LMTP and SMTP, alike over IMAP, IMAPS, POP3 and POP3S")


def compare(client):
    """The mailbox holds each expected mail once."""
    there = message_ids(client)
    missing = set(expected) - set(there)
    check(not missing, f"{len(missing)} mails are lost, such as {min(missing, default=None)}")
    check(len(there) == len(expected), f"{len(there)} mails, {len(set(there))} different, {len(expected)} expected")


def spread():
    """Sessions are spread over the three containers."""
    sessions = [imap() for _ in range(12)]
    counts = [int(stack.sum_of(stack.metrics(one), "todoku_sessions", protocol="imap")) for one in containers("imap")]
    print(f"sessions on the three imap containers: {counts}")
    check(len(counts) == 3 and min(counts) >= 3, "the balancer does not spread sessions")
    for session in sessions:
        session.logout()


def push(limit=2):
    """A delivery reaches sessions that wait on each container within two seconds."""
    waiting = [Idle() for _ in range(6)]
    with clients.lmtp() as client:
        expected.append(send(client, 1))
    accepted = time.monotonic()
    seconds = [one.exists() - accepted for one in waiting]
    for one in waiting:
        one.done()
        one.client.logout()
    print(f"push to 6 waiting sessions: median {statistics.median(seconds):.3f} s, last {max(seconds):.3f} s after the 250")
    check(max(seconds) < limit, f"a push takes longer than {limit} s")


def client_address():
    """What the balancer tells about a client stands in the Received field: this one is a container of its own."""
    script = pathlib.Path(__file__).with_name("smtp-client.sh").read_text()
    out = docker("run", "--rm", "--network", f"{stack.PROJECT}_public", "todoku-test/debian", "bash", "-c", script)
    own, name = out.split()[-2:]
    expected.append(name)
    client = imap()
    compare(client)
    received = ok(client.fetch("*", "(BODY.PEEK[HEADER.FIELDS (RECEIVED)])"))[0][1].decode()
    client.logout()
    print(f"client {own}: {' '.join(received.split())}")
    balancers = [stack.address(one, network) for one in containers("haproxy") for network in ("internal", "public")]
    check(f"[{own}]" in received, "the client's address is not in Received")
    check(not any(f"[{one}]" in received for one in balancers), "the balancer's address is in Received")


def only_through_the_balancer():
    """Who comes from a balancer's network and does not say for whom is not answered."""
    with socket.create_connection((stack.address(containers("imap")[0]), 1143), timeout=10) as connection:
        connection.sendall(b"a NOOP\r\n")
        try:
            answer = connection.recv(100)
        except ConnectionResetError:
            answer = b""
    check(answer == b"", f"a gateway answers without a PROXY header: {answer}")


def lose_a_gateway():
    """An imap container is killed: sessions elsewhere live on, new ones work at once."""
    sessions = [imap() for _ in range(9)]
    victim = containers("imap")[1]
    on_victim = int(stack.sum_of(stack.metrics(victim), "todoku_sessions", protocol="imap"))
    docker("kill", "--signal", "KILL", victim["Id"])
    took = []
    for _ in range(12):
        begun = time.monotonic()
        client = imap()
        took.append(time.monotonic() - begun)
        compare(client)
        client.logout()
    alive = sum(map(is_alive, sessions))
    print(f"{on_victim} of 9 sessions died with their container, {alive} live; 12 new ones, the slowest in {max(took):.2f} s")
    check(alive == 9 - on_victim, "sessions on other containers died as well")
    check(max(took) < 4, "a new session takes too long after a container died")
    docker("start", victim["Id"])
    wait("the container is back", 60, lambda: stack.is_healthy("imap") and stack.balancer_is_ready())


def is_alive(session):
    try:
        return session.noop()[0] == "OK"
    except (OSError, session.abort):
        return False


def without_redis():
    """Redis is a hint: without it nothing fails, and pushes take up to 30 seconds."""
    waiting = [Idle() for _ in range(3)]
    compose("stop", "-t", "2", "redis")
    with clients.lmtp() as client:
        expected.append(send(client, 2))
    accepted = time.monotonic()
    client = imap()
    compare(client)
    print(f"Redis stopped: deliver, log in, read took {time.monotonic() - accepted:.2f} s")
    seconds = [one.exists() - accepted for one in waiting]
    print(f"push without Redis: {', '.join(f'{s:.1f}' for s in seconds)} s")
    check(max(seconds) <= 31, "a push without Redis takes longer than 30 s")
    compose("start", "redis")
    # A mail that comes while the gateways find Redis again may still take the long way; it must not stay behind.
    with clients.lmtp() as client:
        expected.append(send(client, 3))
    back = time.monotonic()
    seconds = [one.exists() - back for one in waiting]
    print(f"push just after Redis came back: last {max(seconds):.1f} s")
    check(max(seconds) <= 31, "a push stays behind after Redis is back")
    for one in waiting:
        one.done()
        one.client.logout()
    wait("pushes are quick again", 30, push_is_quick)


def push_is_quick():
    try:
        push()
        return True
    except Failed:
        return False


def restart_storage():
    """Storage is killed and restarted while mail comes in: what was not accepted is tried again, and is there once."""
    sender = clients.Sender()
    faults = []

    def deliver():
        try:
            for number in range(300):
                expected.append(sender.deliver(number, patience=60))
        except Exception as error:  # told to the main thread
            faults.append(error)

    thread = threading.Thread(target=deliver)
    thread.start()
    time.sleep(0.5)
    docker("kill", "--signal", "KILL", containers("storage")[0]["Id"])
    time.sleep(2)
    compose("start", "storage")
    time.sleep(1)
    compose("restart", "-t", "10", "storage")
    thread.join()
    if faults:
        raise faults[0]
    print(f"300 mails over a killed and restarted storage: {sender.deferred} deferred (4xx), {sender.broken} connections broken")
    wait("storage is healthy", 60, lambda: stack.is_healthy("storage"))
    client = imap()
    compare(client)
    client.logout()
    print(f"{len(expected)} mails accepted, each there once")
    check(sender.deferred > 0, "storage was never away; the step shows nothing")


def monitoring():
    """Prometheus finds every replica, and each expression of the dashboard is about metrics that there are."""
    count = sum(stack.REPLICAS.values()) + 1
    def targets():
        active = stack.prometheus("targets")["activeTargets"]
        return len(active) == count and all(one["health"] == "up" for one in active)
    wait(f"Prometheus has {count} targets up", 60, targets)
    result = stack.prometheus("query", query="sum(todoku_deliveries_total)")["result"]
    delivered = float(result[0]["value"][1]) if result else 0
    print(f"Prometheus: {count} targets up, {delivered:.0f} deliveries counted")
    check(delivered > 0, "todoku_deliveries_total is not counted")
    pages = [stack.metrics(one) for service in stack.REPLICAS for one in containers(service)]
    names = {name for page in pages for name in re.findall(r"^# TYPE (\S+)", page, re.M)}
    dashboards = json.loads(pathlib.Path("deploy/grafana/dashboards/todoku.json").read_text())
    expressions = [one["expr"] for panel in dashboards["panels"] for one in panel.get("targets", [])]
    for expression in expressions:
        for metric in re.findall(r"\btodoku_\w+", expression):
            family = re.sub(r"_(total|bucket|sum|count)$", "", metric)
            check(family in names, f"dashboard: no service has {metric}")
        stack.prometheus("query", query=expression.replace("$__rate_interval", "1m"))
    print(f"dashboard: {len(expressions)} expressions are valid, on {len(names)} families of metrics")


STEPS = [
    start,
    deliver_and_read,
    spread,
    push,
    client_address,
    only_through_the_balancer,
    lose_a_gateway,
    without_redis,
    restart_storage,
    monitoring,
]


def main():
    for step in STEPS:
        begun = time.monotonic()
        print(f"{step.__name__}: {step.__doc__.splitlines()[0]}")
        try:
            step()
        except Exception as error:
            print(f"FAILED: {type(error).__name__}: {error}", flush=True)
            if not isinstance(error, Failed):
                raise
            return 1
        print(f"    {time.monotonic() - begun:.1f} s", flush=True)
    return 0


try:
    sys.exit(main())
except KeyboardInterrupt:
    sys.exit(130)
