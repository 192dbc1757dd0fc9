#!/usr/bin/env bash
# All tests of the image and of what is in deploy/, for real: makes what they share once, runs them beside each other
# where they mostly wait, and ends with the counts.
#
#   tests/deploy/run.sh [helm|images|remote|compose|pod|nightly|podman|ci]...     (all of them, unless some are named)
#
# Needs Docker, Rust and Git, on Debian; the rest is installed.
#
# VIETER_IMAGE:     test this image instead of one that is built here
# VIETER_TEST_KEEP: the images that were made stay, for the next time
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
root="$(cd "$here/../.." && pwd)"
# What runs at the same time, one line each.
lanes=("nightly" "helm images remote pod ci" "podman compose")
work="$(mktemp -d)"
made='' stand_ins='' pids=()
# Whoever uses the stand-ins holds it.
in_use="${TMPDIR:-/tmp}/vieter-stand-ins-$EUID.lock"

clean_up() {
  # A lane is a process group of its own; each script takes away what it has made.
  for pid in "${pids[@]}"; do
    kill -- "-$pid" 2>/dev/null || true
  done
  # Not `wait`: it would not wait for the scripts, only for the lanes.
  for pid in "${pids[@]}"; do
    while kill -0 -- "-$pid" 2>/dev/null; do sleep 0.2; done
  done
  rm -rf "$work"
  [ -n "${VIETER_TEST_KEEP-}" ] || [ -z "$stand_ins" ] || {
    [ -z "$made" ] || docker rmi --force "$made" >/dev/null 2>&1
    # The last one does it. Unlocked first: a process that outlived its script may have this lock, too.
    flock --unlock 8
    ! flock --exclusive --nonblock 8 || "$here/stand-in-images.sh" remove
  } || true
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

[ $# -eq 0 ] || lanes=("$*")
read -ra names <<<"${lanes[*]}"
for name in "${names[@]}"; do
  [[ " helm images remote compose pod nightly podman ci " == *" $name "* ]] || {
    sed -n '/^#   tests/ s/^#  *//p' "$0" >&2
    exit 64
  }
done

docker version --format 'Docker {{.Server.Version}}' || {
  echo 'The tests need a Docker daemon, and this user may not use one or there is none.' >&2
  exit 1
}
# shellcheck source=/dev/null
. "$here/tools.sh"
# Before anything is timed.
python3 "$here/harness.py" install

if [[ "${lanes[*]}" != helm ]]; then
  "$root/tests/archlinux/build.sh" >/dev/null
  exec 8>"$in_use"
  flock --shared 8
  stand_ins=yes
  # One at a time, of two that start together.
  flock "$in_use.make" "$here/stand-in-images.sh" make
  if [ -z "${VIETER_IMAGE-}" ]; then
    # It carries this checkout's name, so that a second one does not get this one's.
    VIETER_IMAGE="vieter-deploy-test:$(cd "$root" && pwd | sha256sum | cut -c1-12)"
    made="$VIETER_IMAGE"
    export VIETER_IMAGE_BUILT_HERE=yes
    start=$SECONDS
    # The builder that is everywhere; Buildx need not be there.
    DOCKER_BUILDKIT=0 nice docker build --tag "$VIETER_IMAGE" "$root" >"$work/image.log" 2>&1 || { cat "$work/image.log"; exit 1; }
    echo "image: $VIETER_IMAGE, built in $((SECONDS - start)) s"
  fi
  nice cargo build --quiet --locked --manifest-path "$root/Cargo.toml" --package vieter-test-support --bin vieter-server-stand-in
fi
target="$(cargo metadata --format-version=1 --no-deps --locked --manifest-path "$root/Cargo.toml" | python3 -c 'import json, sys; print(json.load(sys.stdin)["target_directory"])')"
export VIETER_IMAGE VIETER_SERVER_STAND_IN="$target/debug/vieter-server-stand-in"

run_one() { # NAME: one script; what it says is shown when it has ended, so that no other's is in between
  local name="$1" start=$SECONDS status=0
  nice "$(ls "$here/$name".*)" >"$work/$name.said" 2>&1 || status=$?
  printf '\n== %s: status %s, %s s\n' "$name" "$status" "$((SECONDS - start))" | cat - "$work/$name.said" >"$work/$name.log"
  if [ "$status" = 0 ]; then
    flock "$work/lock" cat "$work/$name.log"
  else
    touch "$work/$name.failed"
  fi
}

lane() {
  local name
  for name in $1; do
    run_one "$name"
  done
}

set -m
for lane in "${lanes[@]}"; do
  lane "$lane" &
  pids+=($!)
done
set +m
wait "${pids[@]}"

passed=0 failed=0
for name in "${names[@]}"; do
  # A script without counts has failed, whatever it says.
  counts="$(sed -nE 's/^([0-9]+) passed, ([0-9]+) failed$/\1 \2/p' "$work/$name.log" | tail -n 1)"
  read -r yes no <<<"${counts:-0 1}"
  if [ -e "$work/$name.failed" ]; then
    # Where nobody has to look for it.
    cat "$work/$name.log"
    [ "$no" != 0 ] || no=1
  fi
  passed=$((passed + yes)) failed=$((failed + no))
done
echo
echo "$passed passed, $failed failed"
[ "$passed" != 0 ] && [ "$failed" = 0 ]
