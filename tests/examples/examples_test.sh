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
  for _ in {1..100}; do
    grep -lasF -f "$work/argument" /proc/[0-9]*/cmdline >/dev/null || return 0
    sleep 0.1
  done
  fail "the writer goes on"
}

"test_$1"
