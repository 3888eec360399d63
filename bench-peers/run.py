#!/usr/bin/env python3
"""CPU per request of the Caponier gateway against HAProxy, in one interleaved run on loopback.

HAProxy counts requests per key and per source in two stick tables and authenticates nobody. Caponier looks the
key up among 100,000, verifies timestamp, signature and passphrase, and applies its limits. Both forward to the
same nginx. The figure that counts is user plus system time of the proxy's process, from /proc/PID/stat, divided
by the requests that wrk completed; throughput and latency depend on whatever else the machine does.

If nginx has its Lua module, a third rival joins: nginx verifying the same signatures (`okx_auth.lua`) with a rate
limit per key, but no timestamp, replay or permission check.

Everything listens on 127.0.0.1 on free ports, keeps its files in a temporary folder, and is ended by its own
process id. Nothing is read or written outside that folder.
"""

import argparse
import contextlib
import json
import os
import pathlib
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
START_SECONDS_MAX = 120
KEYS_LOADED = 100_000
KEYS_USED = 2_000
NGINX_LUA_MODULE = pathlib.Path("/usr/lib/nginx/modules/ngx_http_lua_module.so")


def program(name):
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    if not found:
        sys.exit(f"{name} is not installed")
    return found


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port, process, name):
    deadline = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < deadline:
        if process.poll() is not None:
            sys.exit(f"{name} ended with {process.returncode} before it listened")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    sys.exit(f"{name} does not listen after {START_SECONDS_MAX} s")


def cpu_seconds(pid):
    """User and system seconds of a process since its start."""
    # The fields after the last ')' start with the state; utime and stime are the 12th and 13th of them.
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[11]) / TICKS_PER_SECOND, int(fields[12]) / TICKS_PER_SECOND


def rss_kb(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return 0


def fill(template, folder, values):
    text = (HERE / template).read_text()
    for name, value in values.items():
        text = text.replace(f"@{name}@", str(value))
    path = folder / template.removesuffix(".in")
    path.write_text(text)
    return path


class Run:
    """The processes of one run and the way to load one target."""

    def __init__(self, folder, binaries, connections):
        self.folder = folder
        self.binaries = binaries
        self.connections = connections
        self.processes = {}

    def start(self, name, command, port):
        log = open(self.folder / f"{name}.log", "wb")
        process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        self.processes[name] = process
        try:
            wait_for(port, process, name)
        except SystemExit:
            sys.stderr.write((self.folder / f"{name}.log").read_text(errors="replace")[-2000:])
            raise

    def stop(self):
        for process in reversed(self.processes.values()):
            process.terminate()
        for process in self.processes.values():
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def signed_requests(self, good):
        """Signed now: a timestamp is good for thirty seconds, a round lasts a few."""
        path = self.folder / ("good.tsv" if good else "bad.tsv")
        command = [self.binaries / "presign", "--keys", str(KEYS_USED), "--out", path]
        subprocess.run(command if good else [*command, "--bad"], check=True)
        return path

    def load(self, port, requests, seconds):
        command = [
            program("wrk"), "-t1", f"-c{self.connections}", f"-d{seconds}s", "-s", HERE / "load.lua",
            f"http://127.0.0.1:{port}", "--", requests,
        ]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        return json.loads(next(line for line in output.splitlines() if line.startswith("@"))[1:])

    def measure(self, target, seconds):
        requests = self.signed_requests(target.good)
        pid = self.processes[target.process].pid
        before = cpu_seconds(pid)
        result = self.load(target.port, requests, seconds)
        user, system = (after - at for after, at in zip(cpu_seconds(pid), before))
        n = result["requests"]
        expected_refused = n if target.refused else 0
        if n == 0 or result["broken"] or result["refused"] != expected_refused:
            sys.exit(f"{target.name}: {n} requests, {result['refused']} refused, {result['broken']} broken")
        return {
            "cpu_us": (user + system) / n * 1e6,
            "user_us": user / n * 1e6,
            "rps": n / result["microseconds"] * 1e6,
            "p50_us": result["p50_us"],
            "p99_us": result["p99_us"],
        }


class Target:
    """One thing under load: which process pays, on which port, and whether it must refuse everything."""

    def __init__(self, name, process, port, refused=False, good=True):
        self.name, self.process, self.port, self.refused, self.good = name, process, port, refused, good
        self.rounds = []


def spread(values, digits):
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}-{max(values):.{digits}f})"


def print_table(title, targets, rival):
    print(f"\n{title}")
    print(f"{'target':<34}{'CPU us/request':<22}{'of it user':<12}{'ratio to HAProxy':<22}{'requests/s':<26}{'p50 us':<8}{'p99 us':<8}")
    for target in targets:
        ratios = [a["cpu_us"] / b["cpu_us"] for a, b in zip(target.rounds, rival.rounds)]
        print(
            f"{target.name:<34}{spread([r['cpu_us'] for r in target.rounds], 1):<22}"
            f"{statistics.median(r['user_us'] for r in target.rounds):<12.1f}{spread(ratios, 2):<22}"
            f"{spread([r['rps'] for r in target.rounds], 0):<26}"
            f"{statistics.median(r['p50_us'] for r in target.rounds):<8.0f}"
            f"{statistics.median(r['p99_us'] for r in target.rounds):<8.0f}"
        )


def version(command):
    output = subprocess.run(command, capture_output=True, text=True, check=False)
    return (output.stdout + output.stderr).strip().splitlines()[0]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binaries", type=pathlib.Path, required=True, help="folder of gateway-server and presign")
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds (default 5, at least 3)")
    parser.add_argument("--seconds", type=int, default=4, help="seconds of load per target and round (default 4, at most 20)")
    parser.add_argument("--connections", type=int, default=64, help="keep-alive connections (default 64)")
    args = parser.parse_args()
    if args.rounds < 3 or not 1 <= args.seconds <= 20:
        parser.error("at least 3 rounds of 1 to 20 seconds")

    names = ("UPSTREAM", "HAPROXY", "HAPROXY_REFUSE", "NGINX_LUA", "CAPONIER")
    ports = {name: free_port() for name in names}
    with_lua = NGINX_LUA_MODULE.exists()
    with tempfile.TemporaryDirectory(prefix="bench-peers-") as name:
        folder = pathlib.Path(name)
        # nginx drops its rights for the worker, which must still reach its folders.
        folder.chmod(0o755)
        nginx = fill("nginx.conf.in", folder, {**ports, "DIR": folder})
        haproxy = fill("haproxy.cfg.in", folder, ports)
        run = Run(folder, args.binaries.resolve(), args.connections)
        try:
            run.start("nginx", [program("nginx"), "-p", folder, "-c", nginx, "-g", "daemon off;"], ports["UPSTREAM"])
            run.start("haproxy", [program("haproxy"), "-db", "-f", haproxy], ports["HAPROXY"])
            if with_lua:
                start_nginx_lua(run, folder, ports)
            run.start(
                "caponier",
                [
                    run.binaries / "gateway-server", "--listen", f"127.0.0.1:{ports['CAPONIER']}",
                    "--upstream", f"127.0.0.1:{ports['UPSTREAM']}", "--keys", str(KEYS_LOADED), "--threads", "1",
                ],
                ports["CAPONIER"],
            )
            bench(run, ports, with_lua, args)
        finally:
            run.stop()


def start_nginx_lua(run, folder, ports):
    keys = folder / "keys.tsv"
    subprocess.run([run.binaries / "presign", "--keys", str(KEYS_LOADED), "--table", keys], check=True)
    config = fill("nginx-lua.conf.in", folder, {**ports, "DIR": folder, "HERE": HERE, "KEYS": keys})
    command = [program("nginx"), "-p", folder, "-c", config, "-g", "daemon off; master_process off;"]
    # Without a master the process is the worker, and its CPU time is the one that counts.
    run.start("nginx-lua", command, ports["NGINX_LUA"])


def bench(run, ports, with_lua, args):
    forward = [
        Target("HAProxy, 2 stick tables, no auth", "haproxy", ports["HAPROXY"]),
        Target("Caponier, auth and limits", "caponier", ports["CAPONIER"]),
    ]
    refuse = [
        Target("HAProxy, deny 429", "haproxy", ports["HAPROXY_REFUSE"], refused=True),
        Target("Caponier, bad signature 401", "caponier", ports["CAPONIER"], refused=True, good=False),
    ]
    if with_lua:
        lua = "nginx-lua", ports["NGINX_LUA"]
        forward.append(Target("nginx + Lua, HMAC and limit_req", *lua))
        refuse.append(Target("nginx + Lua, bad signature 401", *lua, refused=True, good=False))
    print(version([program("haproxy"), "-v"]))
    print(version([program("nginx"), "-v"]))
    print(version([program("wrk"), "-v"]))
    cpu = next((l for l in pathlib.Path("/proc/cpuinfo").read_text().splitlines() if "model name" in l), "unknown")
    print(f"{os.cpu_count()} processors,{cpu.partition(':')[2]}")
    print(f"load average before: {' '.join(pathlib.Path('/proc/loadavg').read_text().split()[:3])}")
    print(f"{KEYS_LOADED} keys loaded, {KEYS_USED} used; wrk -t1 -c{args.connections} -d{args.seconds}s; {args.rounds} rounds")
    for target in forward + refuse:
        run.measure(target, 1)
    for index in range(args.rounds):
        # Turning the order each round keeps a drift of the machine from favouring one target.
        order = forward + refuse
        for target in order if index % 2 == 0 else reversed(order):
            target.rounds.append(run.measure(target, args.seconds))
        print(".", end="", flush=True)
    print(f"\nload average after: {' '.join(pathlib.Path('/proc/loadavg').read_text().split()[:3])}")
    print_table("Forwarded: median (min-max) over rounds", forward, forward[0])
    print_table("Refused: median (min-max) over rounds", refuse, refuse[0])
    for name in ("haproxy", "caponier", *(["nginx-lua"] if with_lua else [])):
        print(f"memory of {name}: {rss_kb(run.processes[name].pid)} KB resident")


if __name__ == "__main__":
    main()
