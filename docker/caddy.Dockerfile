# The image of the proxy: Caddy with our Caddyfile.
#
#     docker build -f docker/caddy.Dockerfile -t motherfluxer-caddy .
#
# BASE: an image with wget and caddy, 2.11.4 or newer: older ones lose what a request brought when a
# web process does not listen, and no other one is asked.
ARG BASE=caddy:2-alpine

FROM ${BASE}
LABEL org.opencontainers.image.title="motherfluxer-caddy" \
    org.opencontainers.image.description="The proxy in front of a MotherFluxer site." \
    org.opencontainers.image.licenses="MIT"
RUN found="$(caddy version | sed 's/^v//; s/ .*//')" && \
    if [ "$(printf '%s\n' 2.11.4 "$found" | sort -V | head -n 1)" != 2.11.4 ]; then \
        echo "Caddy $found is too old: 2.11.4 or newer is needed." >&2; exit 1; \
    fi
# The official program carries a capability and cannot be run where all are dropped; a copy has none.
RUN cp /usr/bin/caddy /usr/bin/caddy.plain && mv /usr/bin/caddy.plain /usr/bin/caddy && \
    mkdir -p /data && chown 10001:10001 /data
COPY docker/Caddyfile /etc/caddy/Caddyfile
RUN chmod 644 /etc/caddy/Caddyfile
ENV XDG_DATA_HOME=/data XDG_CONFIG_HOME=/tmp HOME=/tmp
WORKDIR /
USER 10001:10001
VOLUME /data
EXPOSE 80 443
STOPSIGNAL SIGTERM
ENTRYPOINT []
CMD ["caddy", "run", "--config", "/etc/caddy/Caddyfile", "--adapter", "caddyfile"]
