#!/usr/bin/env python3
"""repair of the program itself: repair_test.py SHELL HOST [NAME…]"""

import json
import os
import sys
import unittest

from scene import Case


class Repairs(Case):
    def setUp(self):
        super().setUp()
        self.host().end()
        self.new = os.path.join(self.root, "new")
        self.segment = os.path.join(self.directory, "log-00000001")

    def flip(self, path, offset):
        with open(path, "r+b") as file:
            file.seek(offset)
            byte = file.read(1)[0]
            file.seek(offset)
            file.write(bytes([byte ^ 0x40]))

    def lines(self, status, *more):
        ended = self.run_shell("--json", "-c", f"repair {self.new}", *more)
        self.assertEqual(ended.returncode, status, ended)
        return [json.loads(line) for line in ended.stdout.splitlines()]

    def test_nothing_lost(self):
        said = self.say(f"repair {self.new}")
        self.assertIn("space users: 4 keys\n", said)
        self.assertIn(f"nothing was lost: 1,004 keys in 2 spaces are in {self.new}\n", said)
        self.assertEqual(self.expect(0, "-c", "dump users", directory=self.new).count("\n"), 4)
        self.assertIn("and the store was closed", self.expect(0, "-c", "verify", directory=self.new))

    def test_what_is_lost_is_listed(self):
        frames = [json.loads(line) for line in self.say("dump", "--json").splitlines() if '"frame"' in line]
        lost = next(frame for frame in frames if frame["records"] > 0)
        self.flip(self.segment, lost["offset"] + 80)
        *lines, last = self.lines(3)
        summary = last["repaired"]
        damage = lines[0]["damage"]
        self.assertEqual((damage["file"], damage["offset"], damage["lost"]), ("log-00000001", lost["offset"], True))
        self.assertLess(damage["from"], damage["to"])
        self.assertTrue(summary["lost"])
        self.assertEqual(summary["stale"], sum("stale" in line for line in lines))
        self.assertEqual(self.lines(2), [])
        ended = self.run_shell("-c", f"repair {self.new}2")
        self.assertEqual(ended.returncode, 3)
        self.assertIn(f"lost: log-00000001: offset {lost['offset']:d}, ", ended.stdout)
        self.assertIn("something was lost, or may have been; ", ended.stderr)

    def test_a_store_without_its_identity(self):
        self.flip(os.path.join(self.directory, "STORE"), 30)
        for command in ["verify", "spaces", "info", "dump"]:
            self.expect(1, "-c", command, says="`repair NEWDIR` makes a store of what is left")
        self.assertIn("repair", self.say("help"))
        said = self.say(f"repair {self.new}")
        self.assertIn("damaged, nothing lost: STORE: ", said)
        os.remove(os.path.join(self.directory, "STORE"))
        self.expect(2, "-c", "verify", says="it has no file STORE; `repair NEWDIR` makes a store")
        self.say(f"repair {self.new}2")
        empty = os.path.join(self.root, "empty")
        os.mkdir(empty)
        self.expect(2, "-c", f"repair {self.new}3", directory=empty, says="holds no store: it has no file STORE")

    def test_places_and_help(self):
        self.expect(2, "-c", f"repair {self.directory}", says="is the damaged store's directory")
        self.expect(2, "-c", "repair", says="too few arguments")
        for part in ["Exit status 0: nothing was lost; 3: something was", "space-N", "Of closed files only."]:
            self.assertIn(part, self.say("help repair"))
        self.host()
        self.expect(2, "-c", f"repair {self.new}", says="repair: is for closed files")
        self.assertFalse(os.path.exists(self.new))

    def test_in_a_terminal(self):
        terminal = self.terminal()
        terminal.see("(files)>")
        terminal.enter(f"repair {self.new}")
        terminal.see("nothing was lost: 1,004 keys")
        terminal.see_prompt()


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
