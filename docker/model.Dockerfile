# The image of the model container, built from the repository's root:
#
#     docker build -f docker/model.Dockerfile -t motherfluxer-model .
#
# From here on this is model_container/Dockerfile, which its operators build from their download,
# but for where SOURCE is; a test holds them together. What the arguments mean stands there.
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
ARG VARIANT=cpu
ARG SOURCE=model_container
ARG PIP_INDEX_URL
ARG TORCH_INDEX_URL=https://download.pytorch.org/whl/cpu
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_COMPILE=1
WORKDIR /build
RUN python3 -m venv /build/tools && python3 -m venv --without-pip /opt/motherfluxer
ENV PATH=/build/tools/bin:$PATH
COPY ${SOURCE}/requirements requirements/
RUN pip install --require-hashes -r requirements/build.txt
# Torch for processors alone is looked for in its own index.
RUN if [ "$VARIANT" = cpu ]; then \
        sed -n '/^torch==/,/# via/p' requirements/cpu.txt > torch.txt && \
        pip --python /opt/motherfluxer install --no-deps --require-hashes \
            --extra-index-url "$TORCH_INDEX_URL" -r torch.txt; \
    fi
# A root that is never written to can trust its bytecode without comparing it to the source.
ENV COMPILE="python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash"
ENV SITE=/opt/motherfluxer/lib/python3.*/site-packages
# Torch's headers, tests and compilers are a third of its files and of no use here.
RUN pip --python /opt/motherfluxer install --require-hashes -r "requirements/$VARIANT.txt" && \
    rm -rf $SITE/torch/include $SITE/torch/test $SITE/torch/bin/*[Tt]est* $SITE/torch/bin/protoc* && \
    $COMPILE -x /torch/testing/_internal/ $SITE
COPY ${SOURCE}/LICENSE ${SOURCE}/README.md ${SOURCE}/pyproject.toml ./
COPY ${SOURCE}/src src/
COPY ${SOURCE}/tiny/motherfluxer-tiny /opt/motherfluxer/tiny/motherfluxer-tiny
RUN pip wheel --no-deps --no-build-isolation -w wheels . && \
    pip --python /opt/motherfluxer install --no-deps wheels/*.whl && \
    $COMPILE $SITE/motherfluxer_* && \
    chmod -R a+rX /opt/motherfluxer/tiny

FROM ${BASE}
LABEL org.opencontainers.image.title="motherfluxer-model" \
    org.opencontainers.image.description="Runs a language model and serves it to a MotherFluxer site." \
    org.opencontainers.image.licenses="MIT"
# Official images come without the standard library's bytecode, and here nobody could keep it.
RUN python3 -m compileall -q -j 0 -x '/(tests?|idlelib|lib2to3|(site|dist)-packages)/' \
        "$(python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')" && \
    echo 'motherfluxer:x:10001:' >> /etc/group && \
    echo 'motherfluxer:x:10001:10001::/tmp:/usr/sbin/nologin' >> /etc/passwd && \
    mkdir /weights && chown 10001:10001 /weights
COPY --from=build /opt/motherfluxer /opt/motherfluxer
# Where nothing is mounted at /tmp, torch gets the other place: Docker always mounts that.
ENV PATH=/opt/motherfluxer/bin:$PATH TMPDIR=/tmp TEMP=/dev/shm \
    PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp HF_HOME=/weights HF_HUB_DISABLE_TELEMETRY=1 \
    MOTHERFLUXER_CREDENTIAL_FILE=/run/secrets/credential \
    MOTHERFLUXER_HEALTH_HOST=127.0.0.1 MOTHERFLUXER_HEALTH_PORT=8090
WORKDIR /opt/motherfluxer
USER 10001:10001
VOLUME /weights
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s \
    CMD ["python3", "-m", "motherfluxer_model.healthcheck"]
ENTRYPOINT ["motherfluxer-model"]
CMD ["run"]
