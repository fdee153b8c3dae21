"""What tests of actable-shell have: a service to look into, a terminal to type
at, the program with its output and exit status, and a process that is none.

In a pseudo-terminal keys are typed and the screen is read, which pyte keeps.
Nothing waits for time to pass: for what is to be seen, a minute at most.
"""

import fcntl
import json
import os
import pty
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
import unittest

import pyte

SHELL, HOST = sys.argv[1:3]
LIMIT_S = 60


def until(what, condition):
    end = time.monotonic() + LIMIT_S
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError(f"waited in vain until {what}")
        time.sleep(0.02)


class Host:
    """A service with a store in `directory`."""

    def __init__(self, directory, *words):
        self.directory = directory
        self.log = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen([HOST, directory, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=self.log, text=True)
        line = self.process.stdout.readline()
        if line != "ready\n":
            self.process.wait()
            raise AssertionError(f"the host ended: {self.lines()}")

    def lines(self):
        self.log.seek(0)
        return self.log.read()

    def kill(self):
        self.process.kill()
        self.end()

    def end(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()

    def close(self):
        self.kill()
        self.log.close()


KEYS = {"Enter": "\r", "Tab": "\t", "Space": " ", "Up": "\x1b[A", "C-c": "\x03", "C-d": "\x04", "C-l": "\x0c",
        "C-u": "\x15"}


class Terminal:
    """A program in a pseudo-terminal of its own, and the screen that a person would see there."""

    def __init__(self, home, *command, columns=110, lines=30):
        self.shown = pyte.Screen(columns, lines)
        self.stream = pyte.ByteStream(self.shown)
        self.lock = threading.Lock()
        self.status = None
        self.child, self.descriptor = pty.fork()
        if self.child == 0:
            environment = dict(os.environ, HOME=home, LC_ALL="C.UTF-8", TERM="xterm")
            try:
                os.execve(command[0], command, environment)
            finally:
                os._exit(127)
        fcntl.ioctl(self.descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def read(self):
        while True:
            try:
                data = os.read(self.descriptor, 65536)
            except OSError:  # The program has ended.
                return
            if not data:
                return
            with self.lock:
                self.stream.feed(data)

    def screen(self):
        with self.lock:
            return "\n".join(line.rstrip() for line in self.shown.display)

    def bold(self, text):
        """True where the screen shows the text in bold."""
        with self.lock:
            for row, line in enumerate(self.shown.display):
                column = line.find(text)
                if column >= 0:
                    return all(self.shown.buffer[row][column + i].bold for i in range(len(text)))
        return False

    def type(self, text):
        os.write(self.descriptor, text.encode())

    def key(self, *names):
        for name in names:
            self.type(KEYS.get(name, name))

    def enter(self, line):
        self.type(line)
        self.key("Enter")

    def see(self, text):
        try:
            until(f"the screen shows {text!r}", lambda: text in self.screen())
        except AssertionError as error:
            raise AssertionError(f"{error}; it shows:\n{self.screen()}") from None
        return self.screen()

    def see_prompt(self, line=""):
        """The last line is a prompt and what was typed there."""
        pattern = re.compile(r"actable [^\n]*> " + re.escape(line))

        def at_prompt():
            lines = [one for one in self.screen().split("\n") if one]
            return lines and pattern.fullmatch(lines[-1] + ("" if line else " "))

        try:
            until(f"there is a prompt with {line!r}", at_prompt)
        except AssertionError as error:
            raise AssertionError(f"{error}; it shows:\n{self.screen()}") from None

    def clear(self):
        self.key("C-l")

    def ended(self):
        """The status that it ended with."""
        def look():
            if self.status is None:
                child, status = os.waitpid(self.child, os.WNOHANG)
                if child != 0:
                    self.status = os.waitstatus_to_exitcode(status)
            return self.status is not None

        until("the program ends", look)
        return self.status

    def close(self):
        if self.status is None:
            os.kill(self.child, signal.SIGKILL)
            self.ended()
        self.reader.join()
        os.close(self.descriptor)


class Case(unittest.TestCase):
    def setUp(self):
        self.root = tempfile.mkdtemp()
        os.chmod(self.root, 0o700)
        self.directory = os.path.join(self.root, "store")
        self.home = os.path.join(self.root, "home")
        os.mkdir(self.home)
        self.addCleanup(shutil.rmtree, self.root)

    def host(self, *words):
        host = Host(self.directory, *words)
        self.addCleanup(host.close)
        return host

    def terminal(self, *arguments, **size):
        terminal = Terminal(self.home, SHELL, self.directory, *arguments, **size)
        self.addCleanup(terminal.close)
        return terminal

    def run_shell(self, *arguments, directory=None, script=None, program=SHELL, **options):
        return subprocess.run([program, directory or self.directory, *arguments], input=script, capture_output=True,
                              text=True, timeout=LIMIT_S, **options)

    def shell(self, *arguments, **options):
        """The program, which goes on meanwhile."""
        process = subprocess.Popen([SHELL, self.directory, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   text=True, **options)

        def end():
            process.kill()
            process.wait()
            for pipe in [process.stdin, process.stdout, process.stderr]:
                if pipe is not None:
                    pipe.close()

        self.addCleanup(end)
        return process

    @staticmethod
    def interrupt(shell):
        """Ctrl-C, which would end a program that has only just begun at once."""
        def catches():
            with open(f"/proc/{shell.pid}/status", encoding="utf-8") as status:
                caught = re.search(r"^SigCgt:\s*([0-9a-f]+)", status.read(), re.MULTILINE)
            return int(caught[1], 16) & 1 << (signal.SIGINT - 1)

        until("the program catches interrupts", catches)
        shell.send_signal(signal.SIGINT)

    def expect(self, status, *arguments, says=None, **options):
        """The exit status, and one line of complaint that says so; else none."""
        ended = self.run_shell(*arguments, **options)
        about = f"{arguments}: {ended.stdout!r} {ended.stderr!r}"
        self.assertEqual(ended.returncode, status, about)
        if says is None:
            self.assertEqual(ended.stderr, "", about)
        else:
            self.assertEqual(ended.stderr.count("\n"), 1, about)
            self.assertIn(says, ended.stderr)
        return ended.stdout

    def say(self, command, *more):
        return self.expect(0, *more, "-c", command)


def packed(value):
    """The value as msgpack."""
    if value is None:
        return b"\xc0"
    if isinstance(value, bool):
        return b"\xc3" if value else b"\xc2"
    if isinstance(value, int):
        return b"\xcf" + value.to_bytes(8, "big")
    if isinstance(value, str):
        text = value.encode()
        return b"\xdb" + len(text).to_bytes(4, "big") + text
    if isinstance(value, bytes):
        return b"\xc6" + len(value).to_bytes(4, "big") + value
    if isinstance(value, list):
        return b"\xdd" + len(value).to_bytes(4, "big") + b"".join(map(packed, value))
    return b"\xdf" + len(value).to_bytes(4, "big") + b"".join(packed(name) + packed(one) for name, one in value.items())


def framed(value):
    message = packed(value)
    return len(message).to_bytes(4, "little") + message


class Impostor:
    """Serves the debug socket in `directory`: answers each request with what it is told to, with one after the other
    of a list, or (None) with nothing."""

    WELCOME = {"protocol": "actable-debug", "version": 1, "writes": False, "process": 1, "directory": b"x"}

    def __init__(self, directory):
        os.mkdir(directory, 0o700)
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(os.path.join(directory, "debug.sock"))
        self.socket.listen()
        self.answers = {}
        self.requests = []
        self.waiting = None
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def serve(self):
        while True:
            try:
                client, _ = self.socket.accept()
            except OSError:  # Closed.
                return
            with client:
                self.read(client)
                client.sendall(framed(self.WELCOME))
                for number in range(1, 100):
                    request = self.read(client)
                    if request is None:
                        break
                    self.requests.append(request)
                    answers = [answer for command, answer in self.answers.items() if packed_word(command) in request]
                    answer = (answers or [self.answers["*"]])[0]
                    if isinstance(answer, list):
                        answer = answer.pop(0)
                    self.waiting = (client, number)
                    if answer is not None:
                        client.sendall(framed({"id": number, **answer}))

    def release(self, answer):
        """Answers the request that was answered with nothing."""
        client, number = self.waiting
        client.sendall(framed({"id": number, **answer}))

    @staticmethod
    def read(client):
        def take(count):
            taken = b""
            while len(taken) < count:
                more = client.recv(count - len(taken))
                if not more:
                    return None
                taken += more
            return taken

        length = take(4)
        return length and take(int.from_bytes(length, "little"))

    def close(self):
        # Which ends a thread that accepts; closing alone does not.
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self.thread.join()


def packed_word(word):
    """A short text as the shell packs it."""
    return bytes([0xa0 | len(word)]) + word.encode()
