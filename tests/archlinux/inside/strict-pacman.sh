#!/usr/bin/env bash
# Stands in front of pacman 7.0.0 and behaves as some later 7.x do: where the file system part of
# the download sandbox cannot be set up, nothing is downloaded at all. 7.0.0 itself says the same
# error and goes on.
set -euo pipefail

real=/usr/lib/stand-in/pacman
config=/etc/pacman.conf
sync=''
previous=''
for arg in "$@"; do
	case $arg in
	--disable-sandbox) exec "$real" "$@" ;;
	-S* | -U* | --sync | --upgrade) sync=yes ;;
	--config=*) config=${arg#*=} ;;
	esac
	[[ $previous != --config ]] || config=$arg
	previous=$arg
done

if [[ -n $sync && $EUID -eq 0 ]]; then
	# Landlock is asked for, not guessed: a download into a database of its own.
	probe=$(mktemp -d)
	chmod 755 "$probe"
	said=$("$real" -Sy --config "$config" --dbpath "$probe" --logfile /dev/null 2>&1 || true)
	rm -rf "$probe"
	if [[ $said == *"restricting filesystem access failed"* ]]; then
		{
			echo "error: restricting filesystem access failed because the Landlock ruleset could not be applied: Operation not permitted"
			echo "error: switching to sandbox user 'alpm' failed!"
			echo "error: failed to synchronize all databases (failed to retrieve some files)"
		} >&2
		exit 1
	fi
fi
exec "$real" "$@"
