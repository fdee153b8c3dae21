#!/usr/bin/env bash
# The leg `fuzz`: builds the fuzz targets and runs one, or all, as many at a time
# as there are cores.

source "$(dirname "${BASH_SOURCE[0]}")/../../../scripts/prepare.sh"

targets=(frames recovery control typed options)
here=$root/tests/lab/fuzz
found=$root/build/fuzz/found

usage() {
  cat <<END
Usage: tests/lab/run fuzz [NAME] [--seed=N] [--seconds=N] [--nightly|--soak]

Runs a target with libFuzzer, or all: ${targets[*]}.

--seed=N     libFuzzer's; a run is repeated by it, as far as time has no part in it
--seconds=N  for each target; 60 if not given
--nightly    20 minutes for each target
--soak       an hour for each, again and again until one finds something

What is found lies in build/fuzz/found, and is repeated with
build/fuzz/lab/fuzz_NAME FILE. What is learnt lies in build/fuzz/corpus; the
corpus in the tree stays as it is.

Exit status: 0, nothing found; 1, something found; 2, a bad command line.
END
}

refuse() { # WHAT
  printf '%s: %s\n' "$me" "$1" >&2
  exit 2
}

# The bytes that an input may have: enough for a few blocks of each segment, for
# a value of many elements, for a command line.
input_bytes_max() { # NAME
  case $1 in frames | recovery) echo 24576 ;; *) echo 4096 ;; esac
}

# Prints a run's figures: executions, edges, MiB.
figures() { # LOG
  awk '
    /^#[0-9]/ { if (match($0, /cov: [0-9]+/)) edges = substr($0, RSTART + 5, RLENGTH - 5) }
    /^stat::number_of_executed_units:/ { executions = $2 }
    /^stat::peak_rss_mb:/ { memory = $2 }
    END { printf "%d %d %d\n", executions, edges, memory }' "$1"
}

run_target() { # NAME
  local name=$1 log=$root/build/fuzz/$1.log
  mkdir -p "$root/build/fuzz/corpus/$name" "$found"
  # Freed memory that is kept to find its users counts for the limit too.
  if ! ASAN_OPTIONS=quarantine_size_mb=64 UBSAN_OPTIONS=print_stacktrace=1 \
      "$root/build/fuzz/lab/fuzz_$name" "$root/build/fuzz/corpus/$name" "$here/corpus/$name" \
      -seed="$seed" -max_total_time="$seconds" -max_len="$(input_bytes_max "$name")" -rss_limit_mb=512 -timeout=10 \
      -print_final_stats=1 -artifact_prefix="$found/$name-" >"$log" 2>&1; then
    printf 'fuzz: FOUND: in %s:\n' "$name"
    grep -E -m3 'FOUND|ERROR|runtime error|Test unit written' "$log" || tail -n 20 "$log"
    return 1
  fi
}

# Prints the leg's line: what its targets did.
summary() { # FROM
  local name executions edges memory all=0 most=0 each=()
  for name in "${chosen[@]}"; do
    read -r executions edges memory < <(figures "$root/build/fuzz/$name.log")
    ((executions > 0)) || { printf 'fuzz: FOUND: nothing was executed of %s\n' "$name"; return 1; }
    all=$((all + executions))
    most=$((memory > most ? memory : most))
    each+=("$(printf "$name %'d (%'d edges)" "$executions" "$edges")")
  done
  printf "fuzz: ok, %'d inputs: " "$all"
  printf '%s, ' "${each[@]}"
  printf 'at most %d MiB, seed %d, %d s\n' "$most" "$seed" $((SECONDS - $1))
}

seed=$((RANDOM * 32768 + RANDOM + 1))
seconds=60
soak=false
chosen=()
for argument; do
  case $argument in
    -h | --help) usage; exit 0 ;;
    --seed=*) seed=${argument#*=} ;;
    --seconds=*) seconds=${argument#*=} ;;
    --nightly) seconds=1200 ;;
    --soak) seconds=3600 soak=true ;;
    -*) refuse "no such option: $argument (what is found is repeated with build/fuzz/lab/fuzz_NAME FILE)" ;;
    *) [[ " ${targets[*]} " == *" $argument "* ]] || refuse "no such target: $argument (${targets[*]})"
       chosen+=("$argument") ;;
  esac
done
[[ $seed =~ ^[1-9][0-9]{0,9}$ ]] && ((seed < 1 << 32)) || refuse "the seed must be a number from 1 to 4294967295"
[[ $seconds =~ ^[1-9][0-9]{0,5}$ ]] || refuse "--seconds must be a number from 1 to 999999"
((${#chosen[@]})) || chosen=("${targets[@]}")

ensure_packages clang-19 libclang-rt-19-dev
build fuzz "${chosen[@]/#/fuzz_}"
export LC_ALL=C.UTF-8
while true; do
  from=$SECONDS
  status=0
  for name in "${chosen[@]}"; do
    while (($(jobs -rp | wc -l) >= $(nproc))); do wait -n || status=1; done
    run_target "$name" &
  done
  while [[ -n $(jobs -p) ]]; do wait -n || status=1; done
  ((status)) || summary "$from" || status=1
  if ((status)); then
    printf 'fuzz: the run had seed %d; repeat it with: tests/lab/run fuzz --seed=%d\n' "$seed" "$seed"
    exit 1
  fi
  [[ $soak == true ]] || exit 0
  seed=$((seed + 1))
done
