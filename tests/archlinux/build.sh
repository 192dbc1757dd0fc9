#!/usr/bin/env bash
# Makes a stand-in for the image archlinux:latest, for machines that can reach a Debian mirror
# but no container registry: pacman and makepkg as Debian packages them, and a small repository
# [core] of its own inside the image. Nothing is done when there is one of the same content.
#
# usage: build.sh [--tag NAME] [--suite trixie|bookworm] [--newer PKGNAME] [--server URL]
#                 [--strict-sandbox] [--export DIR]
#   --tag NAME       default archlinux:latest
#   --suite SUITE    trixie has pacman 7 (the default), bookworm has pacman 6
#   --newer PKGNAME  [core] has this package with a pkgrel one higher
#   --server URL     the mirror list says URL/$repo/os/$arch instead of a directory in the image
#   --strict-sandbox pacman downloads nothing where its sandbox cannot be set up, as some 7.x do
#   --export DIR     copies the image's mirror to DIR (so DIR/core/os/$arch/core.db), to be served
# With VIETER_TEST_BASE_IMAGE set and none of --suite, --newer, --server and --strict-sandbox,
# nothing is built: that image has to be there, and its name is printed.
# The last line on stdout is the image's name.
#
# shellcheck disable=SC2016 # $repo and the like are for those who read them later
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
packages=pacman-package-manager,makepkg,debugedit,git,sudo,gcc,make,libc6-dev,fakeroot,curl,ca-certificates
packages+=,libarchive-tools,zstd,file,xz-utils,patch,bzip2,gawk,gpg,pkgconf
core=(base base-devel git libgreet libfarewell greet-backends greet-daemon)
label=stand-in.content

tag='' suite='' newer='' server='' strict='' export_dir=''
while [[ $# -gt 0 ]]; do
	case $1 in
	--tag) tag=${2:?} ;;
	--suite) suite=${2:?} ;;
	--newer) newer=${2:?} ;;
	--server) server=${2:?} ;;
	--strict-sandbox) strict=yes ;;
	--export) export_dir=${2:?} ;;
	*)
		sed -n '/^# usage/,/^# The last/ s/^# //p' "$0" >&2
		exit 64
		;;
	esac
	[[ $1 == --strict-sandbox ]] || shift
	shift
done

say() { printf '%s\n' "build.sh: $*" >&2; }

if [[ -z $suite$newer$server$strict ]]; then
	if [[ -n ${VIETER_TEST_BASE_IMAGE-} ]]; then
		if ! docker image inspect "$VIETER_TEST_BASE_IMAGE" >/dev/null; then
			say "VIETER_TEST_BASE_IMAGE names an image that is not here; pull it first"
			exit 1
		fi
		echo "$VIETER_TEST_BASE_IMAGE"
		exit
	fi
	tag=${tag:-archlinux:latest}
elif [[ -z $tag ]]; then
	say "--suite, --newer, --server and --strict-sandbox need --tag"
	exit 64
fi
suite=${suite:-trixie}

work=''
containers=()
rootfs=''
cleanup() {
	[[ ${#containers[@]} -eq 0 ]] || docker rm -f -v "${containers[@]}" >/dev/null 2>&1 || true
	[[ -z $rootfs ]] || docker rmi "$rootfs" >/dev/null 2>&1 || true
	[[ -z $work ]] || rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

content_of() { docker image inspect --format "{{index .Config.Labels \"$label\"}}" "$1" 2>/dev/null || true; }

hash_of() {
	(cd "$here" && find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum && uname -m && printf '%s\n' "$@") |
		sha256sum | cut -d' ' -f1
}

as_root() {
	if [[ $EUID -eq 0 ]]; then "$@"; else sudo "$@"; fi
}

# container IMAGE COMMAND...: starts it without network, and leaves its id in $container
container() {
	container=$(docker create --network none "$@")
	containers+=("$container")
}

# run CONTAINER: what it says matters only when it fails
run() {
	local log
	log=$(docker start -a "$1" 2>&1) || {
		printf '%s\n' "$log" >&2
		return 1
	}
}

# commit CONTAINER NAME CONTENT: what the name meant before goes, unless it is still in use
commit() {
	local before
	before=$(docker image inspect --format '{{.Id}}' "$2" 2>/dev/null || true)
	docker commit --change "LABEL $label=$3" --change 'CMD ["/usr/bin/bash"]' "$1" "$2" >/dev/null
	[[ -z $before ]] || docker rmi "$before" >/dev/null 2>&1 || true
}

debootstrap() {
	local mirror
	if ! command -v mmdebstrap >/dev/null; then
		say "installing mmdebstrap"
		as_root apt-get install -y -q mmdebstrap debian-archive-keyring >&2
	fi
	# The mirror that this machine uses is the one it can reach. On anything but Debian there is
	# none to find, and mmdebstrap takes its default.
	mirror=$(apt-get indextargets --format '$(SITE)' | grep -m1 '/debian/*$' || true)
	mmdebstrap --quiet --variant=minbase --include="$packages" \
		--dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
		--dpkgopt='path-exclude=/usr/share/info/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
		--customize-hook='cp -r "$STAND_IN_FILES" "$1/stand-in"' \
		--customize-hook='chroot "$1" bash /stand-in/inside/system.sh' \
		"$suite" "$work/rootfs.tar" ${mirror:+"$mirror"} >&2
}

# The image that all others are made from: rootfs, then [core] built in it, then both together.
build_base() {
	local name=$1 content=$2 builder
	say "making a root file system of Debian $suite (a minute or two)"
	work=$(mktemp -d)
	export STAND_IN_FILES=$here
	if ! debootstrap; then
		say "once more, in case it was the network"
		rm -f "$work/rootfs.tar"
		sleep 5
		debootstrap
	fi
	rootfs=archlinux-stand-in:rootfs-$$
	docker import --change 'ENV LANG=C.UTF-8' "$work/rootfs.tar" "$rootfs" >/dev/null
	rm -rf "$work"

	say "building the packages of [core]"
	container "$rootfs" bash /stand-in/inside/build-core.sh "${core[@]}"
	builder=$container
	run "$builder"
	container "$rootfs" bash /stand-in/inside/finish.sh
	docker cp "$builder:/srv/mirror" - | docker cp - "$container:/srv"
	run "$container"
	commit "$container" "$name" "$content"
}

# An image made from the base, with another [core] or another mirror list.
derive() {
	local base=$1 name=$2 content=$3 builder
	container "$base" true
	local result=$container
	if [[ -n $newer ]]; then
		say "building a newer $newer"
		container "$base" bash /stand-in/inside/build-core.sh --newer "$newer"
		builder=$container
		docker cp "$here/." "$builder:/stand-in"
		run "$builder"
		container "$base" rm -rf /srv/mirror
		result=$container
		run "$result"
		docker cp "$builder:/srv/mirror" - | docker cp - "$result:/srv"
	fi
	if [[ -n $strict ]]; then
		say "putting the strict sandbox in front of pacman"
		work=$(mktemp -d)
		mkdir "$work/stand-in"
		docker cp "$result:/usr/bin/pacman" "$work/stand-in/pacman"
		install -m755 "$here/inside/strict-pacman.sh" "$work/pacman"
		docker cp "$work/stand-in" "$result:/usr/lib"
		docker cp "$work/pacman" "$result:/usr/bin/pacman"
		rm -rf "$work"
	fi
	if [[ -n $server ]]; then
		work=$(mktemp -d)
		printf 'Server = %s/$repo/os/$arch\n' "${server%/}" >"$work/mirrorlist"
		chmod 644 "$work/mirrorlist"
		docker cp "$work/mirrorlist" "$result:/etc/pacman.d/mirrorlist"
	fi
	commit "$result" "$name" "$content"
}

# An image under this name that is none of ours is somebody's real one.
if docker image inspect "$tag" >/dev/null 2>&1 && [[ -z $(content_of "$tag") ]]; then
	say "there is an image $tag that this script did not make, and it stays"
	say "to test with it: VIETER_TEST_BASE_IMAGE=$tag; to have a stand-in beside it: --tag NAME"
	exit 1
fi

base=archlinux-stand-in:$suite
base_content=$(hash_of "$suite")
content=$base_content
[[ -z $newer$server$strict ]] || content=$(hash_of "$suite" "$newer" "$server" "$strict")

if [[ $(content_of "$tag") != "$content" ]]; then
	# One at a time; who comes second finds the first one's image.
	exec 9>"${TMPDIR:-/tmp}/archlinux-stand-in-$EUID.lock"
	flock 9
	[[ $(content_of "$base") == "$base_content" ]] || build_base "$base" "$base_content"
	if [[ $content == "$base_content" ]]; then
		docker tag "$base" "$tag"
	elif [[ $(content_of "$tag") != "$content" ]]; then
		derive "$base" "$tag" "$content"
	fi
fi
if [[ -n $export_dir ]]; then
	mkdir -p "$export_dir"
	container "$tag" true
	docker cp "$container:/srv/mirror/." "$export_dir"
fi
echo "$tag"
