#!/usr/bin/env bash
# `examples_test.sh TEST PROGRAM`: runs an example program as a user would, in a
# directory of its own, and checks what it prints and how it ends.

set -uo pipefail
(($# == 2)) || { echo "usage: examples_test.sh TEST PROGRAM" >&2; exit 2; }
program=$2
work=$(mktemp -d -p "$PWD") || exit 2
trap 'rm -rf "$work"' EXIT
output=''

fail() { printf 'FAILED: %s\n%s\n' "$*" "$output"; exit 1; }

# Runs the program, whose exit status must be STATUS.
expect_status() { # STATUS ARGUMENT…
  local status=0
  output=$("$program" "${@:2}" 2>&1) || status=$?
  ((status == $1)) || fail "exit status $status instead of $1 from: $program ${*:2}"
}

# The last output has a line that this extended regular expression matches.
expect_line() { grep -qE -- "$1" <<<"$output" || fail "no line matches: $1"; }

# An index of COUNT packages, with what real ones have.
write_index() { # COUNT
  awk -v count="$1" 'BEGIN { for (i = 0; i < count; i++) {
    printf "Package: package-%d\nVersion: 1.%d\nArchitecture: amd64\nDescription: number %d\n", i, i % 10, i
    for (line = i % 7; line > 0; line--) printf " %0*d\n", 20 * line, i
    printf "\n" } }' >"$work/index"
}

test_hello() {
  for _ in first again; do
    expect_status 0 "$work/store"
    expect_line '^hello, world$'
    expect_line '^on disk up to [1-9][0-9]*$'
  done
}

test_sessions() {
  expect_status 0 "$work/store"
  expect_line '^ada has session-1, grace has session-2, both on disk$'
  expect_line '^refused: no session session-2: log in first$'
  expect_line '^session-1: ada has 2 items in the cart$'
  expect_line '^1 active, 1 ended, 3 requests$'
  expect_status 0 "$work/store"
  expect_line '^session-1: ada has 2 items in the cart$'
  expect_line '^session-3: ada has 2 items in the cart$'
  expect_line '^2 active, 2 ended, 6 requests$'
  expect_status 2
}

# Starts the service in the background, and learns its port.
start_service() { # [SECONDS between its reports]
  : >"$work/output"
  "$program" "$work/store" 0 "${1:-10}" >"$work/output" 2>&1 &
  service=$!
  trap 'kill -KILL $service 2>/dev/null; rm -rf "$work"' EXIT
  until port=$(sed -n 's/^listening on 127.0.0.1://p' "$work/output") && [[ -n $port ]]; do
    kill -0 "$service" 2>/dev/null || { output=$(<"$work/output"); fail "the service ended"; }
    sleep 0.01
  done
  exec 3<>"/dev/tcp/127.0.0.1/$port"
}

# Ends the service by a signal; its exit status must be STATUS.
end_service() { # SIGNAL STATUS
  local status=0
  kill -"$1" "$service"
  wait "$service" 2>/dev/null || status=$?
  output=$(<"$work/output")
  ((status == $2)) || fail "exit status $status instead of $2 after SIG$1"
}

ask() { # REQUEST: the answer to it becomes the output
  printf '%s\n' "$1" >&3
  IFS= read -r -t 60 output <&3 || fail "no answer to: $1"
}

test_service() {
  start_service
  grep -qxF "to look inside: actable-shell $work/store" "$work/output" || fail "no word of actable-shell"
  [[ -S $work/store/debug.sock ]] || fail "there is no debug socket"
  ask 'login ada'
  expect_line '^ok session-1$'
  end_service KILL 137

  # What was answered survived that. Connections that are open keep nobody from stopping.
  start_service 0.05
  ask 'show session-1'
  expect_line '^ok ada:$'
  ask 'buy session-1 tea'
  expect_line '^ok 1 items$'
  ask 'buy session-1 rice'
  expect_line '^ok 2 items$'
  ask 'show session-1'
  expect_line '^ok ada: tea rice$'
  ask 'login grace'
  expect_line '^ok session-2$'
  ask 'logout session-1'
  expect_line '^ok ada$'
  ask 'buy session-1 compiler'
  expect_line '^error no session session-1: log in first$'
  for request in 'sell session-2 tea' 'buy session-2' 'show' '' 'buy session-2 green tea'; do
    ask "$request"
    expect_line '^error there are: login USER, buy SESSION ITEM'
  done
  ask 'dance session-2'
  expect_line "^error no request 'dance'; there are: login USER"

  # More in a second than a session may have, however slow the machine is; answers come in order.
  until [[ $output == 'error too many requests of session-2; try again in a second' ]]; do
    for _ in {1..64}; do echo 'show session-2'; done >&3
    for _ in {1..64}; do
      IFS= read -r -t 60 reply <&3 || fail "no answer to one of many"
      [[ $reply == 'ok grace:' ]] || output=$reply
    done
  done
  until grep -qE '^log: [1-9][0-9]* bytes in [1-9][0-9]* rounds, [1-9][0-9]* syncs, ' "$work/output"; do sleep 0.01; done
  printf '%05000d' 0 >&3
  IFS= read -r -t 60 output <&3
  expect_line '^error a line is too long'
  exec 3<>"/dev/tcp/127.0.0.1/$port"
  ask 'login grace'
  end_service TERM 0
  expect_line '^stopped; all is on disk$'

  start_service
  ask 'show session-3'
  expect_line '^ok grace:$'
  end_service INT 0
  expect_line '^stopped; all is on disk$'
}

test_service_bad_input() {
  expect_status 2
  expect_line '^usage: .*service DIRECTORY'
  for arguments in 'port' '70000' '0 often' '0 -1'; do
    # shellcheck disable=SC2086
    expect_status 2 "$work/store" $arguments
  done
  : >"$work/file"
  expect_status 1 "$work/file"
  expect_line '^service: .*file'
  start_service
  expect_status 1 "$work/store"
  expect_line '^service: .*store'
  expect_status 1 "$work/other" "$port"
  expect_line "^service: cannot listen on port $port"
  end_service TERM 0
}

test_packages() {
  write_index 3000
  expect_status 0 --index="$work/index" --dir="$work/dir"
  expect_line '^3,000 packages from .*, 0 of them with a name that others have too; seed [0-9]+$'
  expect_line '^loading: 25 %$'
  expect_line '^Every check held, in '
  expect_line '^  loaded +3,000 records, .* records/s, .* MB/s$'
  expect_line '^  synchronous writes +[1-9][0-9,]* acknowledged, all there$'
  expect_line '^  exact prefix +all 3,000 packages, '
  (($(grep -c '^  ... writer: killed with SIGKILL' <<<"$output") == 3)) || fail "not three kills"
}

test_packages_bad_input() {
  write_index 1
  expect_status 0 --help
  expect_status 2
  expect_status 2 --index="$work/index" --dir="$work/dir" --no-such-option
  expect_status 1 --index="$work/missing" --dir="$work/dir"
  expect_line 'cannot read .*missing'
  expect_status 1 --index="$work/index" --dir="$work/no/parent"
  expect_line 'cannot make the directory'
  : >"$work/empty"
  expect_status 1 --index="$work/empty" --dir="$work/dir"
  expect_line 'lists no packages: run .apt-get update.'
  echo 'Version: 1' >"$work/nameless"
  expect_status 1 --index="$work/nameless" --dir="$work/dir"
  expect_line 'nameless:1: this stanza has no Package field'
  mkdir -p "$work/dir/store"
  expect_status 1 --index="$work/index" --dir="$work/dir"
  expect_line 'is there already: give an empty --dir'
}

# Ctrl-C while the writer runs: says so, ends with 130, and takes the writer along.
test_packages_interrupted() {
  local job status=0
  write_index 3000
  "$program" --index="$work/index" --dir="$work/dir" >"$work/output" 2>&1 &
  job=$!
  until [[ -e $work/dir/journal-1st ]]; do
    kill -0 "$job" 2>/dev/null || { output=$(<"$work/output"); fail "ended before it was interrupted"; }
    sleep 0.01
  done
  kill -INT "$job"
  wait "$job" || status=$?
  output=$(<"$work/output")
  ((status == 130)) || fail "exit status $status instead of 130"
  expect_line '^interrupted: the writer was stopped'
  # From a file, so that grep does not find itself.
  echo "--writer=$work/dir/journal-1st" >"$work/argument"
  # Where the writer goes on, CTest's limit ends this.
  while grep -qasF -f "$work/argument" /proc/[0-9]*/cmdline; do sleep 0.05; done
}

"test_$1"
