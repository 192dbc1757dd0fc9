#!/usr/bin/env bash
# Makes stand-ins for the images that the Dockerfile starts from and that the files in deploy/ name, from Debian's
# packages and the Rust toolchain of this machine: for machines without a registry.
# An image that is there already is left as it is, unless this script made it.
#
# usage: stand-in-images.sh make|remove
# shellcheck disable=SC2016 # what stands in single quotes is for the shells that read it later
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
label=stand-in.for-vieter
suite=$(sed -n 's/^ARG DEBIAN=//p' "$root/Dockerfile")
rust_version=$(sed -n 's/^ARG RUST_VERSION=//p' "$root/Dockerfile")
debian_image=debian:$suite-slim
rust_image=rust:$rust_version-slim-$suite
# One for both: the stand-in is rootless when it is not started as root.
daemon_images=(docker:29-dind docker:29-dind-rootless)
web_image=nginx:stable-alpine

say() { printf '%s\n' "stand-in-images.sh: $*" >&2; }

is_ours() { [[ -n $(docker image inspect --format "{{index .Config.Labels \"$label\"}}" "$1" 2>/dev/null || true) ]]; }
is_there() { docker image inspect "$1" >/dev/null 2>&1; }

remove() {
	local image
	for image in "$web_image" "${daemon_images[@]}" "$rust_image" "$debian_image"; do
		! is_ours "$image" || docker rmi "$image" >/dev/null
	done
	# What was built on them and has no name any more: it carries the label, as all that is made from them does.
	docker image prune --force --filter "label=$label" >/dev/null
}

case ${1-} in
remove)
	remove
	exit
	;;
make) ;;
*)
	sed -n '/^# usage/ s/^# //p' "$0" >&2
	exit 64
	;;
esac

work=''
trap '[[ -z $work ]] || rm -rf "$work"' EXIT

if ! command -v mmdebstrap >/dev/null; then
	apt-get update -qq
	apt-get install -y -qq mmdebstrap debian-archive-keyring >/dev/null
fi
# shellcheck disable=SC2016 # apt's placeholder
mirror=$(apt-get indextargets --format '$(SITE)' | grep -m1 '/debian/*$' || true)
work=$(mktemp -d)

# built FOLDER IMAGE: by docker, from a folder beside this script
built() {
	is_there "$2" || {
		say "making $2"
		DOCKER_BUILDKIT=0 docker build --label "$label=yes" --tag "$2" "$root/tests/deploy/$1" >"$work/log" 2>&1 ||
			{ cat "$work/log" >&2 && return 1; }
	}
}

# debian SUITE OPTION...: a root file system on stdout
debian() {
	nice -n 10 mmdebstrap --quiet --variant=minbase \
		--dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
		--dpkgopt='path-exclude=/usr/share/info/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
		"$@" "$suite" - ${mirror:+"$mirror"}
}

if ! is_there "$debian_image"; then
	say "making $debian_image"
	debian --customize-hook='rm -rf "$1"/var/lib/apt/lists/*' |
		docker import --change "LABEL $label=yes" --change 'CMD ["bash"]' - "$debian_image" >/dev/null
fi
if ! is_there "$rust_image"; then
	say "making $rust_image"
	sysroot=$(cd "$root" && rustc --print sysroot)
	cargo_home=${CARGO_HOME:-$HOME/.cargo}
	mkdir -p "$work/usr/local/rustup/lib" "$work/usr/local/cargo/registry" "$work/usr/local/bin" "$work/etc/ssl/certs"
	cp -r --parents "$sysroot/bin/cargo" "$sysroot/bin/rustc" "$sysroot"/lib/lib*.so* "$sysroot"/lib/rustlib/*-linux-gnu "$work/"
	mv "$work$sysroot" "$work/usr/local/rustup/toolchain"
	for program in cargo rustc; do
		ln -s "../rustup/toolchain/bin/$program" "$work/usr/local/bin/$program"
	done
	# What this machine has downloaded already, and whom it trusts: what is missing is fetched as everywhere.
	for part in cache index; do
		[[ ! -d $cargo_home/registry/$part ]] || cp -r "$cargo_home/registry/$part" "$work/usr/local/cargo/registry/"
	done
	debian --include=gcc,libc6-dev,ca-certificates \
		--customize-hook="tar -C '$work' -c usr | tar -C \"\$1\" -x --keep-directory-symlink" \
		--customize-hook='rm -rf "$1"/var/lib/apt/lists/*' \
		--customize-hook='cp /etc/ssl/certs/ca-certificates.crt "$1/etc/ssl/certs/ca-certificates.crt"' |
		docker import --change "LABEL $label=yes" --change 'ENV CARGO_HOME=/usr/local/cargo' \
			--change 'ENV RUSTUP_HOME=/usr/local/rustup' --change 'ENV PATH=/usr/local/cargo/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
			--change 'CMD ["bash"]' - "$rust_image" >/dev/null
fi
for image in "${daemon_images[@]}"; do
	built docker-in-docker "$image"
done
built nginx "$web_image"
