# The image of vieter. How to build it for one machine or for several architectures: docs/docker.md.
# Needs nothing but `docker build .`: both builders of Docker understand it, no argument is a secret.
ARG RUST_VERSION=1.95
ARG DEBIAN=trixie

FROM rust:${RUST_VERSION}-slim-${DEBIAN} AS build
WORKDIR /src
# The same sources make the same program, wherever they were built.
ENV CARGO_INCREMENTAL=0 \
    CARGO_NET_RETRY=5 \
    RUSTFLAGS="--remap-path-prefix=/src=. --remap-path-prefix=/usr/local/cargo=cargo"

# The dependencies, in a layer that lasts until Cargo.toml or Cargo.lock changes.
COPY Cargo.toml Cargo.lock ./
COPY tests/support/Cargo.toml tests/support/
RUN mkdir -p src tests/support/src \
    && echo 'fn main() {}' >src/main.rs \
    && touch src/lib.rs tests/support/src/lib.rs \
    && cargo build --release --locked --package vieter \
    && rm -r src

COPY src src
# Cargo goes by time stamps, and those of the sources may be older than the stub's.
RUN find src -name '*.rs' -exec touch {} + \
    && cargo build --release --locked --package vieter \
    && install -D --mode=755 target/release/vieter /out/usr/local/bin/vieter
COPY LICENSE* /out/usr/share/licenses/vieter/

FROM debian:${DEBIAN}-slim
# 10001 is no user of any distribution. The directories are for volumes: a new one gets their owner.
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
        ca-certificates git openssh-client tini \
    && groupadd --gid 10001 vieter \
    && useradd --uid 10001 --gid 10001 --create-home --skel /dev/null --shell /bin/sh vieter \
    && install --directory --owner=10001 --group=10001 --mode=700 /home/vieter/.ssh \
    && install --directory --owner=10001 --group=10001 --mode=775 /cache /reports /repository \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/cache/debconf/*-old /var/cache/ldconfig/aux-cache \
        /var/lib/dpkg/*-old /var/log/apt /var/log/*.log /etc/*-
COPY --from=build /out/ /

ARG VERSION=dev
ARG REVISION=
ARG CREATED=
LABEL org.opencontainers.image.title="vieter" \
      org.opencontainers.image.description="Builds Arch Linux packages in throw-away containers and publishes them to a pacman repository" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"

USER 10001:10001
WORKDIR /home/vieter
# For `vieter cron`; a container that runs something else is healthy as long as it runs.
HEALTHCHECK --interval=60s --timeout=10s --start-period=30s --retries=3 CMD ["vieter", "healthcheck"]
ENTRYPOINT ["tini", "--", "vieter"]
CMD ["build"]
