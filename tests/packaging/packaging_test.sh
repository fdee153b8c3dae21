#!/usr/bin/env bash
# Installs the build into a directory of its own, builds the consumer against it
# in both ways that users have, with the sanitizers of this build if any, and
# runs both. With `actors` does the same with the component of that name.

set -euo pipefail
(($# >= 3)) || { echo "usage: packaging_test.sh BUILD_DIRECTORY COMPILER CXX_FLAGS [COMPONENT]" >&2; exit 2; }
build=$1 compiler=$2 flags=$3 component=${4:-}
consumer=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)/consumer
work=$(mktemp -d -p "$build")
trap 'rm -rf "$work"' EXIT
prefix=$work/prefix

fail() { printf 'packaging: %s\n' "$*" >&2; exit 1; }

run_consumer() { # HOW PROGRAM
  local output
  mkdir "$work/data-$1"
  chmod 700 "$work/data-$1"
  output=$("$2" "$work/data-$1") || fail "the consumer built with $1 failed: $output"
  [[ $output == "hello 42 7" ]] || fail "the consumer built with $1 printed: $output"
}

cmake --install "$build" --prefix "$prefix" >"$work/log" 2>&1 || { cat "$work/log"; fail "cmake --install failed"; }
[[ -f $prefix/include/actable/store.h ]] || fail "no headers in $prefix/include/actable"
if stray=$(find "$prefix" -type f ! -path '*/include/actable/*.h' ! -path '*/lib*/libactable_*.a' \
    ! -path '*/lib*/cmake/actable/*.cmake' ! -name actable.pc ! -path '*/bin/actable-shell' ! -name "actable-${component:-none}.pc" | grep .); then
  fail "installed, but no part of the package: $stray"
fi

# The package is used where it lies now, not where it was built for.
mv "$prefix" "$work/moved"
prefix=$work/moved
if grep -rlF -e "$build" -e "$work/prefix" "$prefix" --include='*.cmake' --include='*.pc'; then
  fail "the files above name the build or a fixed prefix"
fi

pc=$(find "$prefix" -name actable.pc)
export PKG_CONFIG_PATH=${pc%/*}
[[ $(pkg-config --modversion actable) == [0-9]*.[0-9]*.[0-9]* ]] || fail "pkg-config does not tell the version"

use() { # HOW CONSUMER PKG_CONFIG_NAME [CMAKE_ARGUMENT…]
  cmake -S "$consumer" -B "$work/$2" -G Ninja -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_CXX_COMPILER="$compiler" \
    -DCMAKE_CXX_FLAGS="$flags" "${@:4}" >"$work/log" 2>&1 || { cat "$work/log"; fail "find_package for $2 failed"; }
  cmake --build "$work/$2" >"$work/log" 2>&1 || { cat "$work/log"; fail "$2 did not build with CMake"; }
  run_consumer "cmake$1" "$work/$2/$2"
  # shellcheck disable=SC2046,SC2086  # lists of words
  "$compiler" -std=c++23 $flags "$consumer/$2.cc" -o "$work/by-pkg-config" \
    $(pkg-config --cflags --libs "$3") || fail "$2 did not build with pkg-config"
  run_consumer "pkg-config$1" "$work/by-pkg-config"
}

use "" consumer actable
if [[ -n $component ]]; then
  use "-$component" "consumer_$component" "actable-$component" -DCONSUMER_COMPONENT="$component"
elif cmake -S "$consumer" -B "$work/none" -G Ninja -DCMAKE_PREFIX_PATH="$prefix" -DCONSUMER_COMPONENT=actors >"$work/log" 2>&1; then
  fail "a component that was not built is said to be there"
fi

echo "installed, and used through find_package and pkg-config"
