#!/usr/bin/env bash
# Builds packages of /stand-in/core with makepkg and adds them to the repository in /srv/mirror.
# Runs as root in a container that is thrown away: only /srv/mirror is taken out of it.
# usage: build-core.sh PKGBASE...         each with its own version
#        build-core.sh --newer PKGNAME    the one that makes PKGNAME, with a higher pkgrel
set -euo pipefail
shopt -s nullglob

repo=/srv/mirror/core/os/$(uname -m)
out=/build/out
mkdir -p "$repo" "$out"
useradd --home-dir /build --shell /usr/bin/bash build
export PKGDEST=$out HOME=/build

# The files of these packages are in the file system already, unowned, when they are first built.
# The greeters are left out: two of them exclude each other, and nothing here needs them.
install_packages() {
	local file files=()
	for file in "$@"; do
		[[ $file == */greet-* ]] || files+=("$file")
	done
	[[ ${#files[@]} -eq 0 ]] || pacman -Udd --noconfirm --noprogressbar --overwrite '*' "${files[@]}"
}

build() {
	echo "building $1"
	rm -rf "$out" "/build/$1"
	cp -r "/stand-in/core/$1" "/build/$1"
	[[ -z ${2-} ]] || sed -i "s/^pkgrel=.*/pkgrel=$2/" "/build/$1/PKGBUILD"
	mkdir "$out"
	chown -R build: /build
	(cd "/build/$1" && runuser -u build -- makepkg --nodeps)
	rm -f "$out"/*-debug-*
	install_packages "$out"/*.pkg.tar.zst
	repo-add --quiet --remove "$repo/core.db.tar.gz" "$out"/*.pkg.tar.zst
	cp "$out"/*.pkg.tar.zst "$repo/"
	rm -f "$repo"/*.old
}

if [[ $1 == --newer ]]; then
	for pkgbuild in /stand-in/core/*/PKGBUILD; do
		# A PKGBUILD is bash, and these are ours: reading it is the way to know its names.
		# shellcheck disable=SC1090,SC2034,SC2154
		names=$(set +u && CARCH=$(uname -m) && source "$pkgbuild" && echo " ${pkgname[*]} ")
		if [[ $names == *" $2 "* ]]; then
			install_packages "$repo"/*.pkg.tar.zst
			pkgrel=$(sed -n 's/^pkgrel=//p' "$pkgbuild")
			build "$(basename "$(dirname "$pkgbuild")")" "$((pkgrel + 1))"
			exit
		fi
	done
	echo "no package is called $2" >&2
	exit 1
fi
for base in "$@"; do
	build "$base"
done
