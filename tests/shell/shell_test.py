#!/usr/bin/env python3
"""actable-shell as a person and as a script use it: shell_test.py SHELL HOST [NAME…]
"""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import unittest

from scene import HOST, LIMIT_S, SHELL, Case, until


class InATerminal(Case):
    def test_help_completion_and_history(self):
        self.host()
        terminal = self.terminal()
        terminal.see("Looking into process")
        terminal.see_prompt()
        terminal.enter("help")
        terminal.see("latency doctor")
        # More commands than lines.
        terminal.see("-- more")
        terminal.key("Space")
        terminal.see("quit")
        terminal.see_prompt()
        terminal.enter("help scan")
        terminal.see("For example: scan user: 100")
        # A command, a space, an actor, an option, the second word of a name.
        for typed, completed in [("spac", "spaces"), ("use us", "use users"), ("trace sto", "trace store"),
                                 ("set sy", "set sync_interval"), ("latency d", "latency doctor"),
                                 ("in num", "in numbers"), ("in users sc", "in users scan")]:
            terminal.type(typed)
            terminal.key("Tab")
            terminal.see_prompt(completed)
            terminal.key("C-u")
        terminal.type("s")
        terminal.key("Tab")
        terminal.see("scan  set  shards  slowlog  spaces  sync")
        terminal.key("C-u")
        terminal.clear()
        terminal.enter("use users")
        terminal.see(":users>")
        terminal.enter("get ada")
        terminal.see("Lovelace")
        terminal.clear()
        terminal.key("Up")
        terminal.see_prompt("get ada")
        terminal.key("Enter")
        terminal.see("Lovelace")
        terminal.enter("quit")
        self.assertEqual(terminal.ended(), 0)
        # And it is remembered, for nobody else's eyes.
        path = os.path.join(self.home, ".actable_history")
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
        again = self.terminal()
        again.see_prompt()
        again.key("Up", "Up")
        again.see_prompt("get ada")

    def test_an_interrupt_ends_the_command_or_the_line_and_not_the_shell(self):
        self.host("load")
        terminal = self.terminal()
        terminal.see_prompt()
        terminal.enter("top 1")
        terminal.see("until Ctrl-C")
        terminal.see("space users")
        terminal.key("C-c")
        terminal.see_prompt()
        terminal.type("half a comm")
        terminal.see_prompt("half a comm")
        terminal.key("C-c")
        terminal.see("^C")
        terminal.see_prompt()
        terminal.enter("trace log 5")
        terminal.key("C-c")
        terminal.see_prompt()
        terminal.clear()
        terminal.enter("in users get ada")
        terminal.see("Lovelace")
        terminal.key("C-d")
        self.assertEqual(terminal.ended(), 0)

    def test_top_fits_any_terminal(self):
        self.host("load")
        for columns, lines in [(40, 12), (80, 24), (20, 4)]:
            with self.subTest(columns=columns, lines=lines):
                terminal = self.terminal(columns=columns, lines=lines)
                terminal.see("store>")
                terminal.clear()
                terminal.enter("top 0.1")
                # Nothing has scrolled and nothing went over the edge, time after time: nothing waits for a key.
                frame = re.compile(r"every 100 ms[^\n]*\nlog .*\nACTOR " if lines > 10 else r"every 100 ms[^\n]*\nlog ",
                                   re.DOTALL)
                until("it shows figures", lambda: frame.match(terminal.screen()))
                seen = terminal.screen()
                until("they change", lambda: frame.match(terminal.screen()) and terminal.screen() != seen)
                self.assertNotIn("-- more", terminal.screen())
                terminal.key("C-c")
                terminal.see("store>")

    def test_colours_are_for_the_terminal(self):
        self.host()
        terminal = self.terminal()
        terminal.see_prompt()
        terminal.enter("spaces")
        terminal.see("numbers")
        self.assertTrue(terminal.bold("SPACE"))
        self.assertNotIn("\x1b", self.say("spaces"))

    def test_a_long_answer_comes_page_by_page_and_can_be_left(self):
        self.host()
        terminal = self.terminal()
        terminal.see_prompt()
        for leave in ["q", "C-c"]:
            terminal.enter("in numbers scan n 1000")
            terminal.see("-- more")
            terminal.key("Space")
            terminal.see("-- more")
            terminal.key(leave)
            terminal.see_prompt()
            terminal.clear()
        terminal.enter("in numbers scan n 100")
        terminal.see("-- more")
        terminal.key("a")
        terminal.see_prompt()

    def test_a_monitor_ends_when_it_is_left(self):
        self.host("load")
        terminal = self.terminal()
        terminal.see_prompt()
        for leave in ["q", "C-c"]:
            terminal.enter("monitor")
            terminal.see("-- more")
            terminal.key(leave)
            terminal.see_prompt()
            terminal.clear()

    def test_the_process_dies_meanwhile(self):
        host = self.host()
        terminal = self.terminal()
        terminal.see_prompt()
        terminal.enter("in users get ada")
        terminal.see("Lovelace")
        host.kill()
        terminal.enter("info")
        terminal.see("has ended")
        terminal.see_prompt()
        terminal.enter("info")
        terminal.see("nobody serves the debug socket")
        terminal.key("C-d")
        self.assertEqual(terminal.ended(), 0)
        # What it left is files, and a socket that nobody serves.
        self.assertIn("Lovelace", self.say("in users get ada"))
        # The next process is found.
        self.host()
        self.assertIn("process ", self.say("info"))

    def test_the_process_dies_under_top(self):
        host = self.host("load")
        terminal = self.terminal()
        terminal.see_prompt()
        terminal.enter("top 0.2")
        terminal.see("until Ctrl-C")
        host.kill()
        terminal.see("has ended")
        terminal.see_prompt()


class InAScript(Case):
    def test_statuses(self):
        self.host()
        self.assertEqual(self.expect(0, "-c", "in users get ada"), "Lovelace\n")
        self.expect(1, "-c", "in users get nobody", says="there is no key nobody")
        self.expect(1, "-c", "in usres get ada", says="there is no space")
        self.expect(2, "-c", "gte ada", says="do you mean `get`?")
        self.expect(2, "-c", "gt ada", says="do you mean `get`?")
        self.expect(2, "-c", "frobnicate", says="`help` lists them")
        self.expect(2, "-c", "in users get", says="usage: get KEY [text|hex|json], for example: get ada json")
        self.expect(2, "-c", "in users get 'ada", says="a quote is open")
        self.expect(2, "-c", "get ada", says="which space?")
        self.expect(2, "-c", "verify", says="is for closed files")
        self.expect(2, "-c", "top x", says="0.1 to 3600 seconds")
        self.expect(2, "-c", "in users scan a b c", says="too many arguments")
        self.expect(2, "--frobnicate", says="--frobnicate")
        # The worst of several.
        self.assertEqual(self.expect(1, "-c", "in users get nobody", "-c", "in users get ada", says="no key"),
                         "Lovelace\n")

    def test_lines_of_standard_input(self):
        self.host()
        self.assertEqual(self.expect(0, script="use users\n\nget ada\nquit\nget nobody\n"), "Lovelace\n")
        self.assertEqual(self.expect(1, script="use users\nget nobody\nget ada", says="there is no key"), "Lovelace\n")

    def test_json(self):
        self.host()
        for command in ["info", "spaces", "shards users", "actors", "top 0.1", "log", "memory", "config",
                        "latency doctor", "latency", "hot", "slowlog", "in users get binary", "in users history ada",
                        "in numbers count", "in numbers big", "help", "help scan"]:
            with self.subTest(command):
                self.assertIsNotNone(json.loads(self.say(command, "--json")))
        latency = json.loads(self.say("latency", "--json"))
        self.assertIn("operations", latency)
        self.assertEqual(len(latency["stages"]["sync_durations"]), 25)
        lines = self.say("in users scan", "--json").splitlines()
        values = {json.loads(line)["key"]: json.loads(line)["value"] for line in lines}
        self.assertEqual(values["ada"], "Lovelace")
        self.assertEqual(values["binary"], {"hex": "00ff"})

    def test_what_is_shown(self):
        self.host()
        self.assertEqual(self.say("in users get grace"), '{"age": 85, "ships": 3}\n')
        self.assertEqual(self.say("in users get binary"), "00ff\n")
        self.assertEqual(self.say("in users get ada hex"), "4c6f76656c616365\n")
        self.assertEqual(self.say("in numbers count"), "1,000\n")
        self.assertEqual(self.say("in numbers count n99"), "11\n")
        self.assertIn("999 B  n999", self.say("in numbers big 1"))
        self.assertIn("on disk", self.say("in users history ada"))
        self.assertEqual(len(self.say("in numbers scan n 50").splitlines()), 50)
        self.assertIn("`- ", self.say("actors"))
        self.assertIn("syncs by how long they took", self.say("log"))

    def test_operations_are_sampled(self):
        self.host("load")
        self.say("set sample_every 1", "--allow-writes")
        load = re.compile(r"OPERATION +RATE +P50 +P90 +P99 +P99.9 +MAX\n"
                          r"get +[^\n]+\nput +[0-9.]+ [kM]?/s +[0-9.]+ [num]?s ")
        latency = until("the load is seen", lambda: load.match(self.say("latency"))).string
        self.assertRegex(latency, r"STAGE +P50 UNDER +P90 UNDER +P99 UNDER +MAX\nsync of the log +[0-9.]+ [num]?s ")
        # Half of all operations are on that key.
        hottest = re.compile(r"KEY.*\nusers +ada +[0-9,]+ ")
        until("the hottest key is found", lambda: hottest.search(self.say("hot 1")))
        self.assertEqual(len(self.say("slowlog 3").splitlines()), 5)
        operation = re.compile(r"(put busy k[0-9]+ 10 B|get users ada 8 B) [0-9.]+ [num]?s")

        def monitor():
            lines = [line for line in self.say("monitor 20").splitlines() if " more came too fast" not in line]
            self.assertEqual(len(lines), 20)
            return any(map(operation.fullmatch, lines))

        # Samples of what the host did before may come first.
        until("the load is seen", monitor)
        for line in self.say("monitor 20", "--json").splitlines():
            self.assertIn(json.loads(line)["operation"], ["put", "get", "add"])
        self.say("set sample_every 0", "--allow-writes")
        self.assertIn("operations are not sampled", self.say("hot"))
        self.expect(2, "-c", "hot none", says="no number from 1 to 10000")

    def test_writing_is_off_unless_asked_for_and_leaves_lines_in_the_log(self):
        host = self.host()
        for command in ["put ada x", "erase ada", "add visits 1", "sync", "restart log", "crash log",
                        "set sync_interval 1s", "checkpoint now", "heal"]:
            self.expect(2, "-c", "in users " + command, says="--allow-writes")
        self.assertEqual(self.say("in users get ada"), "Lovelace\n")
        for command, answer in [('put ada "a b\\x00"', "stored, number"), ("get ada hex", "61206200"),
                                ("add visits 1", "42"), ("erase ada", "erased"), ("sync", "on disk up to number"),
                                ("set sync_interval 50ms", "50ms"), ("restart log", "starts again"),
                                ("crash log", "was crashed"), ("checkpoint now", "a checkpoint is written: "),
                                ("heal", "there is nothing to heal")]:
            self.assertIn(answer, self.say("in users " + command, "--allow-writes"))
        self.expect(1, "--allow-writes", "-c", "in users erase ada", says="there is no key ada")
        self.expect(1, "--allow-writes", "-c", "crash nobody", says="there is no actor 'nobody'")
        self.expect(2, "--allow-writes", "-c", "set shards 8", says="cannot be set in a running store")
        self.expect(2, "--allow-writes", "-c", "set sync_interval soon", says="20ms or 2s")
        self.assertIn("50ms", self.say("config"))
        log = host.lines()
        for line in ['put "ada" with 4 bytes in the space "users"', 'added 1 to "visits"', 'erased "ada"', "sync",
                     "set sync_interval to 50ms", 'started again the actor "log"', 'crashed the actor "log"']:
            self.assertIn(line, log)
        self.assertRegex(log, rf'debug shell \(user {os.geteuid()}, process [0-9]+, "actable-shell"\): put ')

    def test_verify_counts_what_the_checkpoint_holds_and_what_came_behind_it(self):
        host = self.host()
        self.say("checkpoint now", "--allow-writes")
        self.say("in users put later x", "--allow-writes")
        host.end()
        said = self.say("verify")
        self.assertRegex(said, r"CHECKPOINT +BLOCKS +RECORDS +BYTES\nckpt-\d{8} ")
        self.assertRegex(said, r"whole: 1,\d{3} records of the checkpoint and 1 of the log behind it, up to number")
        found = json.loads(self.say("verify", "--json"))
        self.assertGreater(found["checkpoint_records"], 1000)
        self.assertEqual(found["records_applied"], 1)

    def test_a_reader_that_goes_away_is_no_fault(self):
        self.host()
        shell = subprocess.Popen([SHELL, self.directory, "-c", "in numbers scan n 1000"], stdout=subprocess.PIPE)
        shell.stdout.readline()
        shell.stdout.close()
        self.assertEqual(shell.wait(LIMIT_S), 0)


class OfFiles(Case):
    def setUp(self):
        super().setUp()
        self.host().end()

    def test_what_the_store_held(self):
        self.assertIn("none: these are closed files", self.say("info"))
        self.assertEqual(self.say("in users get ada"), "Lovelace\n")
        self.assertEqual(len(self.say("in numbers scan n 1000").splitlines()), 1000)
        self.assertIn("numbers", self.say("spaces"))
        self.assertIn("whole: ", self.say("verify"))
        dump = self.say("dump")
        self.assertIn("put ada Lovelace", dump)
        self.assertIn("clean close", dump)
        for command in ["info", "spaces", "verify", "in users get ada"]:
            self.assertIsNotNone(json.loads(self.say(command, "--json")))
        for line in self.say("dump", "--json").splitlines():
            json.loads(line)
        self.expect(1, "-c", "in users get nobody", says="there is no key")
        self.expect(1, "-c", "in numbres count", says="do you mean numbers?")
        self.expect(2, "-c", "actors", says="only a running process can tell")
        self.expect(2, "--allow-writes", "-c", "in users put ada x", says="only a running process can tell")

    def test_in_a_terminal(self):
        terminal = self.terminal()
        terminal.see("No process serves this store")
        terminal.see("(files)>")
        terminal.enter("verify")
        terminal.see("and the store was closed")
        terminal.see_prompt()

    def test_damage_is_named(self):
        segment = os.path.join(self.directory, min(name for name in os.listdir(self.directory) if name.startswith("log-")))
        with open(segment, "r+b") as file:
            # The second frame's header: it may be all that the frame has.
            file.seek(2 * 4096 + 16)
            byte = file.read(1)
            file.seek(-1, os.SEEK_CUR)
            file.write(bytes([byte[0] ^ 1]))
        ended = self.run_shell("-c", "verify")
        self.assertEqual(ended.returncode, 1)
        self.assertIn(os.path.basename(segment) + ": offset", ended.stderr)
        self.assertEqual(ended.stderr.count("\n"), 1)


    def test_what_is_no_file_is_refused_and_not_waited_for(self):
        segment = min(name for name in os.listdir(self.directory) if name.startswith("log-"))
        for name in ["STORE", segment, "log-99999999"]:
            path = os.path.join(self.directory, name)
            with self.subTest(name):
                if os.path.exists(path):
                    os.rename(path, path + ".kept")
                os.mkfifo(path)
                self.expect(2, "-c", "verify", says=f"{name} is no regular file")
                os.remove(path)
                if os.path.exists(path + ".kept"):
                    os.rename(path + ".kept", path)
        os.remove(os.path.join(self.directory, "LOCK"))
        os.mkfifo(os.path.join(self.directory, "LOCK"))
        self.assertIn("whole: ", self.say("verify"))

    def test_a_file_of_an_impossible_size_is_refused_and_not_read(self):
        with open(os.path.join(self.directory, "log-99999999"), "wb") as file:
            file.truncate(1 << 40)
        self.expect(1, "-c", "verify", says="log-99999999 is 1.0 TiB long, and a store's files have 4 GiB at most")


class BadInput(Case):
    def test_directories(self):
        self.expect(2, directory=os.path.join(self.root, "missing"), says="does not exist")
        self.expect(2, directory=self.root, says="holds no store")
        path = os.path.join(self.root, "file")
        with open(path, "w", encoding="utf-8") as file:
            file.write("text")
        ended = self.run_shell(directory=path)
        self.assertEqual(ended.returncode, 2)
        self.assertEqual(ended.stderr.count("\n"), 1)

    def test_no_permission(self):
        if os.geteuid() != 0:
            self.skipTest("only root can become another user")
        self.host()
        os.chmod(self.root, 0o755)
        # A copy: the tree may lie where that user comes to nothing.
        program = shutil.copy(SHELL, self.root)
        self.expect(2, "-c", "info", says="Permission denied", user=65534, program=program)

    def test_a_live_process_without_a_socket(self):
        host = self.host("no-socket")
        self.expect(2, "-c", "info", says=f"is open in process {host.process.pid}")
        # Which was not kept from anything.
        host.end()
        self.assertEqual(host.process.returncode, 0)

    def test_two_hosts(self):
        first = self.host()
        second = subprocess.run([HOST, self.directory], capture_output=True, text=True, timeout=LIMIT_S, check=False,
                                stdin=subprocess.DEVNULL)
        self.assertEqual(second.returncode, 1)
        self.assertIn(f"locked by process {first.process.pid}", second.stderr)
        self.assertEqual(second.stderr.count("\n"), 1)
        self.say("info")

    def test_a_process_of_another_version(self):
        os.mkdir(self.directory, 0o700)
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(os.path.join(self.directory, "debug.sock"))
            server.listen()
            shell = subprocess.Popen([SHELL, self.directory, "-c", "info"], stderr=subprocess.PIPE, text=True)
            client, _ = server.accept()
            welcome = b"\x83\xa8protocol\xadactable-debug\xa7version\x02\xa3new\xc3"
            client.sendall(len(welcome).to_bytes(4, "little") + welcome)
            _, complaint = shell.communicate(timeout=LIMIT_S)
            client.close()
        self.assertEqual(shell.returncode, 2)
        self.assertIn("speaks version 2 of the debug protocol, this one version 1", complaint)
        self.assertEqual(complaint.count("\n"), 1)

    def test_too_many_clients(self):
        self.host()
        clients = []
        for _ in range(8):
            client = socket.socket(socket.AF_UNIX)
            client.connect(os.path.join(self.directory, "debug.sock"))
            hello = b"\x84\xa8protocol\xadactable-debug\xa7version\x01\xa6writes\xc2\xa6client\xa0"
            client.sendall(len(hello).to_bytes(4, "little") + hello)
            client.recv(4096)
            clients.append(client)
        self.expect(2, "-c", "info", says="8 debug clients")
        for client in clients:
            client.close()

    def test_a_client_that_does_not_read_holds_up_nobody(self):
        self.host("load")
        deaf = socket.socket(socket.AF_UNIX)
        deaf.connect(os.path.join(self.directory, "debug.sock"))
        hello = b"\x84\xa8protocol\xadactable-debug\xa7version\x01\xa6writes\xc2\xa6client\xa0"
        scan = (b"\x83\xa2id\x01\xa7command\xa4scan\xa9arguments\x83\xa5space\xa7numbers\xa6prefix\xc4\x00"
                b"\xa5limit\xcd\x03\xe8")
        deaf.sendall(b"".join(len(one).to_bytes(4, "little") + one for one in [hello] + [scan] * 100))
        for _ in range(5):
            self.say("info")
            self.assertEqual(self.say("in numbers count"), "1,000\n")
        deaf.close()


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
