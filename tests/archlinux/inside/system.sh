#!/usr/bin/env bash
# Turns a fresh Debian root file system into something a builder cannot tell from Arch's, in the
# places it looks at. Runs as root inside of it (chroot), with our files in /stand-in.
set -euo pipefail

# Arch has one directory for programs; `/usr/bin/useradd` has to be there.
mv -n /usr/sbin/* /usr/bin/
rmdir /usr/sbin
ln -s bin /usr/sbin
ln -sf bash /usr/bin/sh
ln -sf gawk /usr/bin/awk
sed -i 's|^#\?\s*SHELL=.*|SHELL=/usr/bin/bash|' /etc/default/useradd

# pacman 7 downloads as this user; pacman 6 has no such option and warns about it.
useradd --system --user-group --home-dir / --shell /usr/bin/nologin alpm
groupadd --system --force wheel
install -d /etc/pacman.d/hooks /var/lib/pacman/sync /var/cache/pacman/pkg
install -m644 /stand-in/etc/pacman.conf /etc/pacman.conf
install -m644 /stand-in/etc/mirrorlist /etc/pacman.d/mirrorlist
install -m644 /stand-in/etc/os-release /usr/lib/os-release
if pacman --version | grep -q 'Pacman v6'; then
	sed -i '/^DownloadUser/d' /etc/pacman.conf
fi

# The first call makes the local database; makepkg would complain about its absence.
pacman -T

# Debian's build of makepkg 7.0.0 has lost the variable in `${GITFLAGS:---mirror}` and calls git with
# an option that does not exist, so that no Git source can be downloaded.
# shellcheck disable=SC2016 # the variable is makepkg's
sed -i 's/ ---mirror / ${GITFLAGS:---mirror} /' /usr/share/makepkg/source/git.sh

# makepkg's own configuration with the values that Arch ships. The host triplet stays Debian's:
# its compiler has no other.
# shellcheck disable=SC2016 # $CFLAGS is for makepkg
sed -i /etc/makepkg.conf \
	-e "s|^CARCH=.*|CARCH=\"$(uname -m)\"|" \
	-e "s|^CHOST=.*|CHOST=\"$(gcc -dumpmachine)\"|" \
	-e 's|^#\?CFLAGS=.*|CFLAGS="-O2 -pipe -fno-plt -fexceptions -Wformat -Werror=format-security"|' \
	-e 's|^#\?CXXFLAGS=.*|CXXFLAGS="$CFLAGS"|' \
	-e 's|^#\?LDFLAGS=.*|LDFLAGS="-Wl,-O1 -Wl,--as-needed -Wl,-z,relro -Wl,-z,now"|' \
	-e 's|^#\?LTOFLAGS=.*|LTOFLAGS="-flto=auto"|' \
	-e 's|^#\?DEBUG_CFLAGS=.*|DEBUG_CFLAGS="-g"|' \
	-e 's|^OPTIONS=.*|OPTIONS=(strip docs !libtool !staticlibs emptydirs zipman purge debug lto)|' \
	-e 's|^INTEGRITY_CHECK=.*|INTEGRITY_CHECK=(sha256)|' \
	-e 's|^COMPRESSZST=.*|COMPRESSZST=(zstd -c -T0 -)|' \
	-e "s|^PKGEXT=.*|PKGEXT='.pkg.tar.zst'|"
