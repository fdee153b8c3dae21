#!/usr/bin/env bash
# The leg `fuzz`: builds the fuzz targets and runs one, or all, as many at a time
# as there are cores.

source "$(dirname "${BASH_SOURCE[0]}")/../../../scripts/prepare.sh"

targets=(frames recovery control typed protocol options)
here=$root/tests/lab/fuzz
found=$root/build/fuzz/found

usage() {
  cat <<END
Usage: tests/lab/run fuzz [NAME] [--afl] [--seed=N] [--seconds=N] [--nightly|--soak]

Runs a target with libFuzzer, or all: ${targets[*]}.

--afl        with AFL++ instead, for a second opinion
--seed=N     the engine's. Time and what was learnt before have a part in a run, so
             it does not repeat one; the input that was found does
--seconds=N  for each target; 60 if not given
--nightly    20 minutes for each target
--soak       an hour for each, again and again until one finds something

What is found lies in build/fuzz/found, and is repeated with
build/fuzz/lab/fuzz_NAME FILE. What is learnt lies in build/fuzz/corpus; the
corpus in the tree stays as it is. (With --afl: build/afl/NAME/default/crashes,
build/afl/lab/fuzz_NAME FILE, build/afl/NAME/default/queue.)

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
figures() { # NAME
  if [[ $engine == afl ]]; then
    awk '/^execs_done/ { executions = $3 } /^edges_found/ { edges = $3 } /^peak_rss_mb/ { memory = $3 }
         END { printf "%d %d %d\n", executions, edges, memory }' "$root/build/afl/$1/default/fuzzer_stats"
    return
  fi
  awk '
    /^#[0-9]/ { if (match($0, /cov: [0-9]+/)) edges = substr($0, RSTART + 5, RLENGTH - 5) }
    /^stat::number_of_executed_units:/ { executions = $2 }
    /^stat::peak_rss_mb:/ { memory = $2 }
    END { printf "%d %d %d\n", executions, edges, memory }' "$root/build/fuzz/$1.log"
}

run_target() { # NAME
  touch "$root/build/$engine/$1.began"
  "run_$engine" "$1" "$root/build/$engine/$1.log" && return
  printf 'fuzz: FOUND: in %s; what it said is in build/%s/%s.log; repeat it with: build/%s/lab/fuzz_%s FILE\n' \
    "$1" "$engine" "$1" "$engine" "$1"
  print_input "$1"
  return 1
}

# Prints the newest input that was found, for where only this output is kept.
print_input() { # NAME
  local file
  file=$(find "$found" "$root/build/afl/$1/default/crashes" -type f -newer "$root/build/$engine/$1.began" \
    \( -name "$1-*" -o -name 'id:*' \) 2>/dev/null | head -n 1)
  [[ -n $file ]] || return 0
  printf 'fuzz: FILE is the output of: base64 -d <<< %s | gunzip\n' "$(gzip -9 <"$file" | base64 -w 0)"
}

run_fuzz() { # NAME LOG
  mkdir -p "$root/build/fuzz/corpus/$1" "$found"
  # Freed memory that is kept to find its users counts for the limit too.
  ASAN_OPTIONS=quarantine_size_mb=64 UBSAN_OPTIONS=print_stacktrace=1 \
    "$root/build/fuzz/lab/fuzz_$1" "$root/build/fuzz/corpus/$1" "$here/corpus/$1" \
    -seed="$seed" -max_total_time="$seconds" -max_len="$(input_bytes_max "$1")" -rss_limit_mb=512 -timeout=10 \
    -print_final_stats=1 -artifact_prefix="$found/$1-" >"$2" 2>&1 && return
  grep -E -m3 'FOUND|ERROR|runtime error|Test unit written' "$2" || tail -n 20 "$2"
  return 1
}

run_afl() { # NAME LOG
  local out=$root/build/afl/$1
  rm -rf "$out"
  AFL_NO_UI=1 AFL_NO_AFFINITY=1 AFL_SKIP_CPUFREQ=1 AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES=1 \
    ASAN_OPTIONS=abort_on_error=1:symbolize=0:detect_leaks=0:quarantine_size_mb=64 \
    afl-fuzz -i "$here/corpus/$1" -o "$out" -s "$seed" -V "$seconds" -G "$(input_bytes_max "$1")" -m none -t 10000 \
    -- "$root/build/afl/lab/fuzz_$1" >"$2" 2>&1 || { tail -n 5 "$2"; return 1; }
  [[ -z $(find "$out/default/crashes" "$out/default/hangs" -name 'id:*') ]]
}

with_commas() { # NUMBER
  sed -E ':again; s/^([0-9]+)([0-9]{3})/\1,\2/; t again' <<<"$1"
}

# Prints the leg's line: what its targets did.
summary() { # FROM
  local name executions edges memory all=0 most=0 each=()
  for name in "${chosen[@]}"; do
    read -r executions edges memory < <(figures "$name")
    ((executions > 0)) || { printf 'fuzz: FOUND: nothing was executed of %s\n' "$name"; return 1; }
    all=$((all + executions))
    most=$((memory > most ? memory : most))
    each+=("$name $(with_commas "$executions") ($(with_commas "$edges") edges)")
  done
  printf 'fuzz: ok, %s inputs: ' "$(with_commas "$all")"
  printf '%s, ' "${each[@]}"
  ((most == 0)) || printf 'at most %d MiB, ' "$most" # AFL++ does not always tell.
  printf 'seed %d, %d s\n' "$seed" $((SECONDS - $1))
}

seed=$((RANDOM * 32768 + RANDOM + 1))
seconds=60
soak=false
engine=fuzz
chosen=()
for argument; do
  case $argument in
    -h | --help) usage; exit 0 ;;
    --afl) engine=afl ;;
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

packages=(clang-19 libclang-rt-19-dev)
[[ $engine == fuzz ]] || packages+=(afl++)
ensure_packages "${packages[@]}"
build "$engine" "${chosen[@]/#/fuzz_}"
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
    exit 1
  fi
  [[ $soak == true ]] || exit 0
  seed=$((seed + 1))
done
