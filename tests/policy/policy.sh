#!/usr/bin/env bash
# House rules that a machine can check: `policy.sh RULE [ROOT]` prints every
# breach as FILE:LINE: WHAT and fails if there is one. Needs bash and awk only.

set -euo pipefail
shopt -s nullglob globstar

rule=${1:?"usage: policy.sh floors|public_headers|file_length|leftovers|listed [ROOT]"}
cd "${2:-$(dirname "${BASH_SOURCE[0]}")/../..}"

floors=(base debug table wal checkpoint cache routing store actors)
programs=(shell benchmarks examples)
breaches=0

breach() { # FILE:LINE WHAT
  printf '%s: %s\n' "$1" "$2"
  breaches=$((breaches + 1))
}

# Prints the sources and headers below the folders given.
sources() { # FOLDER…
  local folder
  for folder in "$@"; do
    [[ ! -d $folder ]] || find "$folder" -name build -prune -o -type f \( -name '*.h' -o -name '*.cc' \) -print | sort
  done
}

# Prints FILE:LINE and the included name, with its quotes or angles, of each #include.
includes() { # FILE…
  (($# == 0)) || awk 'match($0, /^[ \t]*#[ \t]*include[ \t]*/) {
      name = substr($0, RLENGTH + 1); sub(/[">][^">]*$/, substr(name, 1, 1) == "<" ? ">" : "\"", name)
      print FILENAME ":" FNR, name }' "$@"
}

# The floors that a folder may include, itself among them.
floors_below() { # FOLDER
  case $1 in
    base) echo base ;;
    debug) echo debug base ;;
    table) echo table base ;;
    wal | checkpoint | cache | routing) echo "$1" table base ;;
    store) echo store cache routing wal checkpoint table base ;;
    actors | benchmarks) echo "$1" actors store cache routing wal checkpoint table debug base ;;
    shell) echo shell store cache routing wal checkpoint table debug base ;; # the actors are the live process's
    examples) echo examples ;; # examples show the public face, and use nothing else
    tests) echo tests "${floors[@]}" "${programs[@]}" ;;
  esac
}

# Those that may include CAF: the actors' floor and what shows or measures actors.
may_need_caf() { # FILE:LINE
  case $1 in
    actors/* | shell/* | tests/* | benchmarks/engines/actors.* | benchmarks/engines/senders.* | examples/service/*) ;;
    *) return 1 ;;
  esac
}

# Includes point down only, and are written from the root; CAF stays with actors.
check_floors() {
  local folder files at name
  for folder in "${floors[@]}" "${programs[@]}" tests; do
    mapfile -t files < <(sources "$folder")
    while read -r at name; do
      case $name in
        '"'*/*'"')
          name=${name#\"}
          [[ " $(floors_below "$folder") " == *" ${name%%/*} "* ]] ||
            breach "$at" "$folder may not include $name: it may use $(floors_below "$folder"), and <actable/…>" ;;
        '"'*'"') breach "$at" "includes are written from the root, as in \"$folder/${name//\"/}\"" ;;
        '<caf/'*) may_need_caf "$at" || breach "$at" "only actors includes CAF" ;;
      esac
    done < <(includes "${files[@]}")
  done
}

# Public headers stand on each other, the standard library and msgpack.
check_public_headers() {
  local files at name
  mapfile -t files < <(sources include)
  while read -r at name; do
    case $name in
      '<actable/'* | '<msgpack.hpp>' | '<msgpack/'*) ;;
      '<caf/'*)
        [[ $at =~ ^include/actable/(actors|network|wire)\.h: ]] ||
          breach "$at" "only actors.h, network.h and wire.h may need CAF" ;;
      '<'*[./]*'>') breach "$at" "a public header may not need $name" ;;
      '<'*'>') ;;
      *) breach "$at" "a public header includes $name, which is not installed" ;;
    esac
  done < <(includes "${files[@]}")
}

# A file over 500 lines is two ideas.
check_file_length() {
  local file lines
  while read -r file; do
    lines=$(wc -l <"$file")
    ((lines <= 500)) || breach "$file:$lines" "longer than 500 lines"
  done < <(sources include "${floors[@]}" "${programs[@]}")
}

# Unfinished business, and tests or floors that wait for time to pass instead of
# for what they need. (The words are in pieces here so as not to match themselves.)
check_leftovers() {
  local files at
  mapfile -t files < <(sources include tests "${floors[@]}" "${programs[@]}"; ls run test .ci/run 2>/dev/null
    find cmake scripts tests -type f \( -name '*.cmake' -o -name '*.sh' -o -name CMakeLists.txt \) 2>/dev/null)
  while read -r at; do breach "$at" "unfinished"; done < <(
    grep -nHwE 'TO''DO|FIX''ME|XX''X|HA''CK' "${files[@]}" /dev/null | cut -d: -f1,2)
  mapfile -t files < <(sources tests "${floors[@]}")
  while read -r at; do breach "$at" "sleeps: wait for the event instead"; done < <(
    grep -nHwE 'sleep''_for|sleep''_until|u''sleep|nano''sleep' "${files[@]}" /dev/null | cut -d: -f1,2)
}

# Every source is in the CMakeLists.txt of its folder, or of the next one up that
# has one: a test that nobody builds is no test. What a function there lists as
# `parts/${name}.cc` counts where the name alone is given to it.
check_listed() {
  local file folder
  while read -r file; do
    folder=${file%/*}
    until [[ -e $folder/CMakeLists.txt || $folder != */* ]]; do folder=${folder%/*}; done
    awk -v name="${file#"$folder"/}" '
      BEGIN { stem = name; sub(/.*\//, "", stem); sub(/\.cc$/, "", stem) }
      { sub(/#.*/, ""); gsub(/[()]/, " ")
        for (i = 1; i <= NF; i++) {
          if ($i == name) listed = 1
          if ($i == stem) named = 1
          if (sub(/\$\{[a-z_]+\}/, stem, $i) && $i == name) pattern = 1
        } }
      END { exit !(listed || (named && pattern)) }' "$folder/CMakeLists.txt" 2>/dev/null ||
      breach "$file:1" "not in $folder/CMakeLists.txt"
  done < <(sources tests "${floors[@]}" "${programs[@]}" | grep '\.cc$')
}

case $rule in
  floors | public_headers | file_length | leftovers | listed) "check_$rule" ;;
  *) echo "no such rule: $rule" >&2; exit 2 ;;
esac
((breaches == 0))
