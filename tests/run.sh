#!/usr/bin/env bash
# All tests, on a machine with Docker, Rust and Git: installs what they need, makes the stand-in for
# archlinux:latest once, runs everything, and ends with the counts. Those of the image and of deploy/
# (tests/deploy/run.sh) run beside the others, because they mostly wait; what they said comes last.
#
# usage: tests/run.sh [FILTER]...     (FILTERs are for cargo test; with them tests/deploy is left out)
# VIETER_TEST_BASE_IMAGE=archlinux:latest runs the same tests on the real image, where there is one.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

docker version --format 'Docker {{.Server.Version}}' || {
	echo 'The tests need a Docker daemon, and this user may not use one or there is none.' >&2
	exit 1
}

# git-daemon is part of Git itself; the registry is Debian's.
missing=()
command -v docker-registry >/dev/null || missing+=(docker-registry)
command -v git >/dev/null || missing+=(git)
command -v gpg >/dev/null || missing+=(gpg)
if ((${#missing[@]})); then
	apt-get update -qq
	apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

work=$(mktemp -d)
background=''
cleanup() {
	[[ -z $background ]] || kill "$background" 2>/dev/null || true
	wait
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

base_images() {
	tests/archlinux/build.sh
	[[ -n ${VIETER_TEST_BASE_IMAGE-} ]] || tests/archlinux/build.sh --suite bookworm --tag archlinux:pacman6
}

# The images while the tests are compiled: making them is mostly downloading and unpacking.
base_images >"$work/images.log" 2>&1 &
background=$!
cargo test --workspace --locked --no-run
wait "$background" || {
	cat "$work/images.log" >&2
	exit 1
}
background=''

if (($# == 0)); then
	tests/deploy/run.sh >"$work/deploy.log" 2>&1 &
	background=$!
fi
status=0
cargo test --workspace --locked --no-fail-fast -- --test-threads="${TEST_THREADS:-2}" "$@" 2>&1 | tee "$work/cargo.log" || status=1
if [[ -n $background ]]; then
	wait "$background" || status=1
	background=''
	cat "$work/deploy.log"
	grep '^FAILED ' "$work/deploy.log" >>"$work/cargo.log" || true
	tail -n 1 "$work/deploy.log" >>"$work/cargo.log"
fi
grep -E '^(test .* \.\.\. FAILED|FAILED )' "$work/cargo.log" || true
awk '/^test result:/ { passed += $4; failed += $6 }
	/^[0-9]+ passed, [0-9]+ failed$/ { passed += $1; failed += $3 }
	END { printf "%d passed, %d failed\n", passed, failed; exit passed == 0 }' "$work/cargo.log" || status=1
exit "$status"
