#!/usr/bin/env bash
# Checks the Helm chart, the Kubernetes manifests and the CI examples with the real helm and kubectl and with
# the API schemas of Kubernetes 1.30 and up.
#
#   tests/deploy/helm.sh            check
#   UPDATE=1 tests/deploy/helm.sh   accept what is rendered now as the golden files; look at the difference!
#
# What it needs is installed: Debian's shellcheck, and the rest as tools.sh says.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
if ! command -v shellcheck >/dev/null; then
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends shellcheck >/dev/null
fi
# shellcheck source=/dev/null
. "$here/tools.sh"
exec python3 "$here/checks.py" "$@"
