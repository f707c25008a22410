# One image for the app, the flows, the command line, MLflow's server and the notebook: what runs is the command.
# Only /credit (a volume) and /tmp are written to, so that the root file system may be read-only.
ARG PYTHON=3.13

FROM python:${PYTHON}-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PIP_ROOT_USER_ACTION=ignore PIP_CACHE_DIR=/var/cache/pip
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
COPY requirements/image.txt /tmp/image.txt
# The libraries' own tests are a tenth of what is installed, and nothing here runs them.  The cache is a mount, no layer.
# hadolint ignore=DL3042
RUN --mount=type=cache,target=/var/cache/pip \
    pip install --quiet --require-hashes -r /tmp/image.txt \
 && find /opt/venv/lib -regextype posix-extended -type d \
    -regex '.*/(ibis|matplotlib|numpy|pandas|pyarrow|scipy|sklearn|statsmodels)/(.*/)?tests' -prune -exec rm -r {} +
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY credit credit
COPY gradio_app gradio_app
RUN pip install --quiet --no-cache-dir --no-deps --no-build-isolation .
COPY flows /app/flows
COPY notebooks /app/notebooks
# Metaflow 2.19 looks for its cards below the working folder, wherever its datastore is.
RUN python -m compileall -q /app/flows \
 && ln -s /credit/.metaflow /app/.metaflow \
 && pip uninstall --quiet --yes pip

FROM python:${PYTHON}-slim
LABEL org.opencontainers.image.title="credit" \
      org.opencontainers.image.description="Credit scoring for thin files: train, gate, register, decide, explain, watch" \
      org.opencontainers.image.licenses="MIT"
# LightGBM needs the OpenMP runtime; Debian keeps only its newest version, so none can be pinned.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --yes --no-install-recommends libgomp1 \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* \
 && groupadd --gid 10001 credit \
 && useradd --uid 10001 --gid credit --home-dir /credit --create-home --shell /usr/sbin/nologin credit
COPY --from=build /opt/venv /opt/venv
COPY --from=build /app /app
ENV PATH=/opt/venv/bin:$PATH \
    HOME=/credit \
    CREDIT_HOME=/credit/home \
    METAFLOW_DATASTORE_SYSROOT_LOCAL=/credit \
    METAFLOW_USER=credit \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    CREDIT_APP_HOST=0.0.0.0 \
    CREDIT_APP_PORT=7860 \
    CREDIT_APP_OPEN=yes
WORKDIR /app
USER 10001:10001
VOLUME /credit
EXPOSE 7860
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=90s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen('http://127.0.0.1:' + os.environ['CREDIT_APP_PORT'] + '/health', timeout=4)"]
CMD ["python", "-m", "gradio_app"]
