#!/usr/bin/env python3
"""What a space holds, out of a store and into one: transfer_test.py SHELL HOST [NAME…]"""

import array
import base64
import ctypes
import fcntl
import json
import os
import pty
import random
import re
import signal
import stat
import subprocess
import sys
import termios
import unittest

from scene import LIMIT_S, SHELL, Case, Host, Impostor, Terminal, packed, until

# To repeat a run that failed, as with the other tests.
SEED = int(os.environ.get("ACTABLE_SEED", random.SystemRandom().randrange(1 << 32)))
print(f"ACTABLE_SEED={SEED}", file=sys.stderr)
random.seed(SEED)

# What has the checksum, beside the header that the store is built with.
XXHASH = ctypes.CDLL("libxxhash.so.0")
XXHASH.XXH3_64bits_withSeed.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint64]
XXHASH.XXH3_64bits_withSeed.restype = ctypes.c_uint64

VALUE_BYTES_MAX = 4 << 20
HARD = {
    b"plain": b"text",
    b"empty": b"",
    b"\0": b"\0",
    b"\xff\xfe": b"\x80\xc3",
    b"new\nline\r\n": b'quote " backslash \\ \x1b[31m \x7f \xc2\x9b',
    b"aGVsbG8=": b"aGVsbG8=",
    b"key_base64": b'{"key": "a"}\n',
    "grüße 😀 \u2028\uffff".encode(): b"\xed\xa0\x80",
    b"k" * 65535: b"\xfe" * 300,
    b"largest": bytes(range(256)) * (VALUE_BYTES_MAX // 256),
    b"largest text": b"x" * VALUE_BYTES_MAX,
    # More than one request of the socket has room for, and less than two parts of one.
    b"over a part": b"\xff" * 600_000,
}


def json_entry(key, value):
    def field(name, data):
        try:
            return {name: data.decode()}
        except UnicodeDecodeError:
            return {name + "_base64": base64.b64encode(data).decode()}

    return json.dumps({**field("key", key), **field("value", value)}, ensure_ascii=random.random() < 0.5).encode() + b"\n"


def json_dump(entries):
    return b"".join(json_entry(key, value) for key, value in entries.items())


def from_json(data):
    entries = {}
    for line in data.split(b"\n")[:-1]:
        entry = json.loads(line)
        assert len(entry) == 2, entry
        key, value = (entry[name].encode() if name in entry else base64.b64decode(entry[name + "_base64"], validate=True)
                      for name in ["key", "value"])
        assert key not in entries, key
        entries[key] = value
    return entries


HEADER = packed({"format": "actable-dump", "version": 1})


def entry_in_msgpack(key, value):
    """As the shell packs it, which its checksum is of."""
    def as_bin(data):
        width = next(width for width in [1, 2, 4] if len(data) < 1 << 8 * width)
        return {1: b"\xc4", 2: b"\xc5", 4: b"\xc6"}[width] + len(data).to_bytes(width, "big") + data

    return b"\x92" + as_bin(key) + as_bin(value)


def end_in_msgpack(entries):
    """The end of a dump of these entries, as bytes: how many, and the sum of one after the other."""
    checksum = 0
    for entry in entries:
        checksum = XXHASH.XXH3_64bits_withSeed(entry, len(entry), checksum)
    return packed({"entries": len(entries), "checksum": checksum})


def msgpack_dump(entries):
    packed_entries = [entry_in_msgpack(key, value) for key, value in entries.items()]
    return HEADER + b"".join(packed_entries) + end_in_msgpack(packed_entries)


def from_msgpack(data):
    header = b"\x82\xa6format\xacactable-dump\xa7version\x01"
    assert data.startswith(header), data[:100]
    at = len(header)

    def take_bin():
        nonlocal at
        width = {0xc4: 1, 0xc5: 2, 0xc6: 4}[data[at]]
        begin = at + 1 + width
        at = begin + int.from_bytes(data[at + 1:begin], "big")
        assert at <= len(data)
        return data[begin:at]

    entries, parts = {}, []
    while data[at] == 0x92:
        begin = at
        at += 1
        key = take_bin()
        assert key not in entries, key
        entries[key] = take_bin()
        parts.append(data[begin:at])
    end = re.fullmatch(b"\\x82\\xa7entries(.+)\\xa8checksum(.+)", data[at:], re.DOTALL)
    # In as few bytes as they need: the last ones are the number's.
    counted, checksum = (number if len(number) == 1 else number[1:] for number in end.groups())
    expected = end_in_msgpack(parts)
    assert int.from_bytes(counted, "big") == len(parts), (counted, len(parts))
    assert int.from_bytes(checksum, "big") == int.from_bytes(expected[-8:], "big"), checksum
    return entries


FORMATS = {"json": (json_dump, from_json), "msgpack": (msgpack_dump, from_msgpack)}


class TransferCase(Case):
    def run_bytes(self, *commands, data=b"", more=(), directory=None):
        arguments = [word for command in commands for word in ["-c", command]]
        return subprocess.run([SHELL, directory or self.directory, *more, *arguments], input=data, capture_output=True,
                              timeout=LIMIT_S, check=False)

    def dump(self, space, form="json", directory=None):
        ended = self.run_bytes(f"dump {space} {form}", directory=directory)
        self.assertEqual((ended.returncode, ended.stderr), (0, b""))
        return FORMATS[form][1](ended.stdout)

    def load(self, space, data, form="json", status=0, says=None, directory=None, file=""):
        """What it says on standard output, or on standard error where the status is not 0."""
        ended = self.run_bytes(f"load {space} {form} {file}", data=data, more=["--allow-writes"], directory=directory)
        said = (ended.stderr if status else ended.stdout).decode()
        self.assertEqual(ended.returncode, status, ended.stderr[:1000])
        self.assertEqual(said.count("\n"), 1, said)
        if status == 0:
            self.assertEqual(ended.stderr, b"")
        if says is not None:
            self.assertIn(says, said)
        return said

    def expect_same(self, found, expected):
        """As `assertEqual`, which would look for the differences of megabytes for minutes."""
        self.assertTrue(found == expected)

    @staticmethod
    def entries_in_order(form, data):
        """The bytes of each entry, sorted."""
        if form == "json":
            return sorted(data.splitlines(keepends=True))
        return sorted(from_msgpack(data).items())

    def file(self, name, data):
        path = os.path.join(self.root, name)
        with open(path, "wb") as file:
            file.write(data)
        return path

    def impostor(self, **answers):
        impostor = Impostor(self.directory)
        self.addCleanup(impostor.close)
        impostor.answers = {"*": None, **answers}
        return impostor


class Transfers(TransferCase):
    """Live and closed."""

    def second_store(self):
        """The directory of another one, that a process has open, and that process."""
        directory = os.path.join(self.root, "second")
        host = Host(directory)
        self.addCleanup(host.close)
        return directory, host

    def test_there_and_back_between_live_stores(self):
        self.host()
        second, _ = self.second_store()
        for form, (write, _) in FORMATS.items():
            with self.subTest(form):
                self.assertEqual(self.load("numbers", write(HARD), form), f"{len(HARD)} keys loaded\n")
                first = self.run_bytes(f"dump numbers {form}").stdout
                found = FORMATS[form][1](first)
                self.expect_same({key: found.get(key) for key in HARD}, HARD)
                self.assertEqual(len(found), 1000 + len(HARD))
                self.load("numbers", first, form, directory=second)
                again = self.run_bytes(f"dump numbers {form}", directory=second).stdout
                self.expect_same(self.entries_in_order(form, again), self.entries_in_order(form, first))

    def test_there_and_back_between_closed_stores(self):
        self.host().end()
        second, host = self.second_store()
        host.end()
        for form, (write, _) in FORMATS.items():
            with self.subTest(form):
                copy = "copy_" + form
                self.assertEqual(self.load(copy, write(HARD), form, file="new"),
                                 f"{len(HARD)} keys loaded; the space is new\n")
                first = self.run_bytes(f"dump {copy} {form}").stdout
                self.expect_same(FORMATS[form][1](first), HARD)
                self.load(copy, first, form, directory=second, file="new")
                again = self.run_bytes(f"dump {copy} {form}", directory=second).stdout
                self.expect_same(self.entries_in_order(form, again), self.entries_in_order(form, first))
        # Nothing else has changed, and a service takes it from there.
        self.assertIn("whole: ", self.say("verify"))
        self.assertIn("and the store was closed", self.say("verify"))
        self.host()
        self.expect_same(self.dump("copy_json"), HARD)
        self.assertEqual(self.say("in users get ada"), "Lovelace\n")

    def test_random_entries(self):
        entries = {}
        while len(entries) < 2000:
            make = random.choice([lambda: random.randbytes(random.randrange(40)),
                                  lambda: b"text %d" % random.randrange(10000), lambda: b"aGVs\n\0\xff"[:random.randrange(8)],
                                  lambda: random.randbytes(random.randrange(20)) * random.randrange(1000)])
            entries[make() or b"k"] = make()
        # That is many requests, and some that are full for their number of keys, others for their bytes.
        host = self.host()
        self.load("scratch", json_dump(entries))
        self.expect_same(self.dump("scratch", "msgpack"), entries)
        before = host.lines().count("debug shell")
        self.load("scratch", msgpack_dump(dict(reversed(entries.items()))), "msgpack")
        self.expect_same(self.dump("scratch"), entries)
        # It begins, ends and is synced: that is all the host's log says of it.
        self.assertEqual(host.lines().count("debug shell"), before + 3)
        total = sum(len(key) + len(value) for key, value in entries.items())
        self.assertIn(f'loaded {len(entries)} keys, {total} bytes, into the space "scratch"', host.lines())
        host.end()
        self.load("closed", json_dump(entries), file="new")
        self.expect_same(self.dump("closed", "msgpack"), entries)

    def test_what_was_loaded_is_on_disk(self):
        host = self.host()
        self.load("users", json_dump(HARD))
        host.kill()
        found = self.dump("users")
        self.expect_same({key: found.get(key) for key in HARD}, HARD)
        self.assertEqual(found[b"ada"], b"Lovelace")

    def test_later_entries_win_and_others_stay(self):
        host = self.host()
        large = b"y" * 2_000_000
        for look in ["live", "closed"]:
            with self.subTest(look):
                self.load("users", json_entry(b"ada", b"1") + json_entry(b"big", large) + json_entry(b"ada", b"2") +
                          json_entry(b"big", b"small"))
                found = self.dump("users")
                self.assertEqual((found[b"ada"], found[b"big"]), (b"2", b"small"))
                self.assertEqual(found[b"binary"], b"\0\xff")
                host.end()

    def test_a_memory_space_is_said_to_be_one(self):
        self.host()
        self.assertEqual(self.load("scratch", json_entry(b"k", b"v")),
                         "1 key loaded; the space is in memory only: nothing of it is on disk\n")

    def test_files_and_standard_input(self):
        self.host()
        path = self.file("entries", json_dump({b"k": b"v"}))
        for file in [path, f"'{path}'", "-", "/dev/stdin"]:
            with self.subTest(file):
                self.load("users", b"" if path in file else json_dump({b"k": b"v"}), file=file, says="1 key loaded")
        self.load("users", b"", says="0 keys loaded; standard input has no entries\n")
        self.load("users", msgpack_dump({}), "msgpack", says="0 keys loaded; standard input has no entries\n")
        # A script's lines are commands.
        ended = self.run_shell("--allow-writes", script="load users json\n")
        self.assertEqual(ended.returncode, 2)
        self.assertIn("commands are read from standard input here", ended.stderr)
        ended = self.run_shell("--allow-writes", script=f"load users json {path}\nin users get k\n")
        self.assertEqual((ended.returncode, ended.stdout), (0, "1 key loaded\nv\n"))

    def test_what_is_wrong_ends_it_and_what_came_before_is_there(self):
        host = self.host()
        good = json_dump({b"a": b"1", b"b": b"2"})
        begun = HEADER + entry_in_msgpack(b"c", b"3")
        for look in ["live", "closed"]:
            for wrong, says in [(b"\n", "line 3: it is empty"), (b'{"key": "k"}\n', "line 3: it has no value"),
                                (b"text\n", "line 3: byte 2: syntax error"),
                                (json_entry(b"k" * 65536, b""), "line 3: the key is 65536 bytes long"),
                                (json_entry(b"k", b"v" * (VALUE_BYTES_MAX + 1)), "line 3: the value is 4194305 bytes long"),
                                (b'{"key": "", "value": ""}\n', "line 3: the key is empty"),
                                (b'{"key": "k", "value": "v\n', "line 3: byte 25: syntax error")]:
                with self.subTest(look, says=says):
                    said = self.load("numbers", good + wrong + json_entry(b"behind", b"x"), status=1, says=says)
                    self.assertIn("standard input: ", said)
                    self.assertTrue(said.endswith("; 2 keys had been loaded\n"), said)
            found = self.dump("numbers")
            self.assertEqual((found[b"a"], found[b"b"], found.get(b"behind")), (b"1", b"2", None))
            for wrong, says in [(b"\xc0", "it is no entry"), (packed([b"k", b"v"])[:-1], "it is cut short"),
                                (packed([b"", b"v"]), "the key is empty"), (b"\xc1", "it is no msgpack"),
                                (b"", "the dump breaks off here, behind 1 whole entries"),
                                (end_in_msgpack([]), "the dump's end says that it has 0 entries, and there are 1")]:
                with self.subTest(look, says=says):
                    said = self.load("numbers", begun + wrong, "msgpack", status=1, says=f"byte {len(begun)}: {says}")
                    self.assertTrue(said.endswith("; 1 key had been loaded\n"), said)
            self.assertEqual(self.dump("numbers")[b"c"], b"3")
            self.load("numbers", good, "msgpack", status=1, says="byte 0: there is no header")
            path = self.file("wrong", b"text")
            self.load("numbers", b"", status=1, says=f"{path}: line 1: ", file=path)
            host.end()

    def test_statuses(self):
        host = self.host()
        path = self.file("there", b"")
        for look in ["live", "closed"]:
            with self.subTest(look):
                self.expect(2, "-c", f"load users json {path}", says="start actable-shell with --allow-writes")
                for status, command, says in [
                        (2, "load users", "too few arguments"), (2, "load users text x", "the format is json or msgpack"),
                        (2, "load users json /nowhere/x", "cannot open /nowhere/x: No such file"),
                        (2, f"load users json {self.root}", "is a directory"),
                        (2, "dump users text", "the format is json or msgpack, not text"),
                        (2, "dump users json x", "behind the format stands `to FILE`"),
                        (2, "dump users json to", "behind the format stands `to FILE`"),
                        (2, f"dump users to {path}", "is there already, and nothing is overwritten"),
                        (2, f"dump users to {self.root}/no/x", "No such file or directory"),
                        (1, "dump usres", "there is no space")]:
                    self.expect(status, "--allow-writes", "-c", command, says=says)
                host.end()
        self.assertEqual(os.path.getsize(path), 0)
        # The frames of closed files are what they were.
        self.assertIn("put ada Lovelace", self.say("dump"))

    def test_only_of_a_running_process(self):
        self.host()
        self.expect(2, "-c", "dump", says="dump: is for closed files")
        self.load("none", b"", status=1, says="there is no space none; there are: numbers, scratch, users\n")
        self.load("none", b"", status=2, says="`new` is for closed files", file="new")

    def test_a_directory_of_another_user_is_not_written_to(self):
        if os.geteuid() != 0:
            self.skipTest("only root can give a directory away")
        self.host().end()
        os.chown(self.directory, 65534, 65534)
        self.load("users", json_entry(b"k", b"v"), status=2, says="belongs to user 65534")
        self.assertNotIn(b"k", self.dump("users"))

    def test_to_a_file(self):
        host = self.host()
        for look in ["live", "closed"]:
            for form, (_, read) in FORMATS.items():
                with self.subTest(look, form=form):
                    path = os.path.join(self.root, look + form)
                    said = self.say(f"dump users {form} to '{path}'")
                    with open(path, "rb") as file:
                        data = file.read()
                    self.assertRegex(said, rf"^4 keys, {len(data)} B in {re.escape(path)}\n$")
                    self.assertEqual(read(data)[b"binary"], b"\0\xff")
                    self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
            path = os.path.join(self.root, look)
            self.assertEqual([name for name in os.listdir(self.root) if ".part-" in name], [])
            self.say(f"dump users to {path}")
            told = json.loads(self.say(f"dump users msgpack to {path}2", "--json"))
            self.assertEqual(told, {"keys": 4, "bytes": os.path.getsize(path + "2"), "file": path + "2"})
            host.end()

    def test_json(self):
        host = self.host()
        for look in ["live", "closed"]:
            with self.subTest(look):
                told = json.loads(self.run_bytes("load numbers json", data=json_entry(b"k", b"v"),
                                                 more=["--allow-writes", "--json"]).stdout)
                self.assertEqual((told["keys"], told["remark"]), (1, ""))
                self.assertGreater(told["durable"], 0)
                self.assertEqual(self.say("dump numbers", "--json"), self.say("dump numbers json"))
                self.expect(2, "--json", "-c", "dump users msgpack", says="msgpack is not for output that is JSON")
                host.end()
        self.assertIn("key_base64", json.loads(self.say("help dump", "--json"))["more"])

    def test_an_empty_space_is_a_dump_too(self):
        host = self.host()
        self.assertEqual(self.dump("scratch"), {})
        self.assertEqual(self.dump("scratch", "msgpack"), {})
        host.end()
        # Without an entry nothing is made.
        self.load("new", b"", says="0 keys loaded; standard input has no entries; no space was made\n", file="new")
        self.assertNotIn("new", self.say("spaces"))

    def test_a_space_is_made_when_it_is_asked_for_and_there_is_something_to_put(self):
        self.host().end()
        entry = json_entry(b"k", b"v")
        said = self.load("scratch", entry, status=1, says="there is no space scratch; there are: numbers, users; ")
        self.assertIn("write the word `new` behind the format", said)
        self.load("user", entry, status=1, says="do you mean users?")
        self.load("scratch", b"text\n", status=1, says="line 1: ", file="new")
        self.assertEqual([space["name"] for space in json.loads(self.say("spaces", "--json"))], ["numbers", "users"])
        # Where the service has it in memory only that is as it was.
        self.host().end()
        self.load("users", entry, status=1, says="the space users is there already", file="new")
        path = self.file("new", entry)
        for form, file in [("json", "new"), ("json", "new -"), ("json", f"new {path}")]:
            name = "made_" + str(len(json.loads(self.say("spaces", "--json"))))
            self.load(name, entry, form, file=file, says="1 key loaded; the space is new\n")
            self.assertEqual(self.dump(name), {b"k": b"v"})
        self.load("users", entry, status=2, says="behind the format stands `new`, or a FILE", file=f"{path} new")

    def test_a_space_that_was_chosen_is_not_passed_over(self):
        host = self.host()
        for look in ["live", "closed"]:
            with self.subTest(look):
                for command in ["in users dump numbers", "in users dump json", "in users load numbers json"]:
                    self.expect(2, "--allow-writes", "-c", command, says="which space, users or ")
                chosen = self.run_bytes("use numbers", "dump users")
                self.assertEqual((chosen.returncode, len(from_json(chosen.stdout))), (0, 4))
                self.assertEqual(len(self.say("in users dump users").splitlines()), 4)
                host.end()
        frames = self.say("in users dump")
        self.assertIn("put ada Lovelace", frames)
        self.assertNotIn("put n1 ", frames)
        self.assertIn("put n1 ", self.say("dump"))
        self.expect(1, "-c", "in nowhere dump", says="there is no space nowhere")

    def test_erased_and_overwritten_keys_are_not_in_it(self):
        host = self.host()
        for command in ["erase ada", "put binary 1", "put binary 2", "erase visits", "put visits 3"]:
            self.say("in users " + command, "--allow-writes")
        for _ in ["live", "closed"]:
            found = self.dump("users")
            self.assertEqual(sorted(found), [b"binary", b"grace", b"visits"])
            self.assertEqual((found[b"binary"], found[b"visits"]), (b"2", b"3"))
            host.end()

    def test_while_others_write_a_dump_has_each_key_that_stays_once(self):
        self.host("load")
        found = self.dump("numbers", "msgpack")
        self.assertEqual(sorted(found), sorted(b"n%d" % i for i in range(1000)))
        # What changes is in it once, too: `from_json` asks for that.
        until("there are keys", lambda: len(self.dump("busy")) > 100)

    def test_help(self):
        self.host()
        for command, parts in [("dump", ["dump [SPACE [FORMAT] [to FILE]]", "key_base64", "FILE.part-", "msgpack has an end", "not there",
                                         "each key that is there throughout, once", "the log is read three times",
                                         "For example: dump users msgpack to users.dump", '-c "dump users" > users.json']),
                               ("load", ["load SPACE FORMAT [new] [FILE]", "exit status 0", "`new` makes the space", "JSON lines have no end", "--allow-writes", "Ends at the first entry that is wrong",
                                         "the space must be there", "takes memory for all that it holds",
                                         "For example: load users msgpack users.dump", "< users.json"])]:
            said = self.say("help " + command)
            for part in parts:
                self.assertIn(part, said)


class TransfersGoWrong(TransferCase):
    """The other side, the disk, the reader, Ctrl-C."""

    ENTRY = {"entries": [[b"k", 7, b"v"]], "more": True}

    def test_a_dump_that_breaks_off_says_so_and_leaves_no_file(self):
        self.impostor(scan={"result": self.ENTRY}, spaces={"result": []},
                      next={"error": {"code": "not_found", "message": "nothing is going on"}})
        path = os.path.join(self.root, "file")
        self.expect(1, "-c", f"dump s to {path}", says=f"nothing is going on; the file {path} was not finished and is removed")
        self.assertFalse(os.path.exists(path))
        self.assertEqual(self.leftovers(), [])
        ended = self.run_shell("-c", "dump s")
        self.assertEqual((ended.returncode, ended.stdout), (1, ""))
        self.assertIn("nothing is going on; 1 key had been written", ended.stderr)

    def leftovers(self):
        return sorted(set(os.listdir(self.root)) - {"home", "store"})

    def test_an_answer_that_is_no_part_of_a_dump_ends_it(self):
        impostor = self.impostor(spaces={"result": []})
        path = os.path.join(self.root, "file")
        entry = [b"k", 7, b"v"]
        for answer in [{}, {"more": False}, {"entries": [entry]}, {"entries": b"x", "more": False},
                       {"entries": [entry], "more": 0}, {"entries": [[b"k", b"v"]], "more": False},
                       {"entries": [[b"k", 7]], "more": False}, {"entries": [["k", 7, b"v"]], "more": False},
                       {"entries": [[b"k", 7, "v"]], "more": False}, {"entries": [[b"", 7, b"v"]], "more": False},
                       {"entries": [7], "more": False}, []]:
            with self.subTest(answer):
                impostor.answers["scan"] = {"result": answer}
                for command in ["dump s", f"dump s msgpack to {path}"]:
                    ended = self.run_shell("-c", command)
                    self.assertEqual(ended.returncode, 1, ended)
                    self.assertIn("what the process answered is not what a space holds", ended.stderr)
                self.assertEqual(self.leftovers(), [])
        impostor.answers["scan"] = {"result": {"entries": [entry], "more": False}}
        self.assertEqual(self.dump("s", "msgpack"), {b"k": b"v"})

    def test_a_file_that_comes_while_it_is_dumped_is_left_alone(self):
        impostor = self.impostor(scan={"result": self.ENTRY}, spaces={"result": []}, next=None)
        path = os.path.join(self.root, "file")
        shell = self.shell("-c", f"dump s to {path}")
        until("it asks for more", lambda: len(impostor.requests) == 3)
        self.assertFalse(os.path.exists(path))
        self.assertEqual([name[:10] for name in self.leftovers()], ["file.part-"])
        self.file("file", b"other")
        impostor.release({"result": {"entries": [], "more": False}})
        _, complaint = shell.communicate(timeout=LIMIT_S)
        self.assertEqual(shell.returncode, 2)
        self.assertIn("is there already, and nothing is overwritten", complaint)
        self.assertEqual(self.leftovers(), ["file"])
        with open(path, "rb") as file:
            self.assertEqual(file.read(), b"other")

    def test_what_a_process_cannot_have_stored_ends_a_load(self):
        begun = {"result": {"stored": 0, "seq": 0}}
        done = {"result": {"stored": 1, "seq": 7}}
        entries = json_dump({b"a": b"1", b"b": b"2"})
        impostor = self.impostor(spaces={"result": [{"name": "s", "logged": True}]}, sync={"result": {"durable": 9}})
        for answers in [[{"result": {"stored": 3, "seq": 7}}], [{"result": {"stored": 0, "seq": 7}}],
                        [{"result": {"stored": 1}}], [{"result": {"seq": 7}}], [{"result": {}}],
                        [{"result": {"stored": "1", "seq": 7}}], [{"result": {"stored": 1, "seq": 0}}],
                        [done, {"result": {"stored": 2, "seq": 8}}]]:
            with self.subTest(answers):
                impostor.answers["put_many"] = [begun, *answers]
                said = self.load("s", entries, status=1, says="makes no sense")
                self.assertIn(f"at least {len(answers) - 1} key", said)
        for durable in [{}, {"durable": 6}, {"durable": "9"}]:
            with self.subTest(durable):
                impostor.answers["put_many"] = [begun, {"result": {"stored": 2, "seq": 7}}]
                impostor.answers["sync"] = {"result": durable}
                self.load("s", entries, status=1, says="what the process says of what is on disk makes no sense")
        large = json_entry(b"k", b"x" * 300_000)
        for part in [{"stored": 0, "seq": 0}, {"stored": 2, "seq": 7}]:
            with self.subTest(part):
                impostor.answers["put_many"] = [begun]
                impostor.answers["put_part"] = {"result": part}
                self.load("s", large, status=1, says="makes no sense")

    def test_an_interrupt_ends_a_dump_and_removes_its_file(self):
        impostor = self.impostor(scan={"result": self.ENTRY}, spaces={"result": []})
        path = os.path.join(self.root, "file")
        for command in ["dump s", f"dump s to {path}"]:
            with self.subTest(command):
                impostor.requests.clear()
                shell = self.shell("-c", command, "-c", "info")
                until("it asks for more", lambda: len(impostor.requests) == 3)
                shell.send_signal(signal.SIGINT)
                _, complaint = shell.communicate(timeout=LIMIT_S)
                self.assertEqual((shell.returncode, complaint), (130, "interrupted\n"))
                self.assertFalse(os.path.exists(path))

    def test_an_interrupt_ends_a_dump_that_nobody_reads(self):
        self.host()
        self.load("users", json_entry(b"large", b"x" * VALUE_BYTES_MAX))
        shell = self.shell("-c", "dump users")
        # As much as a pipe holds lies in it, and the shell waits.
        until("the shell waits for its reader", lambda: self.unread(shell.stdout) > 4096)
        self.interrupt(shell)
        self.assertEqual(shell.wait(LIMIT_S), 130)

    @staticmethod
    def has_open(shell, name):
        links = f"/proc/{shell.pid}/fd"
        try:
            return any(os.path.basename(os.readlink(os.path.join(links, one))) == name for one in os.listdir(links))
        except FileNotFoundError:  # Closed meanwhile.
            return False

    @staticmethod
    def unread(pipe):
        count = array.array("i", [0])
        fcntl.ioctl(pipe, termios.FIONREAD, count)
        return count[0]

    def test_an_interrupt_ends_a_load_that_waits_for_its_input(self):
        host = self.host()
        for look in ["live", "closed"]:
            with self.subTest(look):
                shell = self.shell("--allow-writes", "-c", "load users json", "-c", "info", stdin=subprocess.PIPE)
                if look == "live":
                    until("it has begun", lambda: "begins to load keys" in host.lines())
                else:
                    until("it looks at the files", lambda: self.has_open(shell, "LOCK"))
                shell.send_signal(signal.SIGINT)
                # Its input does not end before that.
                self.assertEqual(shell.wait(LIMIT_S), 130)
                # Of the files it may have come while they were opened.
                said = ["interrupted; 0 keys had been loaded\n"] + ["interrupted\n"] * (look == "closed")
                self.assertIn(shell.stderr.read(), said)
                host.end()

    def test_an_interrupt_before_a_load_has_begun_says_what_was_loaded(self):
        impostor = self.impostor(put_many=[None], spaces={"result": []})
        shell = self.shell("--allow-writes", "-c", "load users json", stdin=subprocess.PIPE)
        until("it has asked", lambda: any(b"put_many" in request for request in impostor.requests))
        shell.send_signal(signal.SIGINT)
        self.assertEqual(shell.wait(LIMIT_S), 130)
        self.assertEqual(shell.stderr.read(), "interrupted; 0 keys had been loaded\n")

    def test_an_interrupt_ends_a_load_that_waits_for_the_process(self):
        impostor = self.impostor(put_many=[{"result": {"stored": 0, "seq": 0}}, None], spaces={"result": []})
        shell = self.shell("--allow-writes", "-c", "load users json", stdin=subprocess.PIPE)
        shell.stdin.write('{"key": "k", "value": "v"}\n')
        shell.stdin.close()
        until("it has asked", lambda: len(impostor.requests) == 3)
        shell.send_signal(signal.SIGINT)
        shell.wait(LIMIT_S)
        self.assertEqual((shell.returncode, shell.stderr.read()), (130, "interrupted; at least 0 keys had been loaded\n"))

    def test_a_process_that_dies_under_a_load(self):
        host = self.host()
        shell = self.shell("--allow-writes", "-c", "load users json", stdin=subprocess.PIPE)
        until("it has begun", lambda: "begins to load keys" in host.lines())
        host.kill()
        _, complaint = shell.communicate("".join(f'{{"key": "k{i}", "value": "v"}}\n' for i in range(1000)), LIMIT_S)
        self.assertEqual(shell.returncode, 2)
        self.assertRegex(complaint, r"has ended.*; at least 0 keys had been loaded\n$")

    def test_what_a_slow_disk_refuses_is_sent_again(self):
        slow = {"error": {"code": "overloaded", "message": "the disk is slow"}}
        impostor = self.impostor(spaces={"result": []}, sync={"result": {"durable": 9}}, put_many=[
            slow, {"result": {"stored": 0, "seq": 0}}, slow, {"result": {"stored": 2, "seq": 7}}, slow,
            {"result": {"stored": 1, "seq": 8}}])
        self.load("s", json_dump({b"first": b"1", b"second": b"2", b"third": b"3"}), says="3 keys loaded")
        sent = [request for request in impostor.requests if b"put_many" in request]
        self.assertEqual([b"first" in request for request in sent], [False, False, True, True, False, False])
        self.assertEqual([b"third" in request for request in sent], [False, False, True, True, True, True])

    def test_what_the_process_refuses_ends_it(self):
        refused = {"error": {"code": "read_only", "message": "the log failed"}}
        self.impostor(spaces={"result": []}, put_many=[{"result": {"stored": 0, "seq": 0}},
                                                       {"result": {"stored": 1, "seq": 7}}, refused])
        self.load("s", json_dump({b"a": b"1", b"b": b"2"}), status=1, says="the log failed; at least 1 key had been loaded")

    def test_a_process_that_cannot_load(self):
        self.impostor(put_many={"error": {"code": "unsupported", "message": "this process has no command 'put_many'"}})
        self.load("s", json_entry(b"k", b"v"), status=2, says="this process has no command")

    def test_a_reader_that_goes_away_is_no_fault(self):
        host = self.host()
        for look in ["live", "closed"]:
            with self.subTest(look):
                self.load("users", json_entry(b"large", b"x" * VALUE_BYTES_MAX))
                shell = subprocess.Popen([SHELL, self.directory, "-c", "dump users"], stdout=subprocess.PIPE,
                                         stderr=subprocess.PIPE)
                shell.stdout.read(1)
                shell.stdout.close()
                self.assertEqual((shell.wait(LIMIT_S), shell.stderr.read()), (0, b""))
                shell.stderr.close()
                host.end()

    def test_a_full_disk_is_told(self):
        host = self.host()
        for look in ["live", "closed"]:
            with self.subTest(look), open("/dev/full", "w", encoding="utf-8") as full:
                ended = subprocess.run([SHELL, self.directory, "-c", "dump users"], stdout=full, stderr=subprocess.PIPE,
                                       text=True, timeout=LIMIT_S, check=False)
                self.assertEqual(ended.returncode, 1)
                self.assertIn("No space left on device", ended.stderr)
                self.assertEqual(ended.stderr.count("\n"), 1)
                host.end()


class TransfersInATerminal(TransferCase):
    def test_completion_pages_and_interrupts(self):
        host = self.host()
        terminal = self.terminal("--allow-writes")
        terminal.see_prompt()
        for typed, completed in [("dump us", "dump users"), ("load num", "load numbers")]:
            terminal.type(typed)
            terminal.key("Tab")
            terminal.see_prompt(completed)
            terminal.key("C-u")
        terminal.enter("dump users")
        terminal.see('{"key": "binary", "value_base64": "AP8="}')
        terminal.see_prompt()
        terminal.clear()
        terminal.enter("dump numbers")
        terminal.see("-- more")
        terminal.key("q")
        terminal.see_prompt()
        terminal.enter("dump users msgpack")
        terminal.see("msgpack is not for a terminal")
        # Whose other end nobody opens.
        pipe = os.path.join(self.root, "pipe")
        os.mkfifo(pipe)
        terminal.clear()
        terminal.enter(f"load users json {pipe}")
        until("it has begun", lambda: "begins to load keys" in host.lines())
        terminal.key("C-c")
        terminal.see("interrupted; 0 keys had been loaded")
        terminal.see_prompt()
        terminal.clear()
        terminal.enter("in users get ada")
        terminal.see("Lovelace")
        terminal.key("C-d")
        self.assertEqual(terminal.ended(), 0)

    def test_what_was_loaded_into_files_is_seen(self):
        self.host().end()
        path = self.file("entries", json_entry(b"new", b"value"))
        terminal = self.terminal("--allow-writes")
        terminal.see("(files)>")
        # What the shell knows of the files from before is not what is there then.
        terminal.enter("spaces")
        terminal.see("numbers")
        terminal.clear()
        terminal.enter(f"load added json new {path}")
        terminal.see("1 key loaded; the space is new")
        terminal.enter("spaces")
        terminal.see("added")
        terminal.enter("in added get new")
        terminal.see("value")
        terminal.see_prompt()

    def in_terminal(self, command):
        terminal = Terminal(self.home, "/bin/sh", "-c", command)
        self.addCleanup(terminal.close)
        return terminal

    def test_progress_beside_data_that_goes_elsewhere(self):
        self.impostor(scan={"result": {"entries": [[b"k", 7, b"v" * 1000]], "more": True}},
                      spaces={"result": [{"name": "s", "keys": 4, "logged": True}]})
        for more in [f"> {self.root}/out", f"--json > {self.root}/out", f"-c 'dump s to {self.root}/file'"]:
            with self.subTest(more):
                dump = "" if "-c" in more else "-c 'dump s'"
                terminal = self.in_terminal(f"exec {SHELL} {self.directory} {dump} {more}")
                terminal.see("[#######.......................] 25.0 %, 1 key, 1.0 KiB")
                terminal.key("C-c")
                self.assertEqual(terminal.ended(), 130)
                # What it wrote last may come to the screen after its end.
                until("the progress is gone", lambda: "25.0 %" not in terminal.screen())

    def test_progress_of_a_load(self):
        self.impostor(spaces={"result": []}, put_many=[{"result": {"stored": 0, "seq": 0}}, None])
        path = self.file("entries", json_dump({b"%d" % i: b"v" * 1000 for i in range(300)}))
        terminal = self.in_terminal(f"exec {SHELL} {self.directory} --allow-writes -c 'load s json {path}'")
        terminal.see(" KiB, 0 keys loaded")
        terminal.key("C-c")
        self.assertEqual(terminal.ended(), 130)

    def test_no_progress_in_the_midst_of_the_data(self):
        host = self.host()
        for look in ["live", "closed"]:
            with self.subTest(look):
                master, slave = pty.openpty()
                shell = subprocess.Popen([SHELL, self.directory, "-c", "dump users"], stdin=slave, stdout=slave,
                                         stderr=slave)
                os.close(slave)
                seen = b""
                try:
                    while more := os.read(master, 65536):
                        seen += more
                except OSError:  # The program has ended.
                    pass
                os.close(master)
                self.assertEqual(shell.wait(LIMIT_S), 0)
                self.assertEqual(len(from_json(seen.replace(b"\r\n", b"\n"))), 4)
                self.assertNotIn(b"\x1b", seen)
                host.end()


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
