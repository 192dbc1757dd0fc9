#!/usr/bin/env bash
# Runs the script part of the CI examples for real, with the real image: each must build a package into a static
# repository, and the second time find nothing to do. Needs Docker and the image archlinux:latest
# (tests/archlinux/build.sh).
#
#   tests/deploy/ci.sh [github-actions|forgejo|gitlab-ci|woodpecker]...     (all of them, unless some are named)
#
# VIETER_IMAGE: the image to test; tests/deploy/run.sh ci makes it.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
root="$(cd "$here/../.." && pwd)"
: "${VIETER_IMAGE:?an image of vieter; tests/deploy/run.sh ci makes one}"
work="$(mktemp -d)"
image="vieter-ci-test:$$"
container="vieter-ci-test-$$"
builder="vieter-ci-test-$$-builder"
passed=0
failed=0

clean_up() {
  docker rm --force --volumes "$container" >/dev/null 2>&1 || true
  docker image rm --force "$image" >/dev/null 2>&1 || true
  docker images --quiet --filter "label=dev.vieter.name=$builder from archlinux:latest" | xargs --no-run-if-empty docker image rm --force >/dev/null 2>&1 || true
  rm -rf "$work"
}
trap clean_up EXIT

verdict() { # NAME STATUS
  if [ "$2" = 0 ]; then
    passed=$((passed + 1))
    echo "ok     $1"
  else
    failed=$((failed + 1))
    echo "FAILED $1"
  fi
}

# A package in a Git repository.
mkdir -p "$work/hello"
cat >"$work/hello/PKGBUILD" <<'PKGBUILD'
pkgname=hello-ci
epoch=1
pkgver=1.0
pkgrel=1
pkgdesc='A greeting'
arch=(any)
license=(MIT)
package() {
  install -d "$pkgdir/usr/share/hello-ci"
  echo hello >"$pkgdir/usr/share/hello-ci/greeting"
}
PKGBUILD
git -C "$work/hello" init --quiet --initial-branch=main
git -C "$work/hello" add PKGBUILD
git -C "$work/hello" -c user.name=ci -c user.email=ci@example.org commit --quiet --message 'hello-ci 1.0'

# The image, with that repository where the list says, and a builder image of its own: the daemon is shared.
docker create --name "$container" "$VIETER_IMAGE" >/dev/null
docker cp "$work/hello/.git" "$container:/hello.git"
docker commit --change "ENV VIETER_IMAGE_NAME=$builder" "$container" "$image" >/dev/null

as_container() { # Runs the example where its runner would: in a container of the builder's image.
  docker run --rm --interactive --entrypoint sh --user 0:0 --env TMPDIR=/tmp \
    --volume /var/run/docker.sock:/var/run/docker.sock \
    --volume "$work/job:$work/job" --workdir "$work/job" \
    --env CI_PROJECT_DIR="$work/job" "$@" "$image" -c 'exec bash -s' <"$work/script.sh"
}

[ $# -gt 0 ] || set -- github-actions forgejo gitlab-ci woodpecker
for example; do
  rm -rf "$work/job"
  mkdir -p "$work/job"
  printf '[{"url": "/hello.git", "branch": "main", "repo": "packages"}]\n' >"$work/job/packages.json"
  python3 "$here/ci_script.py" "$root/deploy/ci/$example.yml" >"$work/script.sh"
  for night in first second; do
    status=0
    case "$example" in
      github-actions | forgejo)
        (cd "$work/job" && VIETER_IMAGE="$image" GITHUB_STEP_SUMMARY="$work/summary.md" bash "$work/script.sh") \
          >"$work/log" 2>&1 || status=$?
        ;;
      gitlab-ci)
        as_container --env DOCKER_HOST=unix:///var/run/docker.sock --env DOCKER_TLS_VERIFY= >"$work/log" 2>&1 || status=$?
        ;;
      *)
        mkdir -p "$work/job/repository"
        as_container --env VIETER_ADDRESS="file://$work/job/repository" \
          --env VIETER_LOCK_FILE=/tmp/lock >"$work/log" 2>&1 || status=$?
        ;;
    esac
    [ "$status" = 0 ] || tail -n 30 "$work/log"
    verdict "$example, $night night: exit status 0" "$status"
    status=0
    [ -e "$work/job/repository/packages/x86_64/packages.db" ] &&
      [ -e "$work/job/repository/packages/x86_64/hello-ci-1:1.0-1-any.pkg.tar.zst" ] || status=1
    [ "$status" = 0 ] || find "$work/job/repository"
    verdict "$example, $night night: the package is in the repository" "$status"
    want=published
    [ "$night" = first ] || want=up_to_date
    status=0
    python3 - "$work/job/reports/report.json" "$want" <<'PYTHON' || status=$?
import json, sys
counts = json.load(open(sys.argv[1]))["counts"]
sys.exit(0 if counts[sys.argv[2]] == 1 else f"expected one {sys.argv[2]}: {counts}")
PYTHON
    verdict "$example, $night night: the report says $want" "$status"
  done
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
