#!/usr/bin/env bash
# `bench_test.sh TEST PROGRAM`: runs actable-bench as a user would, on very small
# inputs, and checks what it prints and how it ends.

set -uo pipefail
(($# == 2)) || { echo "usage: bench_test.sh TEST PROGRAM" >&2; exit 2; }
program=$2
work=$(mktemp -d -p "$PWD") || exit 2
trap 'rm -rf "$work"' EXIT
output=''
tiny=(--num=500 --ops=400 "--dir=$work")

fail() { printf 'FAILED: %s\n%s\n' "$*" "$output"; exit 1; }

# Runs the program, whose exit status must be STATUS, and which leaves nothing behind.
expect_status() { # STATUS ARGUMENT…
  local status=0 left
  output=$("$program" "${@:2}" 2>&1) || status=$?
  ((status == $1)) || fail "exit status $status instead of $1 from: $program ${*:2}"
  left=$(find "$work" -name 'actable-bench-*')
  [[ -z $left ]] || fail "left behind: $left"
}

# The last output has a line that this extended regular expression matches.
expect_line() { grep -qE -- "$1" <<<"$output" || fail "no line matches: $1"; }
expect_no_line() { ! grep -qE -- "$1" <<<"$output" || fail "a line matches: $1"; }

# The benchmarks, and the engines in this build, by what --help says.
all_benchmarks() { "$program" --help | awk '/^Benchmarks:/ {on = 1; next} on && NF == 0 {exit} on {print $1}'; }
all_engines() { "$program" --help | sed -n 's/^Engines in this build: //p' | tr -d ' ' | tr , '\n'; }

# A field of the only run of a benchmark on an engine.
field() { # CSV NAME BENCHMARK ENGINE
  awk -F, -v name="$2" -v benchmark="$3" -v engine="$4" '
    NR == 1 { for (i = 1; i <= NF; i++) column[$i] = i
              if (!(name in column)) print "no such field: " name }
    NR > 1 && $column["benchmark"] == benchmark && $column["engine"] == engine { print $column[name] }' "$1"
}

expect_between() { # WHAT VALUE MIN MAX
  awk -v value="$2" -v min="$3" -v max="$4" 'BEGIN { exit !(value != "" && value + 0 >= min && value + 0 <= max) }' ||
    fail "$1 is \"$2\", not between $3 and $4"
}

expect_at_least() { # WHAT VALUE MIN
  awk -v value="$2" -v min="$3" 'BEGIN { exit !(value != "" && value + 0 >= min) }' || fail "$1 is \"$2\", less than $3"
}

# Those that take their time or the disk's have tests of their own.
test_every_benchmark() {
  local benchmark list
  list=$(all_benchmarks | grep -vE '^(disk.*|idle|openclose|recover|actor.*|analytics)$' | paste -sd ,)
  for options in "--threads=1" "--threads=3"; do
    expect_status 0 "${tiny[@]}" "$options" --benchmarks="$list"
    for benchmark in ${list//,/ }; do
      case $benchmark in
        ycsb-e) expect_line '^ycsb-e is not available until there are ordered spaces' ;;
        *) expect_line "^$benchmark +\[[a-z]+, [13] thread.*\] +: " ;;
      esac
    done
    expect_line '^latency .*the empty loop takes [0-9.]+ ns a get'
    # In a pipe nothing is written over.
    expect_no_line $'\r'
  done
}

test_every_engine() {
  local engine
  for engine in $(all_engines); do
    expect_status 0 "${tiny[@]}" --threads=2 --engines="$engine" \
      --benchmarks=fillseq,fillrandom,overwrite,readrandom,multiread,readmissing,mixed50,churn,ycsb-d,ycsb-f,erase
    expect_line "^erase +\[$engine, 2 threads\]"
  done
}

test_disk() {
  expect_status 0 --benchmarks=diskprobe --engines=sharded --ops=5 --repeat=2 --dir="$work" --csv="$work/out.csv"
  expect_line '^diskwrite +\[disk, 1 thread\] .* MB/s  p50 '
  expect_line '^disksync +\[disk, 1 thread\] .*p50 '
  [[ $(field "$work/out.csv" ops disksync disk | paste -sd ,) == 5,5 ]] || fail "not 5 syncs each time"
  # Of the disk: no engine was opened for them.
  expect_no_line '^disk.*sharded'
}

test_idle() {
  expect_status 0 --num=500 --dir="$work" --benchmarks=fillrandom,idle --duration=0.2 --csv="$work/out.csv"
  expect_line '^idle +\[actable, 1 thread\] +: [0-9.]+ % of a core  0 bytes written  in [0-9.]+ s'
  expect_at_least "seconds" "$(field "$work/out.csv" seconds idle actable)" 0.2
  expect_between "processor use" "$(field "$work/out.csv" cpu_cores idle actable)" 0 1
  [[ $(field "$work/out.csv" written_bytes idle actable) == 0 ]] || fail "bytes were written"
}

test_openclose() {
  expect_status 0 --benchmarks=openclose --engines=actable,sharded --ops=3 --dir="$work" --csv="$work/out.csv"
  expect_line '^openclose +\[actable, 1 thread\] .* open [0-9.]+ [nmu]?s, close [0-9.]+ [nmu]?s'
  [[ $(field "$work/out.csv" ops openclose actable) == 3 ]] || fail "not 3 openings"
  expect_between "closing" "$(field "$work/out.csv" close_s openclose actable)" 0.000001 60
}

# Opening again: every key is checked, or the program fails.
test_recover() {
  local engine benchmark
  expect_status 0 --num=500 --dir="$work" --duration=0.01 --benchmarks=recover,readrandom --csv="$work/out.csv" \
    --engines="$(all_engines | grep -E '^(actable|actors|rocksdb|leveldb|lmdb)$' | paste -sd ,)"
  expect_line '^diskread +\[disk, 1 thread\] .* MB/s  p50 '
  for benchmark in recoverlog recovercheckpoint; do
    expect_line "^$benchmark +\[actable, 1 thread\] .* open [0-9.]+ [nmu]?s, close [0-9.]+ [nmu]?s, [0-9.]+ MB of files at [0-9]+ MB/s, [0-9]+ % of them cached before"
    [[ $(field "$work/out.csv" ops $benchmark actable) == 500 ]] || fail "not 500 keys"
    # Keys and values, what goes with them, and a little more.
    expect_between "bytes of $benchmark" "$(field "$work/out.csv" opened_bytes $benchmark actable)" $((500 * 116)) $((1 << 20))
    expect_between "the part in the cache" "$(field "$work/out.csv" opened_cached $benchmark actable)" 0 1
    expect_at_least "the rate" "$(field "$work/out.csv" opened_mb_per_s $benchmark actable)" 0.001
  done
  for engine in rocksdb leveldb; do
    all_engines | grep -qx $engine || continue
    expect_line "^recoverlog +\[$engine, 1 thread\]"
    expect_line "^recovercheckpoint \[$engine\] : $engine has no checkpoint of everything that it would load"
  done
}

# What an engine and the process say of themselves while threads run.
test_counters() {
  expect_status 0 "${tiny[@]}" --engines=actable,sharded --threads=3 --csv="$work/out.csv" --benchmarks=fillrandom,overwrite
  expect_between "the log's bytes" "$(field "$work/out.csv" written_bytes overwrite actable)" $((400 * 116)) $((1 << 20))
  expect_between "lag" "$(field "$work/out.csv" durable_lag_max_s overwrite actable)" 0 60
  expect_between "waits" "$(field "$work/out.csv" waits overwrite actable)" 0 1000000
  expect_between "fairness" "$(field "$work/out.csv" fairness overwrite actable)" 0.000001 1
  expect_between "memory" "$(field "$work/out.csv" beyond_live_max_bytes overwrite actable)" 0 $((1 << 30))
  [[ -z $(field "$work/out.csv" durable_lag_max_s overwrite sharded) ]] || fail "sharded has no log that could lag"
  # Long enough that every writer has its turn, however many others want the processors.
  expect_status 0 --num=500 --dir="$work" --engines=actable,sharded --threads=3 --writers=2 --csv="$work/writers.csv" \
    --benchmarks=readwhilewriting --duration=1
  expect_line '^readwhilewriting \[actable, 3 threads \+ 2 writers\]'
  expect_between "fairness of writers" "$(field "$work/writers.csv" writer_fairness readwhilewriting sharded)" 0.000001 1
}

# What actors do, beside direct calls with them and without.
test_actors() {
  local benchmark
  all_engines | grep -qx actors || {
    expect_status 2 --benchmarks=actors
    expect_line "^actable-bench: engine 'actors' needs libcaf-dev"
    exit 0
  }
  # Long enough that there is an operation, however many others want the processors.
  expect_status 0 "${tiny[@]}" --threads=4 --benchmarks=actors --duration=0.3 --csv="$work/out.csv"
  for benchmark in actorread actoroverwrite actorput actorbatch actorrequest; do
    expect_line "^$benchmark +\[actors, 4 actors\] +: .* p50 "
    expect_at_least "operations of $benchmark" "$(field "$work/out.csv" ops $benchmark actors)" 1
    expect_at_least "seconds of $benchmark" "$(field "$work/out.csv" seconds $benchmark actors)" 0.000001
    expect_between "fairness" "$(field "$work/out.csv" fairness $benchmark actors)" 0 1
  done
  expect_no_line '^actor.*actable'
  for benchmark in readrandom overwrite idle; do
    expect_line "^$benchmark +\[actable, "
    expect_line "^$benchmark +\[actors, "
  done
  # As many as were asked for: each is done, and none twice.
  for threads in 1 3; do
    expect_status 0 "${tiny[@]}" --threads=$threads --engines=actors --durability=none --csv="$work/out.csv" \
      --benchmarks=actorread,actoroverwrite,actorput,actorbatch,actorrequest
    [[ $(awk -F, 'NR > 1' "$work/out.csv" | grep -c ',400,') == 5 ]] || fail "not 400 each: $(cat "$work/out.csv")"
  done
  # A log of more than 128 MiB, however slow the machine is.
  for seconds in 2 8 30; do
    expect_status 0 --num=100 --value_size=100000 --engines=actors --benchmarks=overwrite --duration=$seconds \
      --due_checkpoints --csv="$work/out.csv"
    [[ $(field "$work/out.csv" checkpoints overwrite actors) == 0 ]] || break
  done
  expect_line '^overwrite .* checkpoints written: [1-9]'
  expect_status 0 --num=100 --value_size=100000 --engines=actors --benchmarks=overwrite --duration=2 --csv="$work/out.csv"
  [[ $(field "$work/out.csv" checkpoints overwrite actors) == 0 ]] || fail "checkpoints that nobody asked for"
  # In order, so that what is put last is what is there; wrong data would end the run.
  expect_status 0 "${tiny[@]}" --engines=actors --threads=2 --durability=sync --benchmarks=actorbatch,actorrequest,readrandom
}

# What looking at operations costs, beside what costs nothing and what costs more.
test_analytics() {
  local benchmark engine
  all_engines | grep -qx tasks || {
    expect_status 2 --benchmarks=analytics
    expect_line "^actable-bench: engine 'unsampled' needs libcaf-dev"
    exit 0
  }
  expect_status 0 "${tiny[@]}" --threads=2 --benchmarks=analytics --csv="$work/out.csv"
  for engine in unsampled actors tasks; do
    for benchmark in readrandom overwrite; do
      expect_line "^$benchmark +\[$engine, 2 threads\] +: .* p50 "
      [[ $(field "$work/out.csv" ops $benchmark $engine) == 400 ]] || fail "not 400 of $benchmark on $engine"
    done
  done
}

# On a terminal there is a line that is written over; it is gone at the end.
test_progress() {
  command -v script >/dev/null || { echo "skipped: no script(1) to make a terminal with"; exit 77; }
  local command="$program --num=500 --dir='$work' --duration=0.3 --benchmarks=mixed50"
  output=$(script -qec "$command" /dev/null)
  expect_line $'\r\033\\[K''mixed50 \[actable\] +[0-9]+ %  [0-9.]+ M ops/s'
  expect_line $'\r\033\\[K''mixed50 +\[actable, 1 thread\] +: '
  command="$program --num=500 --dir='$work' --benchmarks=recoverlog"
  output=$(script -qec "$command" /dev/null)
  expect_line $'\r\033\\[K''recoverlog \[actable\]  opening  100 % of [0-9]+ MB  0.0 s left'
}

test_open_loop() {
  # 200 operations at 2,000 a second take a tenth of a second, however fast the engine
  # is; on a busy machine they take longer.
  expect_status 0 --num=500 --ops=200 --rate=2000 --dir="$work" --benchmarks=overwrite,multiread --csv="$work/out.csv"
  expect_line '^run .*open loop of 2000 ops/s'
  awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) column[$i] = i }
    NR > 1 { if ($column["ops_per_s"] > 2200 || $column["ops"] != 200) bad = 1 }
    END { exit bad || NR != 3 }' "$work/out.csv" || fail "the rate was not kept: $(cat "$work/out.csv")"
}

test_files() {
  expect_status 0 "${tiny[@]}" --engines=actable,sharded --benchmarks=fillrandom,readrandom --repeat=3 \
    --json="$work/out.json" --csv="$work/out.csv"
  expect_line '^readrandom .*ops/sec median of 3, spread [0-9.]+ %'
  if command -v python3 >/dev/null; then
    python3 - "$work/out.json" <<'PYTHON' || fail "the JSON is not as api.md has it: $(cat "$work/out.json")"
import json, sys
data = json.load(open(sys.argv[1]))
assert len(data["results"]) == 12 and len(data["summaries"]) == 4
for field in ("benchmark engine threads ops ops_per_s mb_per_s p50_ns p99_ns p999_ns max_ns "
              "bytes_per_key durability").split():
    assert field in data["results"][0], field
assert data["machine"]["empty_get_ns"] > 0
PYTHON
  fi
  [[ $(wc -l <"$work/out.csv") == 13 ]] || fail "not a line a run: $(cat "$work/out.csv")"
  [[ $(awk -F, '{print NF}' "$work/out.csv" | sort -u | wc -l) == 1 ]] || fail "lines of different width"
}

test_plot() {
  expect_status 2 --plot="$work/out.png"
  expect_line '^actable-bench: --plot draws SVG: name the file .*out.png.svg'
  output=$(PATH=/nowhere "$program" --plot="$work/out.svg" 2>&1)
  expect_line '^actable-bench: --plot needs gnuplot on the PATH'
  command -v gnuplot >/dev/null || { echo "skipped the drawing: gnuplot is not here"; exit 77; }
  expect_status 0 "${tiny[@]}" --engines=actable,sharded --benchmarks=fillrandom,overwrite,overwrite,idle --duration=0.05 \
    --plot="$work/it's.svg"
  grep -q '</svg>' "$work/it's.svg" || fail "no whole SVG"
  for text in fillrandom overwrite sharded 'operations a second' '99.9 %'; do
    grep -qF "$text" "$work/it's.svg" || fail "the plot does not say: $text"
  done
}

test_refusals() {
  expect_status 2 --engines=nothing
  expect_line "^actable-bench: no engine 'nothing'; this build has actable, sharded"
  expect_status 2 --benchmarks=nothing
  expect_line "^actable-bench: no benchmark 'nothing'; there are fillseq, "
  expect_status 2 --nothing
  expect_line '^actable-bench: .*--nothing.*; there are .*--benchmarks'
  expect_status 1 "${tiny[@]}" --json=/nowhere/at/all
  expect_line '^actable-bench: cannot write /nowhere/at/all'
}

# Ctrl-C ends it soon, with its own status, and its directory goes.
test_interrupt() {
  local status=0 child
  : >"$work/out" # there before anybody looks for it
  "$program" --num=1000 --duration=60 --dir="$work" --benchmarks=mixed50 >"$work/out" 2>&1 &
  child=$!
  tail -f --pid=$child "$work/out" | grep -q '^latency' # the header ends as the run begins
  kill -TERM "$child"
  wait "$child" || status=$?
  output=$(cat "$work/out")
  ((status == 130)) || fail "exit status $status instead of 130"
  [[ -z $(find "$work" -name 'actable-bench-*') ]] || fail "its directory is still there"
}

# Redis has a server of its own, which is gone when the benchmark is, however that ended.
test_redis() {
  all_engines | grep -qx redis || { echo "skipped: redis is not in this build, or has no server here"; exit 77; }
  expect_status 0 "${tiny[@]}" --engines=redis --benchmarks=fillrandom,recover,readrandom,fillsync
  expect_line '^recoverlog +\[redis, 1 thread\] .*open .*, close .*cached before'
  expect_line '^recovercheckpoint +\[redis, 1 thread\] .*open .*, close .*cached before'
  expect_status 2 --engines=redis --benchmarks=idle
  expect_line 'redis runs in a process of its own'

  local signal child
  for signal in TERM KILL; do
    "$program" --engines=redis --num=1000 --duration=60 --dir="$work" --benchmarks=mixed50 >"$work/out" 2>&1 &
    child=$!
    until [[ -n $(servers) ]]; do kill -0 "$child" || fail "ended: $(cat "$work/out")"; done
    kill -"$signal" "$child"
    wait "$child"
    until [[ -z $(servers) ]]; do :; done
    rm -rf "$work"/actable-bench-*
  done
}

# ETS is given whole plans, and reports in the same terms.
test_ets() {
  all_engines | grep -qx ets || { echo "skipped: escript is not here"; exit 77; }
  # Long enough that every process has its turn, however many others want the processors.
  expect_status 0 "${tiny[@]}" --engines=ets --threads=2 --writers=2 --duration=0.5 --value_size=64 --csv="$work/out.csv" \
    --benchmarks=fillseq,readwhilewriting,overwrite,multiread,churn,ycsb-f
  expect_line '^readwhilewriting \[ets, 2 threads \+ 2 writers\] .* writers [1-9][0-9]* ops/sec'
  [[ $(field "$work/out.csv" ops fillseq ets) == 500 ]] || fail "not every key once"
  expect_at_least "seconds of overwrite" "$(field "$work/out.csv" seconds overwrite ets)" 0.000001
  expect_between "p50" "$(field "$work/out.csv" p50_ns overwrite ets)" 1 1e9
  expect_between "fairness" "$(field "$work/out.csv" fairness overwrite ets)" 0.000001 1
  expect_between "memory" "$(field "$work/out.csv" bytes_per_key overwrite ets)" 1 10000
  expect_status 2 --engines=ets --rate=1000
  expect_line 'ets goes as fast as it can: run it without --rate'
  expect_status 2 --engines=ets --benchmarks=openclose
  expect_line 'whole plans and nothing else'
}

# Where an engine runs in a process of its own and that dies, the run fails and says so.
test_engine_dies() {
  local engine child engine_child status tried=0
  for engine in redis ets; do
    all_engines | grep -qx $engine || continue
    tried=1 status=0
    : >"$work/out" # the engine's before this one is not read again
    "$program" --engines=$engine --num=1000 --duration=60 --dir="$work" --benchmarks=fillrandom,mixed50 >>"$work/out" 2>&1 &
    child=$!
    # It has done the first benchmark, so it is in the second.
    tail -f --pid=$child "$work/out" | grep -q '^fillrandom'
    read -r engine_child _ <"/proc/$child/task/$child/children"
    kill -KILL "$engine_child"
    wait "$child" || status=$?
    output=$(cat "$work/out")
    ((status == 1)) || fail "exit status $status instead of 1 when $engine died"
    expect_line "^actable-bench: $engine: "
    [[ -z $(find "$work" -name 'actable-bench-*') ]] || fail "its directory is still there"
  done
  ((tried)) || { echo "skipped: neither redis nor ets is here"; exit 77; }
}

# Servers that have their files in this test's directory.
servers() { grep -lzF -- "$work/" /proc/[0-9]*/cmdline 2>/dev/null | while read -r file; do
  tr '\0' ' ' <"$file" 2>/dev/null | grep -o '^[^ ]*redis-server' || true
done; }

declare -F "test_$1" >/dev/null || { echo "no such test: $1" >&2; exit 2; }
"test_$1"
