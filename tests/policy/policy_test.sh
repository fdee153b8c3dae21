#!/usr/bin/env bash
# Each rule of policy.sh holds for a good tree and finds what is wrong with a bad
# one: a check that cannot fail is none.

set -uo pipefail
policy=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)/policy.sh
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
failures=0

write() { # FILE LINE…
  mkdir -p "$tree/$(dirname "$1")"
  printf '%s\n' "${@:2}" >"$tree/$1"
}

good_tree() {
  rm -rf "${tree:?}"/*
  write include/actable/a.h '#include <actable/b.h>' '#include <vector>' '#include <msgpack.hpp>'
  write base/a.h '#include "base/b.h"' '#include <sys/mman.h>  // for "mmap"'
  write wal/a.cc '#include "table/a.h"' '#  include "base/a.h"' '#include <actable/a.h>'
  write wal/CMakeLists.txt 'actable_floor(wal SOURCES a.cc)'
  write include/actable/actors.h '#include <caf/actor.hpp>' '#include <actable/a.h>'
  write actors/a.cc '#include "store/a.h"' '#include "base/a.h"' '#include <caf/actor.hpp>'
  write actors/CMakeLists.txt 'actable_floor(actors COMPONENT SOURCES a.cc)'
  write tests/wal/a_test.cc '#include "wal/a.h"'
  write benchmarks/engines/x.cc ''
  write benchmarks/engines/actors.cc '#include <caf/actor.hpp>'
  write examples/service/a.cc '#include <caf/actor.hpp>' '#include <actable/actors.h>'
  write examples/service/CMakeLists.txt 'add_executable(service a.cc)'
  write benchmarks/CMakeLists.txt 'target_sources(bench PRIVATE engines/${name}.cc)' 'bench_engine(x)' 'bench_engine(actors)'
  write tests/wal/CMakeLists.txt 'actable_test(wal SOURCES a_test.cc)'
}

expect() { # RULE EXPECTED_OUTPUT_PART (empty: the rule holds)
  local output status=0
  output=$(bash "$policy" "$1" "$tree" 2>&1) || status=$?
  if [[ -z $2 && ($status -ne 0 || -n $output) ]] || [[ -n $2 && ($status -ne 1 || $output != *"$2"*) ]]; then
    printf 'rule %s, expected: %s\n  status %d, output: %s\n' "$1" "${2:-nothing}" "$status" "$output"
    failures=$((failures + 1))
  fi
}

refuses() { # RULE EXPECTED_PART FILE LINE…: the good tree with this file in it
  write "${@:3}"
  expect "$1" "$2"
  good_tree
}

good_tree
for rule in floors public_headers file_length leftovers listed; do expect "$rule" ""; done

refuses floors 'base/a.h:2: base may not include table/a.h' base/a.h '' '#include "table/a.h"'
refuses floors 'table/a.h:1: table may not include wal/a.h' table/a.h '#include "wal/a.h"'
refuses floors 'table/a.h:1: table may not include routing/a.h' table/a.h '#include "routing/a.h"'
refuses floors 'wal/b.h:1: wal may not include routing/a.h' wal/b.h '#include "routing/a.h"'
refuses floors 'cache/b.h:1: cache may not include wal/a.h' cache/b.h '#include "wal/a.h"'
refuses floors 'debug/b.h:1: debug may not include store/a.h' debug/b.h '#include "store/a.h"'
refuses floors 'store/b.h:1: store may not include debug/a.h' store/b.h '#include "debug/a.h"'
refuses floors 'shell/b.h:1: shell may not include actors/a.h' shell/b.h '#include "actors/a.h"'
refuses floors 'store/b.h:1: store may not include actors/a.h' store/b.h '#include "actors/a.h"'
refuses floors 'examples/a.cc:1: examples may not include store/a.h' examples/a.cc '#include "store/a.h"'
refuses floors 'wal/b.h:1: includes are written from the root' wal/b.h '#include "a.h"'
refuses floors 'tests/wal/b.h:1: tests may not include support/catch.h' tests/wal/b.h '#include "support/catch.h"'
refuses floors 'store/b.h:1: only actors includes CAF' store/b.h '#include <caf/all.hpp>'
refuses floors 'benchmarks/a.cc:1: only actors includes CAF' benchmarks/a.cc '#include <caf/all.hpp>'
refuses floors 'benchmarks/engines/x.cc:1: only actors includes CAF' benchmarks/engines/x.cc '#include <caf/all.hpp>'
refuses floors 'examples/a.cc:1: only actors includes CAF' examples/a.cc '#include <caf/all.hpp>'
refuses public_headers 'include/actable/c.h:1: only actors.h, network.h and wire.h may need CAF' include/actable/c.h '#include <caf/actor.hpp>'
refuses public_headers 'include/actable/c.h:1: a public header includes "base/a.h"' include/actable/c.h '#include "base/a.h"'
refuses public_headers 'include/actable/c.h:1: a public header may not need <liburing.h>' include/actable/c.h '#include <liburing.h>'
mapfile -t long_file < <(seq 501)
refuses file_length 'base/long.h:501: longer than 500 lines' base/long.h "${long_file[@]}"
refuses leftovers 'base/b.h:1: unfinished' base/b.h '// TO''DO: later'
refuses leftovers 'tests/wal/b.h:2: sleeps' tests/wal/b.h '' 'std::this_thread::sleep''_for(1s);'
refuses listed 'tests/wal/b_test.cc:1: not in tests/wal/CMakeLists.txt' tests/wal/b_test.cc ''
refuses listed 'benchmarks/engines/y.cc:1: not in benchmarks/CMakeLists.txt' benchmarks/engines/y.cc ''
refuses listed 'wal/part/b.cc:1: not in wal/CMakeLists.txt' wal/part/b.cc ''

((failures == 0)) && echo "every rule finds its breaches"
