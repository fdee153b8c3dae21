#!/usr/bin/env bash
# The leg `planted`: whether the laboratory sees. Builds the sources with faults
# planted in them (base/planted.h), lets the legs look at one after the other,
# and fails where one is not found.

source "$(dirname "${BASH_SOURCE[0]}")/../../../scripts/prepare.sh"

# FAULT:LEG, the leg that has to find it.
faults=(
  sync_skipped:crash
  marker_not_waited_for:crash
  applied_above_cut:crash
  recovery_frame_not_synced:crash
  pin_not_confirmed:crash
  lease_outlives_epoch:crash
  numbers_continue_at_cut:history
  number_before_reading:history
  early_tombstone:history
  checkpoint_not_covered:crash
  log_below_cut_applied:crash
)
# How long a leg may look for one, and how long it looks where there is none.
seconds_to_find=120
seconds_of_none=20

usage() {
  cat <<END
Usage: tests/lab/run planted [--seed=N] [--seconds=N] [--nightly]

Plants each of these faults, and expects the leg behind it to find it:
${faults[*]}

--seconds=N  a leg may look so long for one; 120 if not given
--nightly    looks for ten minutes where there is none

Exit status: 0, each was found, and nothing where there is none; 1, otherwise;
2, a bad command line.
END
}

seed=$((RANDOM * 32768 + RANDOM + 1))
for argument; do
  case $argument in
    -h | --help) usage; exit 0 ;;
    --seed=*) seed=${argument#*=} ;;
    --seconds=*) seconds_to_find=${argument#*=} ;;
    --nightly | --soak) seconds_of_none=600 ;;
    *) printf '%s: no such option: %s\n' "$me" "$argument" >&2; exit 2 ;;
  esac
done
[[ $seconds_to_find =~ ^[1-9][0-9]*$ ]] || { printf '%s: --seconds must be a number\n' "$me" >&2; exit 2; }
[[ $seed =~ ^[1-9][0-9]*$ ]] || { printf '%s: the seed must be a number\n' "$me" >&2; exit 2; }

ensure_packages catch2
ensure_compiler
build planted lab_crash lab_history
logs=$root/build/planted/found
mkdir -p "$logs"

give_up() { # WHAT LOG
  printf 'planted: FOUND: %s; what the leg said is in %s\n' "$1" "$2"
  printf 'planted: the run had seed %d; repeat it with: tests/lab/run planted --seed=%d\n' "$seed" "$seed"
  exit 1
}

look() { # FAULT LEG SECONDS LOG
  ACTABLE_PLANTED=$1 "$root/build/planted/lab/lab_$2" --seed="$seed" --seconds="$3" >"$4" 2>&1
}

for leg in crash history; do
  log=$logs/none.$leg
  look '' "$leg" "$seconds_of_none" "$log" || give_up "nothing is planted, and the leg $leg finds something" "$log"
done
begun=$SECONDS
words=()
for entry in "${faults[@]}"; do
  fault=${entry%%:*} leg=${entry#*:} from=$SECONDS
  log=$logs/$fault.$leg
  ! look "$fault" "$leg" "$seconds_to_find" "$log" || give_up "the leg $leg does not see $fault" "$log"
  # A leg that died of something else has not seen it.
  grep -q "^$leg: FOUND: " "$log" || give_up "with $fault the leg $leg ends without saying what it found" "$log"
  words+=("$fault by $leg in $((SECONDS - from)) s")
done
printf 'planted: ok, %d faults, each found: ' "${#faults[@]}"
printf '%s, ' "${words[@]}"
printf 'seed %d, %d s\n' "$seed" $((SECONDS - begun))
