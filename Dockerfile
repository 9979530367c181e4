# The image of every Airflow service in docker-compose.yaml and helm/: Airflow, this package, the pipelines.
# Build with `docker build -t airflow-wall .`
ARG BASE_IMAGE=apache/airflow:3.3.2-python3.12
FROM ${BASE_IMAGE}

# An empty airflow.cfg: without one, Airflow writes one at its first start, with every secret of the environment in it.
# Folders of volumes: a new named volume takes its owner from the folder it covers.
RUN touch "${AIRFLOW_HOME}/airflow.cfg" && mkdir -p "${AIRFLOW_HOME}/auth" "${AIRFLOW_HOME}/lake"

# `apache-airflow==` keeps pip from moving the Airflow of the base image.
# `celery<5.7`: the Celery provider 3.26 admits 5.7 and fails to import with it.
COPY --chown=airflow:0 pyproject.toml README.md LICENSE /tmp/airflow-wall/
COPY --chown=airflow:0 airflow_wall /tmp/airflow-wall/airflow_wall
RUN pip install --no-cache-dir "/tmp/airflow-wall[all]" "apache-airflow==${AIRFLOW_VERSION}" "celery<5.7" \
    && rm -r /tmp/airflow-wall

COPY --chown=airflow:0 dags ${AIRFLOW_HOME}/dags
