#!/usr/bin/env python3
"""The nightly container: whole nights with the real image, the real daemon and real compose files."""

import datetime
import os
import time
import zoneinfo

from harness import (
    HERE, KEY, PATIENCE, Packages, Server, Suite, away, docker, environment, expect, inside, inspect, log_lines, run, wait_for,
)

SOCKET = ["--volume", "/var/run/docker.sock:/var/run/docker.sock"]
GROUP = str(os.stat("/var/run/docker.sock").st_gid)
# A night on a busy machine: an image is made, a package built.
NIGHT = 600


class World:
    """What every night needs."""

    def __init__(self, suite):
        self.suite = suite
        self.packages = Packages(suite)
        self.builder = suite.forget(f"{suite.id}-builder")

    def settings(self, server, **more):
        common = {"VIETER_ADDRESS": server.url, "VIETER_API_KEY": KEY, "VIETER_IMAGE_NAME": self.builder}
        return [*environment(**(common | more)), *SOCKET, "--group-add", GROUP]

    def cron(self, name, server, *options, **more):
        return self.suite.container(name, *self.settings(server, **more), *options, command=["cron"])

    def build_containers(self):
        rows = docker("ps", "--all", "--format", "{{.Image}} {{.Label \"dev.vieter.run\"}} {{.ID}}").splitlines()
        made = docker("images", "--quiet", "--no-trunc", self.builder).splitlines()
        return [row for row in rows if row.startswith(self.builder) or row.split()[0] in {i.removeprefix("sha256:")[:12] for i in made}]


def ended(container, times=1):
    """The exit statuses of the runs that have ended, once there are so many."""
    def statuses():
        lines = log_lines(logs(container))
        found = [line.get("exit_status", line.get("fields", {}).get("exit_status")) for line in lines if "the run has ended" in str(line)]
        return found if len(found) >= times else None
    return wait_for(f"{times} runs of {container}", NIGHT, statuses)


def logs(container):
    result = run("docker", "logs", container)
    return result.stdout + result.stderr


def health(container):
    result = run("docker", "exec", container, "vieter", "healthcheck", check=False)
    return result.returncode, result.stdout.strip()


def compose(suite, world, name, file):
    """What people have who ran the first Vieter; only the image's name is another."""
    server = Server(suite, world.packages.add(f"hello-{name}"), generation="0.2")
    zone = zoneinfo.ZoneInfo("Europe/Brussels")
    # The whole minute before that is the start: it leaves compose more than a minute.
    start = datetime.datetime.now(zone) + datetime.timedelta(seconds=135)
    # What these files do not say: tests cannot wait until three in the morning, and share a daemon.
    more = suite.work / f"{name}.yaml"
    more.write_text(
        'version: "3"\nservices:\n  cron:\n    environment:\n'
        f'      VIETER_SCHEDULE: "{start.minute} {start.hour} * * *"\n      VIETER_TIMEZONE: Europe/Brussels\n'
        f"      VIETER_IMAGE_NAME: {world.builder}\n"
    )
    project = f"{suite.id}-{name}"
    command = ["docker-compose", "--project-name", project, "--file", HERE / "compose" / file, "--file", more]
    variables = os.environ | {"IMAGE": suite.image, "KEY": KEY, "ADDRESS": server.url, "DOCKER_GID": GROUP}
    suite.undo(lambda: run(*command, "down", "--volumes", env=variables))
    run(*command, "up", "--detach", env=variables)
    container = run(*command, "ps", "--quiet", env=variables).stdout.strip()

    def later():
        status = ended(container)
        expect(status == [0], logs(container))
        expect(server.has(f"hello-{name}"), logs(container))
        text = logs(container)
        lines = log_lines(text)
        expect(len(lines) == len(text.splitlines()), "not every line is JSON:\n" + text[:2000])
        code, said = wait_for("the next plan", PATIENCE, lambda: "next run is at" in health(container)[1] and health(container))
        expect(code == 0 and "with status 0" in said, said)
        expect(any(start.strftime("%Y-%m-%dT%H:%M:00+") in str(line) for line in lines), text[:1000])
        run(*command, "stop", env=variables)
        expect(inspect(container, ".State.ExitCode") == 143, logs(container)[-1000:])
    return later


def a_quiet_scheduler(suite, world, server):
    with suite.check("the time zone of TZ holds, and the default is three in the morning"):
        name = world.cron("zone", server, TZ="Europe/Brussels")
        plan = wait_for("the plan", PATIENCE, lambda: "next run starts" in logs(name) and logs(name))
        expect("T03:00:00+0" in plan and "[Europe/Brussels]" in plan, plan)
    with suite.check("it is two processes, tini and the scheduler"):
        # The health check comes and goes.
        names = [row[2] for row in inside(name) if not row[2].startswith("vieter healthcheck")]
        expect(len([n for n in names if "vieter" in n]) == 2 and names[0].startswith("tini"), names)
    with suite.check("a scheduler that waits stops at once, with 143"):
        start = time.monotonic()
        docker("stop", "-t", "30", name)
        expect(time.monotonic() - start < 25, f"{time.monotonic() - start} s")
        expect(inspect(name, ".State.ExitCode") == 143, inspect(name, ".State"))
    for setting, value in {"VIETER_SCHEDULE": "at three", "VIETER_TIMEZONE": "Europe/Brussel", "VIETER_JITTER": "much"}.items():
        with suite.check(f"{setting}={value} is refused with 64"):
            result = run("docker", "run", "--rm", *world.settings(server, **{setting: value}), suite.image, "cron", check=False)
            expect(result.returncode == 64 and setting in result.stderr, result)
    with suite.check("no place for the status file: it says which setting helps"):
        result = run("docker", "run", "--rm", "--read-only", *world.settings(server), suite.image, "cron", check=False)
        expect(result.returncode != 0 and "VIETER_STATUS_FILE" in result.stderr, result)


def a_silent_scheduler(suite, world, server):
    """Stops the process as a bug or a suspended machine would; judged at the end, for it takes two minutes."""
    name = world.cron("silent", server, "--health-interval", "1s", "--health-retries", "1")
    wait_for("a healthy container", PATIENCE, lambda: inspect(name, ".State.Health.Status") == "healthy")
    # Not the health check's.
    pid = next(row[0] for row in inside(name) if row[2].startswith("vieter cron"))
    docker("exec", "--user", "0:0", name, "sh", "-c", f"kill -STOP {pid}")

    def later():
        wait_for("an unhealthy container", PATIENCE, lambda: inspect(name, ".State.Health.Status") == "unhealthy")
        expect("silent" in inspect(name, ".State.Health")["Log"][-1]["Output"], inspect(name, ".State.Health"))
        docker("exec", "--user", "0:0", name, "sh", "-c", f"kill -CONT {pid}")
        wait_for("a healthy container again", PATIENCE, lambda: inspect(name, ".State.Health.Status") == "healthy")
    return later


def nights(suite, world):
    """Two nights in one container, a minute apart."""
    good, bad = world.packages.add("good"), world.packages.add("bad", body="build() {\n  echo 'this one fails' >&2\n  false\n}")
    server = Server(suite, good, bad)
    name = world.cron("nights", server, VIETER_RUN_AT_START="true", VIETER_SCHEDULE="* * * * *")
    with suite.check("a run at start: one package published, one failed, status 1"):
        expect(ended(name)[0] == 1, logs(name))
        expect(server.has("good") and not server.has("bad"), logs(name))
    with suite.check("the health check tells the last status, and a failed package is no illness"):
        code, said = health(name)
        expect(code == 0 and "status 1" in said, said)

    def quiet():
        # Its processes while no run goes on; a health check may.
        rows = inside(name)
        return rows if not any(row[2].startswith("vieter build") for row in rows) else None

    def look():
        rows = quiet()
        if not rows:
            return None
        pid = next(row[0] for row in rows if row[2].startswith("vieter cron"))
        seen = docker("exec", "--user", "0:0", name, "sh", "-c", f"ls /proc/{pid}/fd | wc -l; ls -A /tmp; grep Threads /proc/{pid}/status")
        # No run may have started meanwhile.
        return seen if quiet() else None

    def scheduler():
        return wait_for("a pause between two runs", NIGHT, look)
    with suite.check("nothing is left behind from night to night"):
        count = len(ended(name))
        ended(name, count + 1)
        seen = {scheduler() for _ in range(5)}
        ended(name, count + 2)
        # At a moment when it does nothing it is as it was the night before.
        wait_for(f"one of {seen}", PATIENCE, lambda: scheduler() in seen)
    with suite.check("no zombie is left behind"):
        # A process that ends is one for a moment; one that nobody waits for stays one.
        def no_zombie():
            rows = quiet()
            return rows and not [row for row in rows if row[1] == "Z"]
        wait_for("a pause without zombies", PATIENCE, no_zombie)
    with suite.check("the next night sees a new version"):
        world.packages.add("good", version="2.0")
        wait_for("good 2.0", NIGHT, lambda: server.has("good", "2.0-1"))
    away(name)


def one_at_a_time(suite, world):
    slow = world.packages.add("slow", body='build() {\n  for i in $(seq 80); do echo "slow $i"; sleep 1; done\n}')
    server = Server(suite, slow)
    with suite.check("a run that lasts longer than the schedule's interval has no second one beside it"):
        name = world.cron("slow", server, VIETER_RUN_AT_START="true", VIETER_SCHEDULE="* * * * *")
        most, healths, end = 0, set(), time.monotonic() + NIGHT
        while not any("the run has ended" in str(line) for line in log_lines(logs(name))):
            rows = [row for row in inside(name) if row[2].rstrip().endswith("vieter build")]
            most = max(most, len(rows))
            if rows:
                healths.add((health(name)[0], "going on" in health(name)[1]))
            expect(time.monotonic() < end, logs(name)[-2000:])
            time.sleep(2)
        expect(most == 1, f"{most} at once")
        expect(ended(name)[0] == 0 and server.has("slow"), logs(name)[-3000:])
    with suite.check("while a run goes on the container is healthy and says so"):
        expect((0, True) in healths and all(code == 0 for code, _ in healths), healths)
    away(name)


def stopping(suite, world):
    def started(name):
        return wait_for("the build", NIGHT, lambda: "endless 2" in logs(name))

    endless = world.packages.add("endless", body='build() {\n  for i in $(seq 1000); do echo "endless $i"; sleep 1; done\n}')
    server = Server(suite, endless)
    with suite.check("`docker stop` in the middle of a build: stopped and cleaned up, 143"):
        name = world.cron("stop", server, VIETER_RUN_AT_START="true")
        started(name)
        expect(world.build_containers(), "the test does not see the build container")
        start = time.monotonic()
        docker("stop", "-t", "30", name)
        took = time.monotonic() - start
        expect(inspect(name, ".State.ExitCode") == 143, logs(name)[-2000:])
        expect(not world.build_containers(), world.build_containers())
        print(f"       it took {took:.1f} s")
        expect(took < 25, f"nearly killed: {took:.1f} s")
    with suite.check("a container that is started again begins anew"):
        docker("start", name)
        wait_for("a second run", NIGHT, lambda: logs(name).count("started run") >= 2)
        docker("stop", "-t", "30", name)
        expect(not world.build_containers(), world.build_containers())
    with suite.check("two containers with one lock file: the second ends with 75"):
        volume = docker("volume", "create")
        suite.undo(lambda: docker("volume", "rm", "--force", volume))
        lock = ["--volume", f"{volume}:/cache", *environment(VIETER_LOCK_FILE="/cache/lock")]
        first = suite.container("first", *world.settings(server), *lock, command=["build"])
        started(first)
        second = run("docker", "run", "--rm", *world.settings(server), *lock, suite.image, "build", check=False)
        expect(second.returncode == 75, second.stderr[-2000:])
        docker("stop", "-t", "30", first)
        expect(inspect(first, ".State.ExitCode") == 143, logs(first)[-2000:])


def body(suite):
    world = World(suite)
    idle = Server(suite)
    silent = a_silent_scheduler(suite, world, idle)
    a_quiet_scheduler(suite, world, idle)
    nights(suite, world)
    first = compose(suite, world, "root", "first-vieter.yaml")
    second = compose(suite, world, "user", "first-vieter-user.yaml")
    with suite.check("the first Vieter's compose file, as it is: a whole night"):
        first()
    with suite.check("the same as the image's own user, with the health check: a whole night"):
        second()
    stopping(suite, world)
    one_at_a_time(suite, world)
    with suite.check("a scheduler that hangs is unhealthy, and healthy again when it goes on"):
        silent()


Suite("nightly").main(body)
