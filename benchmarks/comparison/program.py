"""Runs actable-bench and keeps what it measured."""

import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile


class Failed(Exception):
    """A run could not be made; the message is for the person at the terminal."""


class Runs:
    """Results of one or several runs of the program."""

    def __init__(self, results):
        self.results = results

    def values(self, field, benchmark, engine="actable"):
        """What the runs of a benchmark on an engine measured, nothing where it was not."""
        found = [run[field] for run in self.results if run["benchmark"] == benchmark and run["engine"] == engine]
        return [value for value in found if value is not None]

    def median(self, field, benchmark, engine="actable"):
        """None where nothing was measured."""
        values = self.values(field, benchmark, engine)
        return statistics.median(values) if values else None

    def max(self, field, benchmark, engine="actable"):
        return max(self.values(field, benchmark, engine), default=None)

    def rate(self, benchmark, engine="actable"):
        return self.median("ops_per_s", benchmark, engine)

    def __add__(self, other):
        return Runs(self.results + other.results)


class Program:
    """actable-bench at a path, with what all its runs have in common."""

    def __init__(self, path, directory=None, say=lambda text: None):
        self.path = pathlib.Path(path)
        self.directory = directory
        self.say = say
        self.machine = {}
        self.about = {}  # engine -> version and settings
        self.commands = []
        self.engines = self.find_engines()

    def find_engines(self):
        """Names of the engines in the build."""
        try:
            text = subprocess.run([self.path, "--help"], check=True, capture_output=True, text=True).stdout
        except (OSError, subprocess.CalledProcessError) as error:
            raise Failed(f"cannot run {self.path}: {error}") from error
        lines = [line for line in text.splitlines() if line.startswith("Engines in this build: ")]
        if not lines:
            raise Failed(f"{self.path} is not actable-bench: its --help names no engines")
        return lines[0].partition(": ")[2].replace(" ", "").split(",")

    def run(self, benchmarks, engines=("actable",), **options):
        """Runs benchmarks on those of the engines that are in the build, if any."""
        built = [engine for engine in engines if engine in self.engines]
        if not built:
            return Runs([])
        arguments = ["--benchmarks=" + ",".join(benchmarks), "--engines=" + ",".join(built)]
        arguments += [f"--{name}={value}" for name, value in options.items()]
        self.commands.append("actable-bench " + " ".join(arguments))
        self.say(self.commands[-1])
        with tempfile.TemporaryDirectory() as scratch:
            results = pathlib.Path(scratch) / "results.json"
            command = [os.fspath(self.path), *arguments, f"--json={results}"]
            if self.directory:
                command.append(f"--dir={self.directory}")
            self.call(command)
            data = json.loads(results.read_text())
        self.machine = self.machine or data["machine"]
        for engine in data["engines"]:
            self.about[engine["name"]] = engine["about"]
        return Runs(data["results"])

    @staticmethod
    def call(command):
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as child:
            try:
                output, _ = child.communicate()
            except BaseException:
                # It removes its files and ends, whether Ctrl-C came to it too or not.
                child.terminate()
                child.wait()
                raise
        if child.returncode != 0:
            last = (output.strip().splitlines() or ["nothing"])[-1]
            raise Failed(f"{' '.join(command)}\nended with status {child.returncode} and said: {last}")

    def in_turn(self, rounds, variants):
        """Runs each variant once a round, so that a machine that slows down slows all of them.

        `variants` gives the arguments of `run` by name; the result is the runs by name.
        """
        runs = {name: Runs([]) for name in variants}
        for number in range(rounds):
            for name, arguments in variants.items():
                runs[name] += self.run(**arguments, seed=number + 1)
        return runs


def terminal(text):
    """One line that is written over and over, on a terminal only."""
    if sys.stderr.isatty():
        width = os.get_terminal_size(sys.stderr.fileno()).columns
        print("\r\033[K" + text[:width - 1], end="", file=sys.stderr, flush=True)
