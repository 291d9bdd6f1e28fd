# One recipe for all images:
#   docker build --build-arg PACKAGE=source-pendo -t source-pendo .
#   docker build --build-arg PACKAGE=webhook-inlet --target webhook-inlet -t webhook-inlet .
# `make images` builds all of them with version labels, and makes a base image if no registry can be reached.
#
# Needs BuildKit (the plugin buildx; with a client before 23: DOCKER_BUILDKIT=1), an image registry for the base, and a package
# index. Without a registry: `make base-image`, then the same with
#   --build-arg BASE_IMAGE=local/python-slim:trixie --build-arg BUILDER_IMAGE=local/python-slim:trixie-builder
# There is no syntax line and no heredoc, because both make BuildKit pull a frontend image. Nothing depends
# on the processor, so --platform linux/arm64 works like linux/amd64.
#
# The digest pins the base for all processors; the tag is for readers only. This command prints a newer digest:
# docker buildx imagetools inspect python:3.13-slim-trixie
ARG BASE_IMAGE=python:3.13.15-slim-trixie@sha256:7c61056e61ac89e852de05f3dc6fa51a6dd2181797bceed46aa725dd7cb2cd3b
# The system that builds: the base, or a variant of it that has a C compiler already.
ARG BUILDER_IMAGE=${BASE_IMAGE}


# The system of the image: the base with the platform's user, without programs that install or build software.
FROM ${BASE_IMAGE} AS system
RUN groupadd --gid 1000 airbyte \
    && useradd --uid 1000 --gid airbyte --home-dir /airbyte --shell /usr/sbin/nologin airbyte \
    && install -d -o airbyte -g airbyte /airbyte /config /secrets
COPY tools/slim-system.sh /tmp/
RUN /tmp/slim-system.sh && rm /tmp/slim-system.sh


# The program and its locked dependencies, byte-compiled. The directory has the same name in every image.
FROM ${BUILDER_IMAGE} AS builder
# Certificates of your own: --secret id=ca,src=/path/to/bundle.crt. The image does not contain them.
COPY tools/uv.txt /tmp/
RUN --mount=type=secret,id=ca \
    if [ -s /run/secrets/ca ]; then export PIP_CERT=/run/secrets/ca; fi; \
    python3 -m venv /opt/uv && /opt/uv/bin/pip install --no-cache-dir --disable-pip-version-check \
        --require-hashes --only-binary :all: --requirement /tmp/uv.txt
ENV UV_PROJECT_ENVIRONMENT=/opt/connector \
    UV_COMPILE_BYTECODE=1 \
    UV_LINK_MODE=copy \
    UV_PYTHON_DOWNLOADS=never \
    UV_HTTP_TIMEOUT=180
WORKDIR /src
# Parts of the connectors are written in C. The compiler stays in this stage.
ARG PACKAGE
COPY tools/compiler.sh /tmp/
RUN --mount=type=secret,id=ca \
    case "${PACKAGE}" in \
    source-heap | source-pendo | source-customerio) /tmp/compiler.sh ;; \
    "") echo "name the package: docker build --build-arg PACKAGE=source-pendo -t source-pendo ." >&2; exit 1 ;; \
    esac
# Dependencies come first, because they change less often than the code. uv reads all members of the workspace, but installs
# one. The lock excludes packages that airbyte-cdk requires and no connector imports (see pyproject.toml).
COPY pyproject.toml uv.lock ./
COPY source-kit/pyproject.toml source-kit/
COPY simulators/pyproject.toml simulators/
COPY source-customerio/pyproject.toml source-customerio/
COPY source-heap/pyproject.toml source-heap/
COPY source-pendo/pyproject.toml source-pendo/
COPY spark/pyproject.toml spark/
COPY test-kit/pyproject.toml test-kit/
COPY webhook-inlet/pyproject.toml webhook-inlet/
RUN --mount=type=secret,id=ca --mount=type=cache,target=/root/.cache/uv \
    if [ -s /run/secrets/ca ]; then export SSL_CERT_FILE=/run/secrets/ca; fi; \
    /opt/uv/bin/uv sync --frozen --no-dev --no-install-workspace --package "${PACKAGE}"
COPY source-kit source-kit
COPY ${PACKAGE} ${PACKAGE}
COPY tools/licenses.py tools/sbom.py tools/
# Of the programs only Python and the package's own stay. An entry point cannot contain a build argument, so it has the
# fixed name `connector`. Of botocore's descriptions of 400 services those stay that reach a bucket or get credentials for
# it: the others are 25 MB. The tests that packages bring along do not stay. The bill of materials lists both parts of the
# image, this one and the system.
# Without its module in C a connector installs and works, but reads slowly. An image has the module that pyproject.toml
# names, or its build fails: a second build shows the compiler's message, which the first one does not show, since the
# module is optional.
RUN --mount=type=secret,id=ca --mount=type=cache,target=/root/.cache/uv --mount=type=bind,from=system,target=/system \
    if [ -s /run/secrets/ca ]; then export SSL_CERT_FILE=/run/secrets/ca; fi; \
    /opt/uv/bin/uv sync --frozen --no-dev --no-editable --refresh-package "${PACKAGE}" --package "${PACKAGE}" \
    && module=$(sed -n 's/^name = "\(.*\.native\)"$/\1/p' "${PACKAGE}/pyproject.toml") \
    && if [ -n "$module" ] && ! /opt/connector/bin/python -c "import $module"; then \
        /opt/uv/bin/uv build --wheel --out-dir /tmp/wheel --package "${PACKAGE}" 2>&1 | grep -i -A 5 error; \
        echo "the module in C of ${PACKAGE} could not be compiled; the compiler's message is above" >&2; exit 1; \
    fi \
    && find /opt/connector/bin -type f ! -name "${PACKAGE}" -delete \
    && find /opt/connector/lib/python3*/site-packages/botocore/data -mindepth 1 -maxdepth 1 -type d \
        ! -name s3 ! -name sts ! -name sso ! -name sso-oidc ! -name signin -exec rm -r {} + \
    && find /opt/connector/lib/python3*/site-packages -mindepth 2 -maxdepth 2 -type d \
        \( -name tests -o -name benchmarks -o -path "*/airbyte_cdk/test" \) -exec rm -r {} + \
    && ln -s "${PACKAGE}" /opt/connector/bin/connector \
    && mkdir -p /opt/connector/share/sbom \
    && /opt/uv/bin/python tools/sbom.py "${PACKAGE}" --environment /opt/connector --uv /opt/uv/bin/uv --system /system \
        >"/opt/connector/share/sbom/${PACKAGE}.cdx.json"


# Copied into an empty image: files removed above take no space, and all images share the layer of the system.
FROM scratch AS image
COPY --from=system / /
COPY --from=builder /opt/connector /opt/connector
ENV PATH=/opt/connector/bin:/usr/local/bin:/usr/bin:/bin \
    HOME=/airbyte \
    LANG=C.UTF-8 \
    TZ=UTC \
    PYTHONDONTWRITEBYTECODE=1
USER airbyte
WORKDIR /airbyte
ENTRYPOINT ["/opt/connector/bin/connector"]
ARG PACKAGE
ARG VERSION=dev
LABEL org.opencontainers.image.title="${PACKAGE}" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.licenses="MIT"


# The vendors on loopback, and their webhook senders, for the demo of compose.yaml.
FROM image AS simulators
ENTRYPOINT ["/opt/connector/bin/python", "-m", "simulators"]


# No Airbyte connector, so it has none of the platform's names.
FROM image AS webhook-inlet
USER root
RUN install -d -o airbyte -g airbyte /data
USER airbyte
VOLUME /data
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
    CMD ["/opt/connector/bin/python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/healthz', timeout=2)"]
CMD ["serve", "--config", "/config/inlet.yaml"]
LABEL org.opencontainers.image.description="Receives the webhooks of Pendo and Customer.io"


# The last one is what `docker build` makes by default.
FROM image AS connector
ENV AIRBYTE_ENTRYPOINT=/opt/connector/bin/connector
ARG PACKAGE
ARG VERSION=dev
ARG REPOSITORY=${PACKAGE}
LABEL io.airbyte.name="${REPOSITORY}" \
      io.airbyte.version="${VERSION}" \
      org.opencontainers.image.description="Airbyte source connector"
