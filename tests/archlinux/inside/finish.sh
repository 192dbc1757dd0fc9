#!/usr/bin/env bash
# Makes the image what a builder finds: `base` installed, nothing else, and no file of the build
# tools and of git. Runs as root in the container that is committed, with /srv/mirror filled.
set -euo pipefail

repo=/srv/mirror/core/os/$(uname -m)
base=()
tools=()
for file in "$repo"/*.pkg.tar.zst; do
	# `pkgbase` of .PKGINFO tells the three groups apart: base, the tools, and the rest.
	case $(bsdtar -xOf "$file" .PKGINFO | sed -n 's/^pkgbase = //p') in
	base) base+=("$file") ;;
	base-devel | git) tools+=("$file") ;;
	esac
done
pacman -U --noconfirm --noprogressbar --asdeps "${base[@]}"
pacman -D --asexplicit base
for file in "${tools[@]}"; do
	bsdtar -tf "$file" | sed -e '/^\./d' -e '\|/$|d' | (cd / && xargs -r rm -f)
done
rm -rf /stand-in /etc/sudoers.d /var/log/* /var/lib/apt/lists/* /var/cache/pacman/pkg/*
