#!/usr/bin/env bash
# From a checkout to an installed package, on a machine with Docker, Rust and Git: builds vieter,
# lets it build the example packages of deploy/quickstart/packages into a pacman repository,
# and installs one of them from there in a clean container.
#
# usage: deploy/quickstart.sh [DIRECTORY]
# DIRECTORY (./quickstart in the checkout unless given) is where everything goes. Run it again and
# nothing is built, because nothing has changed; delete the directory to start afresh.
# VIETER_BASE_IMAGE is honoured; so are the other settings of vieter.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
case ${1-} in
-*)
	sed -n '/^# usage/,/^# VIETER/ s/^# //p' "$0" >&2
	exit 64
	;;
esac
work=${1:-$root/quickstart}
mkdir -p "$work"
work=$(cd "$work" && pwd)
image=${VIETER_BASE_IMAGE:-archlinux:latest}

say() { printf '\n==> %s\n' "$*"; }
stop() {
	printf '%s\n' "$@" >&2
	exit 1
}

for program in cargo docker git; do
	command -v "$program" >/dev/null || stop "The quick start needs $program, which is not installed here."
done
arch=$(docker info --format '{{.Architecture}}') || stop "Docker does not answer. Is it running, and may this user use it?"

say "Building vieter"
(cd "$root" && cargo build --release --locked)
vieter=${CARGO_TARGET_DIR:-$root/target}/release/vieter

say "Getting the base image $image"
if ! docker pull --quiet "$image"; then
	if docker image inspect "$image" >/dev/null 2>&1; then
		echo "It cannot be pulled; the copy that is already here will do."
	elif [[ -z ${VIETER_BASE_IMAGE-} ]]; then
		echo "It cannot be pulled, and there is no copy here. A stand-in is made from Debian's packages of"
		echo "pacman and makepkg. It is NOT Arch Linux: good for trying this out, not for real packages."
		"$root/tests/archlinux/build.sh"
	else
		stop "It cannot be pulled, and there is no copy here."
	fi
fi
if [[ -n $(docker image inspect --format '{{index .Config.Labels "stand-in.content"}}' "$image") ]]; then
	echo "Note: $image on this machine is the stand-in for tests, not Arch Linux."
fi

# vieter takes its packages from Git, so the examples become a Git repository. Once made, it is
# the user's to play with.
if [[ ! -d $work/packages/.git ]]; then
	say "Putting the example packages into a Git repository, $work/packages"
	rm -rf "$work/packages"
	cp -r "$root/deploy/quickstart/packages" "$work/packages"
	git -C "$work/packages" init --quiet
	git -C "$work/packages" symbolic-ref HEAD refs/heads/main
	git -C "$work/packages" add .
	git -C "$work/packages" -c user.name=quickstart -c user.email=quickstart@localhost \
		-c commit.gpgsign=false commit --quiet --message 'Example packages'
fi

# One entry for each folder with a PKGBUILD.
entries=''
for pkgbuild in "$work"/packages/*/PKGBUILD; do
	name=$(basename "$(dirname "$pkgbuild")")
	entries+=${entries:+,$'\n'}
	entries+="  {\"url\": \"file://$work/packages\", \"branch\": \"main\", \"path\": \"$name\", \"arch\": [\"$arch\"], \"repo\": \"quickstart\"}"
done
printf '[\n%s\n]\n' "$entries" >"$work/repos.json"

say "Running vieter build"
repository=$work/repository
mkdir -p "$repository"
package_files() { find "$repository" -name '*.pkg.tar*' ! -name '*.sig' | sort; }
before=$(package_files)
export VIETER_ADDRESS=file://$repository VIETER_REPOS_FILE=$work/repos.json VIETER_BASE_IMAGE=$image
"$vieter" build || stop "vieter build ended with exit status $?; see above."
after=$(package_files)
if [[ $before == "$after" ]]; then
	say "Everything is up to date: nothing had to be built"
else
	say "New in the repository"
	comm -13 <(echo "$before") <(echo "$after") | sed "s|^$repository/||"
fi

say "Installing abacus-report from it, in a clean container of $image"
container=$(docker create --interactive "$image" bash -euo pipefail -s)
trap 'docker rm --force --volumes "$container" >/dev/null' EXIT
docker cp "$repository" "$container:/srv/quickstart"
docker start --attach --interactive "$container" <<'INSIDE'
# pacman 7 downloads as a user of its own, who has to be able to read this.
chmod -R a+rX /srv/quickstart
cat >>/etc/pacman.conf <<'CONF'

[quickstart]
SigLevel = Optional TrustAll
Server = file:///srv/quickstart/$repo/$arch
CONF
# Its download sandbox cannot be set up in every container; pacman 6 has none.
options=(--noconfirm --noprogressbar)
if [[ $(pacman -S --help) == *--disable-sandbox* ]]; then
	options+=(--disable-sandbox)
fi
pacman -Syu "${options[@]}" abacus-report </dev/null
echo
echo '$ abacus-report'
abacus-report
INSIDE

say "That is all"
cat <<NEXT
The repository is $repository/quickstart/$arch, and any web server can serve it:
  [quickstart]
  SigLevel = Optional TrustAll
  Server = https://your.server/\$repo/\$arch

To see a new version being built, and only that one, add a line to a file and run this again:
  echo 'Here is one more.' >>$work/packages/daily-quote/quotes.txt
  git -C $work/packages commit -am 'One more quote'
  $0${1:+ $1}

To use it for packages of your own, set these and run \`vieter build\` from cron or a CI runner:
  VIETER_ADDRESS=$VIETER_ADDRESS
  VIETER_REPOS_FILE=$VIETER_REPOS_FILE
Nothing stays running. What is left on this machine: $work, and the builder image.
NEXT
