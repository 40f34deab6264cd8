# The image of the site: web, router, worker, beat and the steps before them, each by its command.
#
#     docker build -f docker/web.Dockerfile -t motherfluxer .
#
# BASE: an image with Python 3.11 and its venv module, of a Debian whose PostgreSQL client is no older
# than your server (13, trixie: 17), or with a client in it. PIP_INDEX_URL: your own package index.
ARG BASE=python:3.11-slim-trixie

FROM ${BASE} AS build
ARG PIP_INDEX_URL
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_COMPILE=1
RUN python3 -m venv /build/tools && python3 -m venv --without-pip /opt/venv
ENV PATH=/build/tools/bin:$PATH
# A root that is never written to can trust its bytecode without comparing it to the source.
ENV COMPILE="python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash"
COPY requirements/production.txt requirements/older_python.txt /build/
RUN pip --python /opt/venv install --no-deps -r /build/production.txt -r /build/older_python.txt && \
    pip --python /opt/venv check && \
    $COMPILE /opt/venv/lib/python3.*/site-packages
WORKDIR /srv/motherfluxer
COPY manage.py LICENSE ./
COPY apps apps/
COPY motherfluxer motherfluxer/
COPY templates templates/
COPY static static/
COPY docs docs/
COPY model_container model_container/
# What was checked out under a strict umask must be readable all the same.
RUN chmod -R a+rX . && $COMPILE apps motherfluxer model_container/src/motherfluxer_wire
ENV PATH=/opt/venv/bin:$PATH PYTHONPATH=/srv/motherfluxer/model_container/src \
    DJANGO_SETTINGS_MODULE=motherfluxer.settings.production
# Thrown away with the step: no file that is collected knows of them.
RUN SECRET_KEY="$(python3 -c 'import secrets; print(secrets.token_urlsafe(50))')" \
    FIELD_ENCRYPTION_KEYS="$(python3 -c 'import base64, os; print(base64.urlsafe_b64encode(os.urandom(32)).decode())')" \
    MOTHERFLUXER_VAR=/build/var MOTHERFLUXER_STATIC=/srv/motherfluxer/collected \
    python3 manage.py collectstatic --no-input --verbosity 0 && \
    chmod -R a+rX collected

FROM ${BASE}
LABEL org.opencontainers.image.title="motherfluxer" \
    org.opencontainers.image.description="A chat site whose answers come from model instances anybody may run." \
    org.opencontainers.image.licenses="MIT"
# Backups are made by the client's programs, and those refuse a server that is newer than they are.
RUN if ! command -v pg_dump; then \
        apt-get update && apt-get install -y --no-install-recommends postgresql-client && \
        rm -rf /var/lib/apt/lists/*; \
    fi
# Official images come without the standard library's bytecode, and here nobody could keep it.
RUN python3 -m compileall -q -j 0 -x '/(tests?|idlelib|lib2to3|(site|dist)-packages)/' \
        "$(python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')" && \
    echo 'motherfluxer:x:10001:' >> /etc/group && \
    echo 'motherfluxer:x:10001:10001::/tmp:/usr/sbin/nologin' >> /etc/passwd && \
    mkdir /var/lib/motherfluxer /var/backups/motherfluxer /instance && \
    chown 10001:10001 /var/lib/motherfluxer /var/backups/motherfluxer /instance && \
    chmod 700 /var/backups/motherfluxer
COPY --from=build /opt/venv /opt/venv
COPY --from=build /srv/motherfluxer /srv/motherfluxer
ENV PATH=/opt/venv/bin:$PATH PYTHONPATH=/srv/motherfluxer/model_container/src \
    PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp MPLCONFIGDIR=/tmp \
    DJANGO_SETTINGS_MODULE=motherfluxer.settings.production \
    MOTHERFLUXER_VAR=/var/lib/motherfluxer MOTHERFLUXER_STATIC=/srv/motherfluxer/collected \
    MOTHERFLUXER_BIND=0.0.0.0
WORKDIR /srv/motherfluxer
USER 10001:10001
VOLUME /var/lib/motherfluxer
EXPOSE 8000
STOPSIGNAL SIGTERM
CMD ["gunicorn", "--config=motherfluxer/gunicorn.conf.py", "motherfluxer.asgi:application"]
