#!/bin/sh
# Starts a Docker daemon in a container. Without arguments, or with options only, it listens on the usual socket and on
# TCP, with TLS where DOCKER_TLS_CERTDIR says where certificates go. `dockerd ...` is run as it is.
set -eu

certificates() {
	mkdir -p "$1/ca" "$1/server" "$1/client"
	cd "$1"
	openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj '/CN=stand-in authority' \
		-addext keyUsage=critical,keyCertSign -keyout ca/key.pem -out ca/cert.pem
	names="DNS:docker,DNS:localhost,DNS:$(hostname),IP:127.0.0.1"
	for address in $(hostname -I); do names="$names,IP:$address"; done
	for side in server client; do
		openssl req -newkey rsa:2048 -nodes -subj "/CN=stand-in $side" -keyout "$side/key.pem" -out "$side/request.pem"
		printf 'extendedKeyUsage = %sAuth\n' "$side" >extensions
		[ "$side" = client ] || echo "subjectAltName = $names" >>extensions
		openssl x509 -req -in "$side/request.pem" -CA ca/cert.pem -CAkey ca/key.pem -CAcreateserial -days 30 \
			-extfile extensions -out "$side/cert.pem"
		cp ca/cert.pem "$side/ca.pem"
	done
	# Whoever has the volume may be the client, whatever user that is.
	chmod 644 client/key.pem
	cd /
}

case "${1-}" in
'' | -*)
	if [ -n "${DOCKER_TLS_CERTDIR-}" ]; then
		certificates "$DOCKER_TLS_CERTDIR" 2>/dev/null
		set -- dockerd --host=unix:///var/run/docker.sock --host=tcp://0.0.0.0:2376 --tlsverify \
			--tlscacert="$DOCKER_TLS_CERTDIR/server/ca.pem" --tlscert="$DOCKER_TLS_CERTDIR/server/cert.pem" \
			--tlskey="$DOCKER_TLS_CERTDIR/server/key.pem" "$@"
	else
		set -- dockerd --host=unix:///var/run/docker.sock --host=tcp://0.0.0.0:2375 --tls=false "$@"
	fi
	;;
dockerd) ;;
*) exec "$@" ;;
esac

if [ "$(id -u)" = 0 ]; then
	find /run /var/run -name 'docker*.pid' -delete 2>/dev/null || true
	# Where `privileged` cannot be had, the container gets the single rights instead and has to make these mounts.
	for place in /sys /sys/fs/cgroup /sys/fs/cgroup/* /proc/sys; do
		mount -o remount,bind,rw "$place" 2>/dev/null || true
	done
	mount --make-rshared / 2>/dev/null || true
else
	# As the rootless image does: in a user namespace of its own.
	export XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-/run/user/$(id -u)}"
	set -- rootlesskit --net=slirp4netns --mtu=1500 --disable-host-loopback --port-driver=builtin \
		--copy-up=/etc --copy-up=/run "$@"
fi
# shellcheck disable=SC2086 # a list of options
exec "$@" ${STAND_IN_DOCKERD_OPTIONS-}
