#!/usr/bin/env python3
"""`compare_test.py PROGRAM`: the comparison on tiny inputs, and how it judges."""

import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree

sys.dont_write_bytecode = True
BENCHMARKS = pathlib.Path(__file__).resolve().parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

from comparison import document, rows  # noqa: E402
from comparison.program import Runs  # noqa: E402

PROGRAM = sys.argv.pop(1)


def compare(*arguments):
    return subprocess.run([sys.executable, BENCHMARKS / "compare", *arguments], capture_output=True, text=True,
                          check=False)


class Judging(unittest.TestCase):
    def verdict(self, measured, must, aim=None, at_most=False):
        return rows.Check("it", measured, must, aim, at_most=at_most).verdict

    def test_more_is_better_where_it_must_be_at_least(self):
        self.assertEqual(self.verdict(1.9, 2, 3), "short")
        self.assertEqual(self.verdict(2, 2, 3), "pass")
        self.assertEqual(self.verdict(3, 2, 3), "aim")
        self.assertEqual(self.verdict(9, 2), "pass")

    def test_less_is_better_where_it_must_be_at_most(self):
        self.assertEqual(self.verdict(2.1, 2, 1, at_most=True), "short")
        self.assertEqual(self.verdict(2, 2, 1, at_most=True), "pass")
        self.assertEqual(self.verdict(0, 2, 1, at_most=True), "aim")

    def test_an_aim_alone_is_never_short(self):
        self.assertEqual(self.verdict(30, None, 20, at_most=True), "pass")
        self.assertEqual(self.verdict(10, None, 20, at_most=True), "aim")

    def test_what_was_not_measured_does_not_pass(self):
        self.assertEqual(self.verdict(None, 0), "not measured")
        self.assertIn("1 not measured", document.summary([rows.Check("it", None, 1)]))

    def test_bars_go_right_for_the_better(self):
        self.assertEqual(document.bar(rows.Check("it", 4, 2)), 1)
        self.assertEqual(document.bar(rows.Check("it", 4, 2, at_most=True)), -1)
        self.assertIsNone(document.bar(rows.Check("it", 4, 0, at_most=True)))

    def test_medians_are_of_one_benchmark_on_one_engine(self):
        def run(engine, rate):
            return {"benchmark": "mixed50", "engine": engine, "ops_per_s": rate, "waits": None}
        runs = Runs([run("actable", 5), run("sharded", 100)]) + Runs([run("actable", 1), run("actable", 2)])
        self.assertEqual(runs.rate("mixed50"), 2)
        self.assertEqual(runs.rate("mixed50", "sharded"), 100)
        self.assertIsNone(runs.rate("mixed50", "boost"))
        self.assertIsNone(runs.max("waits", "mixed50"))


class Running(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory(dir=".")
        self.addCleanup(self.directory.cleanup)
        self.path = pathlib.Path(self.directory.name).resolve()

    def run_quick(self, *arguments):
        done = compare("--quick", f"--program={PROGRAM}", f"--dir={self.path}", *arguments)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def test_every_row_is_measured_and_written(self):
        # Long enough that each run has operations, however many others want the processors.
        output = self.run_quick("--seconds=0.5", f"--output={self.path}/figures.md")
        lines = [line for line in output.splitlines() if " measured " in line]
        self.assertGreaterEqual(len(lines), 45)
        for line in lines:
            # But for engines that are not in the build, and growth too small to see.
            if line.split(" measured ")[1].startswith("-"):
                self.assertRegex(line, "is not in this build|too few keys")
        written = (self.path / "figures.md").read_text()
        self.assertEqual(written.count("\n| "), len(lines) + written.partition("## Where")[2].count("\n| ") + 1)
        self.assertIn("(figures.svg)", written)
        self.assertIn("| date | 20", written)
        self.assertIn("actable-bench --benchmarks=", written)
        self.assertNotIn(str(self.path), written)
        plot = xml.etree.ElementTree.parse(self.path / "figures.svg").getroot()
        self.assertTrue(plot.tag.endswith("svg"))
        self.assertEqual(sorted(file.name for file in self.path.iterdir()), ["figures.md", "figures.svg"])

    def test_single_rows_write_nothing(self):
        output = self.run_quick("--rows=mixed,idle", "--num=700", "--repeat=1", "--seconds=0.02", "--big=900")
        self.assertEqual(len([line for line in output.splitlines() if " measured " in line]), 3)
        self.assertNotIn("written:", output)

    def test_an_interrupt_ends_it_and_leaves_nothing(self):
        command = [sys.executable, BENCHMARKS / "compare", "--quick", "--rows=busy", "--seconds=60",
                   f"--program={PROGRAM}", f"--dir={self.path}", f"--output={self.path}/figures.md"]
        with subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                              text=True) as child:
            while child.poll() is None and not list(self.path.glob("actable-bench-*/actable/*")):
                pass
            os.killpg(child.pid, signal.SIGINT)
            _, said = child.communicate()
        self.assertEqual(child.returncode, 130, said)
        self.assertEqual(said.strip(), "compare: interrupted")
        self.assertEqual(list(self.path.iterdir()), [])

    def test_a_row_that_fails_does_not_end_the_others(self):
        # A program that fails where a row asks for much, and is the real one otherwise.
        program = self.path / "program"
        program.write_text(f'#!/bin/sh\ncase "$*" in *openclose*) echo "disk gone"; exit 1;; esac\nexec "{PROGRAM}" "$@"\n')
        program.chmod(0o755)
        done = compare("--quick", f"--program={program}", f"--dir={self.path}", "--rows=opening,idle",
                       f"--output={self.path}/figures.md")
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("the row opening could not be run", done.stderr)
        self.assertIn("idle store: processor use", done.stdout)
        written = (self.path / "figures.md").read_text()
        self.assertIn("disk gone", written)
        self.assertIn("| idle store: processor use |", written)

    def test_what_is_not_there_is_answered_with_what_is(self):
        for arguments, said in ((["--rows=nothing"], "there are reads, overwrites"), (["--num=0"], "above 0"),
                                (["--num=7"], "100 or more"), (["--fast"], "--quick")):
            done = compare(*arguments)
            self.assertEqual(done.returncode, 2)
            self.assertIn(said, done.stderr)

    def test_what_cannot_be_run_says_why(self):
        for arguments, said in ((["--program=/nowhere"], "cannot run /nowhere"),
                                ([f"--program={PROGRAM}", "--output=/nowhere/at/all.md"], "cannot write"),
                                ([f"--program={PROGRAM}", "--quick", "--dir=/nowhere"], "--dir")):
            done = compare(*arguments)
            self.assertEqual(done.returncode, 1)
            self.assertIn(said, done.stderr)


if __name__ == "__main__":
    unittest.main()
