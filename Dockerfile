# The image of every Airflow service in docker-compose.yaml and helm/: Airflow, this package, the pipelines.
#
#     docker build -t airflow-wall .
#
# With clients of clusters, any of `amazon google spark` (docs/deployment.md):
#
#     docker build -t airflow-wall --build-arg EXTRAS="amazon spark" .
#
# With an index or an authority of your own (neither stays in the image):
#
#     docker build -t airflow-wall --secret id=pip_conf,src=pip.conf --secret id=ca_certificates,src=ca-certificates.crt .
ARG PYTHON_IMAGE=python:3.13-slim-trixie
ARG EXTRAS=""

# --- what is needed to build and to describe the image, and stays out of it
FROM ${PYTHON_IMAGE} AS tools
RUN python -m venv /opt/tools
COPY image/tools.txt /tmp/
RUN --mount=type=secret,id=pip_conf,target=/etc/pip.conf \
    --mount=type=secret,id=ca_certificates,target=/etc/ssl/certs/ca-certificates.crt \
    /opt/tools/bin/pip install --no-cache-dir --require-hashes --only-binary :all: --requirement /tmp/tools.txt
COPY pyproject.toml README.md LICENSE /tmp/airflow-wall/
COPY airflow_wall /tmp/airflow-wall/airflow_wall
RUN /opt/tools/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /tmp/wheels /tmp/airflow-wall
# Each extra has a lock of its own. pyspark has no wheel, so it is built here.
ARG EXTRAS
COPY image/*.txt /tmp/image/
RUN --mount=type=secret,id=pip_conf,target=/etc/pip.conf \
    --mount=type=secret,id=ca_certificates,target=/etc/ssl/certs/ca-certificates.crt \
    for extra in $EXTRAS; do \
      /opt/tools/bin/pip wheel --no-cache-dir --require-hashes --no-deps --only-binary :all: --no-binary pyspark \
        --no-build-isolation --wheel-dir /tmp/wheels --requirement "/tmp/image/$extra.txt" || exit 1; \
    done

# --- the packages, each one that was tested and no other: versions and hashes are in the lock (`make lock`)
FROM ${PYTHON_IMAGE} AS packages
RUN python -m venv /opt/venv
COPY image/requirements.txt /tmp/
RUN --mount=type=secret,id=pip_conf,target=/etc/pip.conf \
    --mount=type=secret,id=ca_certificates,target=/etc/ssl/certs/ca-certificates.crt \
    /opt/venv/bin/pip install --no-cache-dir --require-hashes --only-binary :all: --requirement /tmp/requirements.txt
COPY --from=tools /tmp/wheels /tmp/wheels
# The packages' own tests are a tenth of the image.
RUN /opt/venv/bin/pip install --no-cache-dir --no-deps --no-index /tmp/wheels/*.whl && /opt/venv/bin/pip check \
    && find /opt/venv/lib -type d -name tests -prune -exec rm -r {} +

# --- what runs
FROM ${PYTHON_IMAGE} AS runtime
# curl: health checks. dumb-init: signals reach Airflow, and no dead process stays. git and ssh: pipelines in Git
# repositories. libgomp1: LightGBM. Java, and `ps` for its scripts: Spark.
ARG EXTRAS
RUN case " $EXTRAS " in *" spark "*) java="default-jre-headless procps" ;; esac \
    && apt-get update && apt-get install --yes --no-install-recommends curl dumb-init git libgomp1 openssh-client $java \
    && rm -rf /var/lib/apt/lists/*
ENV AIRFLOW_HOME=/opt/airflow PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1
# User and group are those of the official image, so that volumes can move over. Folders of volumes: a new named volume
# takes its owner from the folder it covers. The airflow.cfg is empty: without one, Airflow writes one at its first
# start, with every secret of the environment in it.
RUN useradd --uid 50000 --gid 0 --home-dir "$AIRFLOW_HOME" airflow \
    && install --directory --owner airflow --group 0 --mode 775 "$AIRFLOW_HOME" \
    && cd "$AIRFLOW_HOME" && install --directory --owner airflow --group 0 --mode 775 auth bundles lake logs \
    && touch airflow.cfg
COPY --from=packages /opt/venv /opt/venv
COPY dags ${AIRFLOW_HOME}/dags
WORKDIR ${AIRFLOW_HOME}
USER 50000:0
ENTRYPOINT ["dumb-init", "--"]
CMD ["airflow", "version"]

# --- no image without proof: every executor can be imported, every component starts; and the list of what is in it
FROM runtime AS proof
ARG EXTRAS
COPY image/smoke.py /tmp/
RUN python /tmp/smoke.py
COPY --from=tools /opt/tools /opt/tools
RUN /opt/tools/bin/cyclonedx-py environment --no-validate --output-reproducible --output-file /tmp/sbom.cdx.json /opt/venv/bin/python

FROM runtime
COPY --from=proof /tmp/sbom.cdx.json ${AIRFLOW_HOME}/sbom.cdx.json
