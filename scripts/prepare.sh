# shellcheck shell=bash
# What ./run, ./test and .ci/run share: sourced, not started. Finds what the
# machine lacks, installs it, configures and builds. Everything that can go
# wrong ends in one line on standard error and exit status 1.

set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
me=${0##*/}

say() { printf '%s: %s\n' "$me" "$*"; }
die() { printf '%s: %s\n' "$me" "$*" >&2; exit 1; }

# The libraries are wanted as Debian packages; a tool is fine from anywhere.
# Each tool as COMMAND:PACKAGE.
tool_packages=(g++:g++ cmake:cmake ninja:ninja-build pkg-config:pkg-config)
library_packages=(liburing-dev libzstd-dev libxxhash-dev libmsgpack-cxx-dev libcli11-dev libedit-dev nlohmann-json3-dev)
# Nice to have: installed along with something that is missing, never asked for alone.
wished_packages=(ccache)

missing_packages() { # [PACKAGE…]: prints which of ours, and of these, are not installed
  local entry package
  for entry in "${tool_packages[@]}"; do
    command -v "${entry%%:*}" >/dev/null || printf '%s\n' "${entry#*:}"
  done
  for package in "${library_packages[@]}" "$@"; do
    [[ $(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || printf '%s\n' "$package"
  done
}

# Sets as_root to what puts a command into root's hands, or says what to do where
# that is impossible. The first argument completes the sentence "cannot …".
need_root() { # WHAT COMMAND…
  as_root=()
  if ((EUID == 0)); then return; fi
  if ! command -v sudo >/dev/null; then
    die "cannot $1: not root, and there is no sudo; let root run: ${*:2}"
  elif ! sudo -n true 2>/dev/null && [[ ! -t 0 ]]; then
    die "cannot $1: sudo asks for a password and there is no terminal; first run: sudo ${*:2}"
  fi
  as_root=(sudo)
}

apt_get() { # ARGUMENT…
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 \
    apt-get -q -o DPkg::Lock::Timeout=120 "$@" </dev/null
}

package_lists_empty() {
  [[ $(apt-cache dumpavail 2>/dev/null | head -c 8) != Package:* ]]
}

# Fails as a whole where a list could not be fetched: apt-get by itself calls
# that a warning and keeps the old list.
update_package_lists() {
  apt_get update -o APT::Update::Error-Mode=any
}

# Reads apt-get's output: its first error, which names the cause.
apt_complaint() { # LOG
  local line
  line=$(grep -m 1 '^E: ' "$1" || tail -n 1 "$1")
  printf '%s' "${line#E: }"
}

ensure_packages() { # [PACKAGE…]: ours and these
  if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    say "no apt-get here: taking it that compiler, CMake and libraries are there (docs/dependencies.md lists them)"
    return
  fi
  local missing package log
  mapfile -t missing < <(missing_packages "$@")
  ((${#missing[@]})) || return 0

  for package in "${wished_packages[@]}"; do
    command -v "$package" >/dev/null || missing+=("$package")
  done
  need_root "install packages" apt-get install -y --no-install-recommends "${missing[@]}"
  say "installing the Debian packages that are missing: ${missing[*]}"
  log=$(mktemp)
  local install=(install -y --no-install-recommends "${missing[@]}") why=
  if package_lists_empty; then
    update_package_lists >"$log" 2>&1 || why=$(apt_complaint "$log")
  fi
  # Old lists name packages that the mirror has replaced: fetch them and try again.
  if ! apt_get "${install[@]}" >"$log" 2>&1; then
    update_package_lists >"$log" 2>&1 || why=$(apt_complaint "$log")
    if ! apt_get "${install[@]}" >"$log" 2>&1; then
      why=${why:-$(apt_complaint "$log")}
      rm -f "$log"
      die "cannot install packages: apt-get says \"$why\" (is there a network?)"
    fi
  fi
  rm -f "$log"
}

# ./run's input is the package lists themselves.
ensure_package_lists() {
  local log why
  command -v apt-cache >/dev/null || die "the input is Debian's package index, and there is no apt-cache on this machine"
  package_lists_empty || return 0
  need_root "fetch the package lists" apt-get update
  say "fetching the package lists"
  log=$(mktemp)
  update_package_lists >"$log" 2>&1 || true
  why=$(apt_complaint "$log")
  rm -f "$log"
  ! package_lists_empty || die "the package lists are empty: apt-get update says \"$why\" (is there a network?)"
}

ensure_compiler() {
  local compiler
  read -r -a compiler <<<"${CXX:-g++}" # a launcher may stand before it, as in "ccache g++"
  command -v "${compiler[0]}" >/dev/null || die "the compiler ${compiler[*]} is not there; unset CXX, or set it to GCC 12 or later"
  if ! printf '#include <expected>\n#ifndef __cpp_lib_expected\n#error\n#endif\n' |
      "${compiler[@]}" -std=c++23 -fsyntax-only -x c++ - 2>/dev/null; then
    die "the compiler is too old ($("${compiler[@]}" --version | head -n 1)): std::expected needs GCC 12 or later; set CXX to one"
  fi
  local version
  version=$(cmake --version | sed -n '1s/[^0-9]*\([0-9.]*\).*/\1/p')
  [[ $(printf '%s\n' 3.25 "$version" | sort -V | head -n 1) == 3.25 ]] ||
    die "CMake is too old ($version): 3.25 or later is needed"
}

ensure_disk_space() { # DIRECTORY MEGABYTES
  local free
  free=$(df -Pk "$1" | awk 'NR == 2 {print int($4 / 1024)}')
  ((free >= $2)) || die "too little disk space in $1: $free MB free, about $2 MB needed"
}

# A compiler cache that can be written: the user's own, else one beside the build.
choose_compiler_cache() {
  command -v ccache >/dev/null || return 0
  local directory
  directory=$(ccache --get-config cache_dir 2>/dev/null || true)
  if [[ -z $directory ]] || ! mkdir -p "$directory" 2>/dev/null || [[ ! -w $directory ]]; then
    export CCACHE_DIR=$root/build/ccache
  fi
  export CMAKE_CXX_COMPILER_LAUNCHER=ccache
}

# Configures and builds a preset: everything, or the targets given.
build() { # PRESET [TARGET…]
  local preset=$1 directory=$root/build/$1 log werror=()
  shift
  mkdir -p "$directory" 2>/dev/null || die "cannot write to $root/build"
  # A tree that was moved or copied with its build directory: CMake refuses the old one.
  if [[ -f $directory/CMakeCache.txt ]] && ! grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$root" "$directory/CMakeCache.txt"; then
    rm -rf "$directory"
    mkdir -p "$directory"
  fi
  choose_compiler_cache
  [[ ${CI:-} != true ]] || werror=(-DACTABLE_WERROR=ON)
  log=$directory/configure.log
  if ! (cd "$root" && cmake --preset "$preset" "${werror[@]}") >"$log" 2>&1; then
    cat "$log" >&2
    die "CMake could not configure the preset $preset; what it said is above and in $log"
  fi
  say "building the preset $preset on $(nproc) cores"
  local command=(cmake --build "$directory" --parallel "$(nproc)")
  (($# == 0)) || command+=(--target "$@")
  # A status line suits a terminal; a log wants only what went wrong.
  [[ -t 1 ]] || command+=(-- --quiet)
  local from=$SECONDS
  "${command[@]}" </dev/null || die "the build of the preset $preset failed; what the compiler said is above"
  say "built in $((SECONDS - from)) s"
}
