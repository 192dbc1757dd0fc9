#!/usr/bin/env bash
# All tests, on a machine with Docker, Rust and Git: installs what they need, makes the stand-in for
# archlinux:latest once, runs everything, and ends with the counts.
#
# usage: tests/run.sh [FILTER]...     (FILTERs are passed on to cargo nextest or cargo test)
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

base=$(tests/archlinux/build.sh | tail -n 1)
echo "base image: $base"
if [[ -z ${VIETER_TEST_BASE_IMAGE-} ]]; then
	tests/archlinux/build.sh --suite bookworm --tag archlinux:pacman6
fi

tests/deploy/helm.sh

log=$(mktemp)
trap 'rm -f "$log"' EXIT
status=0
cargo test --workspace --locked --no-fail-fast -- --test-threads="${TEST_THREADS:-2}" "$@" 2>&1 | tee "$log" || status=1
awk '/^test result:/ { passed += $4; failed += $6 }
	END { printf "%d passed, %d failed\n", passed, failed; exit passed == 0 }' "$log" || status=1
exit "$status"
