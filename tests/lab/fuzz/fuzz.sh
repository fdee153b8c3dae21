#!/usr/bin/env bash
# Builds the fuzz targets and runs one, or all.

source "$(dirname "${BASH_SOURCE[0]}")/../../../scripts/prepare.sh"

targets=(frames recovery control typed options)
here=$root/tests/lab/fuzz
found=$root/build/fuzz/found

usage() {
  cat <<END
Usage: tests/lab/fuzz/fuzz.sh NAME|all [SECONDS|--soak]

Runs a target with libFuzzer: ${targets[*]}.
SECONDS is for each target; 60 if not given. --soak is an hour for each, again
and again until one finds something.

What is found lies in build/fuzz/found, and is repeated with
build/fuzz/lab/fuzz_NAME FILE. What is learnt lies in build/fuzz/corpus; the
corpus in the tree stays as it is.

Exit status: 0, nothing found; 1, something found; 2, a bad command line.
END
}

# The bytes that an input may have: enough for a few blocks of each segment, for
# a value of many elements, for a command line.
input_bytes_max() { # NAME
  case $1 in frames | recovery) echo 24576 ;; *) echo 4096 ;; esac
}

# Prints one line about a run's log.
summary() { # NAME LOG
  awk -v name="$1" '
    /^#[0-9]/ { if (match($0, /cov: [0-9]+/)) edges = substr($0, RSTART + 5, RLENGTH - 5) }
    /^stat::number_of_executed_units:/ { executions = $2 }
    /^stat::average_exec_per_sec:/ { speed = $2 }
    /^stat::peak_rss_mb:/ { memory = $2 }
    END { printf "fuzz %s: %d executions, %d a second, %d edges covered, %d MiB at most\n",
                 name, executions, speed, edges, memory }' "$2"
}

run_target() { # NAME SECONDS
  local name=$1 log=$root/build/fuzz/$1.log status=0
  mkdir -p "$root/build/fuzz/corpus/$name" "$found"
  # Freed memory that is kept to find its users counts for the limit too.
  ASAN_OPTIONS=quarantine_size_mb=64 UBSAN_OPTIONS=print_stacktrace=1 "$root/build/fuzz/lab/fuzz_$name" "$root/build/fuzz/corpus/$name" \
    "$here/corpus/$name" -max_total_time="$2" -max_len="$(input_bytes_max "$name")" -rss_limit_mb=512 -timeout=10 \
    -print_final_stats=1 -artifact_prefix="$found/$name-" >"$log" 2>&1 || status=$?
  summary "$name" "$log"
  ((status == 0)) && return
  grep -E -m3 'FOUND|ERROR|runtime error|Test unit written' "$log" >&2 || tail -n 20 "$log" >&2
  return 1
}

seconds=${2:-60}
case ${1:-} in
  -h | --help) usage; exit 0 ;;
  '') usage >&2; exit 2 ;;
  all) chosen=("${targets[@]}") ;;
  *) chosen=("$1") ;;
esac
[[ $1 == all || " ${targets[*]} " == *" $1 "* ]] || { usage >&2; exit 2; }
[[ $seconds == --soak || $seconds =~ ^[1-9][0-9]*$ ]] || { usage >&2; exit 2; }

ensure_packages clang-19 libclang-rt-19-dev
build fuzz "${chosen[@]/#/fuzz_}"
status=0
while true; do
  for name in "${chosen[@]}"; do
    run_target "$name" "$([[ $seconds == --soak ]] && echo 3600 || echo "$seconds")" || status=1
  done
  [[ $seconds == --soak && $status == 0 ]] || break
done
exit "$status"
