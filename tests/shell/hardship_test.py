#!/usr/bin/env python3
"""actable-shell where it is not easy: hardship_test.py SHELL HOST [NAME…]"""

import json
import os
import signal
import socket
import subprocess
import sys
import unittest

from scene import LIMIT_S, SHELL, Case, Impostor, until


class TheOtherSide(Case):
    """What a process says that is no friend's."""

    def impostor(self, **answers):
        impostor = Impostor(self.directory)
        self.addCleanup(impostor.close)
        impostor.answers = {"*": {"error": {"code": "io_error", "message": HOSTILE}}, **answers}
        return impostor

    def expect_harmless(self, command, *more):
        ended = self.run_shell("-c", command, *more)
        for said in [ended.stdout, ended.stderr]:
            self.assertEqual([c for c in said if ord(c) < 32 and c != "\n" or 0x7f <= ord(c) < 0xa0], [], said)
        return ended

    def test_nothing_that_it_says_reaches_the_terminal_raw(self):
        self.impostor(
            actors={"result": [{"name": HOSTILE, "state": HOSTILE, "last_crash": HOSTILE}]},
            config={"result": [{"option": HOSTILE, "value": HOSTILE.encode(), "live": False}]},
            spaces={"result": [{"name": HOSTILE, "keys": 1}]},
            stats={"result": {"store": {"read_only": True, "read_only_reason": HOSTILE}, "log": {"io": HOSTILE}}},
            trace={"result": {"messages": [HOSTILE], "dropped": 0, "more": False}},
            get={"result": {"seq": 1, "durable": None, "value": HOSTILE.encode()}},
            scan={"result": {"entries": [[HOSTILE.encode(), 1, HOSTILE.encode()]], "more": False}})
        for command in ["actors", "config", "spaces", "info", "log", "trace x", "top 0.1", "latency doctor",
                        "in s get k", "in s get k text", "in s scan"]:
            for more in [[], ["--json"]]:
                with self.subTest(command, more=more):
                    ended = self.expect_harmless(command, *more)
                    self.assertEqual(ended.returncode, 0, ended.stderr)
                    for line in ended.stdout.splitlines() if more else []:
                        json.loads(line)
        # One row is one line.
        self.assertEqual(self.run_shell("-c", "spaces").stdout.count("\n"), 2)
        self.assertEqual(self.run_shell("-c", "in s scan").stdout.count("\n"), 1)
        self.assertIn("\\u009b", self.run_shell("-c", "spaces", "--json").stdout)

    def test_nor_does_what_it_complains_of(self):
        self.impostor()
        for command in ["info", "in s get k", "actors", "shards"]:
            ended = self.expect_harmless(command)
            self.assertEqual(ended.returncode, 1)
            self.assertEqual(ended.stderr.count("\n"), 1, ended.stderr)
            self.assertIn("\\x1b]0;title\\x07\\x0asecond line", ended.stderr)

    def test_in_a_terminal(self):
        self.directory = os.path.join(self.root, "a\x1b[41mb")
        self.impostor(spaces={"result": [{"name": HOSTILE, "keys": 1}]})
        terminal = self.terminal()
        terminal.see("actable a\\x1b[41mb>")
        terminal.enter("spaces")
        terminal.see("\\x1b]0;title\\x07\\x0asecond line")
        terminal.see_prompt()
        self.assertEqual(terminal.shown.title, "")


class Interrupts(Case):
    """Ctrl-C is status 130, and ends a script."""

    def impostor(self, **answers):
        impostor = Impostor(self.directory)
        self.addCleanup(impostor.close)
        impostor.answers = {"*": None, **answers}
        return impostor

    def expect_interrupted(self, shell):
        shell.send_signal(signal.SIGINT)
        _, complaint = shell.communicate(timeout=LIMIT_S)
        self.assertEqual((shell.returncode, complaint), (130, "interrupted\n"))

    def test_while_a_request_waits(self):
        impostor = self.impostor()
        for lines in [["-c", "info", "-c", "spaces"], []]:
            with self.subTest(lines):
                impostor.requests.clear()
                shell = self.shell(*lines, stdin=subprocess.PIPE)
                shell.stdin.write("info\nspaces\n")
                shell.stdin.flush()
                until("it has asked", lambda: impostor.requests)
                self.expect_interrupted(shell)
                self.assertEqual(len(impostor.requests), 1)

    def test_while_nothing_comes_to_be_shown(self):
        impostor = self.impostor(monitor={"result": {"operations": [], "dropped": 0, "more": True}},
                                 trace={"result": {"messages": [], "dropped": 0, "more": True}},
                                 next={"result": {"messages": [], "operations": [], "dropped": 0, "more": True}})
        for command in ["monitor", "trace log"]:
            with self.subTest(command):
                impostor.requests.clear()
                shell = self.shell("-c", command, "-c", "info")
                until("it goes on asking", lambda: len(impostor.requests) > 2)
                self.expect_interrupted(shell)

    def test_between_the_lines_of_a_script(self):
        self.impostor(count={"result": {"count": 1, "looked_at": 1, "more": False}})
        shell = self.shell(stdin=subprocess.PIPE)
        shell.stdin.write("in s count\n")
        shell.stdin.flush()
        self.assertEqual(shell.stdout.readline(), "1\n")
        shell.send_signal(signal.SIGINT)
        shell.stdin.close()
        self.assertEqual(shell.wait(LIMIT_S), 130)

    def test_help_has_the_status(self):
        self.assertIn("130, Ctrl-C", self.run_shell("--help").stdout)


class AnEnd(Case):
    """Of the process, or of the disk that answers are written to."""

    def test_of_the_process_while_it_is_watched(self):
        for command, number in [("monitor", 1), ("trace log 10000", 0)]:
            with self.subTest(command):
                host = self.host("load")
                shell = self.shell("-c", "set sample_every 1", "-c", command, "--allow-writes")
                # The answer to `set`, and an operation.
                for _ in range(1 + number):
                    self.assertTrue(shell.stdout.readline())
                host.kill()
                _, complaint = shell.communicate(timeout=LIMIT_S)
                self.assertIn("has ended", complaint)
                self.assertEqual(shell.returncode, 2)

    def test_of_the_disk(self):
        self.host()
        for arguments in [["-c", "info", "-c", "spaces"], ["--json", "-c", "spaces"], ["--help"]]:
            with self.subTest(arguments), open("/dev/full", "w", encoding="utf-8") as full:
                ended = subprocess.run([SHELL, self.directory, *arguments], stdout=full, stderr=subprocess.PIPE,
                                       text=True, timeout=LIMIT_S, check=False)
                self.assertEqual(ended.returncode, 1)
                self.assertIn("No space left on device", ended.stderr)
                self.assertEqual(ended.stderr.count("\n"), 1)


class AStoppedProcess(Case):
    def setUp(self):
        super().setUp()
        self.stopped = self.host()
        os.kill(self.stopped.process.pid, signal.SIGSTOP)

    def fill_its_queue(self):
        """As many wait for the process as may."""
        while True:
            one = socket.socket(socket.AF_UNIX)
            self.addCleanup(one.close)
            one.setblocking(False)
            try:
                one.connect(os.path.join(self.directory, "debug.sock"))
            except BlockingIOError:
                return

    def test_an_interrupt_ends_the_wait_for_a_place_in_its_queue(self):
        self.fill_its_queue()
        shell = self.shell("-c", "info", "-c", "info")
        self.interrupt(shell)
        _, complaint = shell.communicate(timeout=LIMIT_S)
        self.assertEqual((shell.returncode, complaint), (130, "interrupted\n"))


# Sets a terminal's title, begins a line, and asks it in the one-character form
# of another encoding for its state.
HOSTILE = "a\x1b]0;title\x07\nsecond line\x9b6n\x7f"

if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
