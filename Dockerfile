# One recipe for all three connectors: docker build --build-arg CONNECTOR=source-pendo -t source-pendo .
# `make images` builds them all, with their version labels, and finds a base image where no registry can be reached.
#
# Needs BuildKit. No syntax line and no heredoc: both would make it pull a frontend image. Nothing here depends on the
# processor, so --platform linux/arm64 works like linux/amd64.
ARG BASE_IMAGE=python:3.13.15-slim-trixie


# The connector and its locked dependencies, byte-compiled, in /opt/connector.
FROM ${BASE_IMAGE} AS builder
ARG UV_VERSION=0.13.9
# A machine with certificates of its own hands them in: --secret id=ca,src=/path/to/bundle.crt. They stay out of the image.
RUN --mount=type=secret,id=ca \
    if [ -s /run/secrets/ca ]; then export PIP_CERT=/run/secrets/ca; fi; \
    python3 -m venv /opt/uv && /opt/uv/bin/pip install --no-cache-dir --disable-pip-version-check "uv==${UV_VERSION}"
ENV UV_PROJECT_ENVIRONMENT=/opt/connector \
    UV_COMPILE_BYTECODE=1 \
    UV_LINK_MODE=copy \
    UV_PYTHON_DOWNLOADS=never \
    UV_HTTP_TIMEOUT=180
WORKDIR /src
# Dependencies first: they change less often than the code. uv reads every member of the workspace, but installs one.
COPY pyproject.toml uv.lock ./
COPY source-kit/pyproject.toml source-kit/
COPY simulators/pyproject.toml simulators/
COPY source-customerio/pyproject.toml source-customerio/
COPY source-heap/pyproject.toml source-heap/
COPY source-pendo/pyproject.toml source-pendo/
# Required by airbyte-cdk, imported by nothing in it but its command line and its low-code parts: 25 MB, and the usual
# suspects of vulnerability reports. (What it requires and is larger still, the workspace's lock leaves out for good.)
ARG NEVER_IMPORTED="dateparser markdown-it-py mdurl pygments regex rich rich-click setuptools"
ARG CONNECTOR
RUN --mount=type=secret,id=ca --mount=type=cache,target=/root/.cache/uv \
    if [ -s /run/secrets/ca ]; then export SSL_CERT_FILE=/run/secrets/ca; fi; \
    /opt/uv/bin/uv sync --frozen --no-dev --no-install-workspace --package "${CONNECTOR}" \
       $(printf -- '--no-install-package %s ' ${NEVER_IMPORTED})
COPY source-kit source-kit
COPY ${CONNECTOR} ${CONNECTOR}
# Of the programs only the connector's own and Python stay. The entry point takes no build argument, hence the fixed name
# `connector`. The bill of materials is read from the same lock.
RUN --mount=type=secret,id=ca --mount=type=cache,target=/root/.cache/uv \
    if [ -s /run/secrets/ca ]; then export SSL_CERT_FILE=/run/secrets/ca; fi; \
    /opt/uv/bin/uv sync --frozen --no-dev --no-editable --package "${CONNECTOR}" \
       $(printf -- '--no-install-package %s ' ${NEVER_IMPORTED}) \
    && find /opt/connector/bin -type f ! -name "${CONNECTOR}" -delete \
    && ln -s "${CONNECTOR}" /opt/connector/bin/connector \
    && mkdir -p /opt/connector/share/sbom \
    && /opt/uv/bin/uv export --frozen --no-dev --package "${CONNECTOR}" --format cyclonedx1.5 --quiet \
       $(printf -- '--no-emit-package %s ' ${NEVER_IMPORTED}) \
       --output-file "/opt/connector/share/sbom/${CONNECTOR}.cdx.json"


# What the connector runs on: the base without what would install or build more software, with the platform's user.
FROM ${BASE_IMAGE} AS system
RUN groupadd --gid 1000 airbyte \
    && useradd --uid 1000 --gid airbyte --home-dir /airbyte --shell /usr/sbin/nologin airbyte \
    && install -d -o airbyte -g airbyte /airbyte /config /secrets
COPY tools/slim-system.sh /tmp/
RUN /tmp/slim-system.sh && rm /tmp/slim-system.sh


# Copied into an empty image, so that what was removed above is gone and the system's layer is shared by all three.
FROM scratch
COPY --from=system / /
COPY --from=builder /opt/connector /opt/connector
ENV PATH=/opt/connector/bin:/usr/local/bin:/usr/bin:/bin \
    HOME=/airbyte \
    LANG=C.UTF-8 \
    TZ=UTC \
    PYTHONDONTWRITEBYTECODE=1 \
    AIRBYTE_ENTRYPOINT=/opt/connector/bin/connector
USER airbyte
WORKDIR /airbyte
ENTRYPOINT ["/opt/connector/bin/connector"]
ARG CONNECTOR
ARG VERSION=dev
ARG REPOSITORY=${CONNECTOR}
LABEL io.airbyte.name="${REPOSITORY}" \
      io.airbyte.version="${VERSION}" \
      org.opencontainers.image.title="${CONNECTOR}" \
      org.opencontainers.image.description="Airbyte source connector" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.licenses="MIT"
