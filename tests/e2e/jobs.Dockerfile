# An image for steps with `image`: a Python with what jobs need and something of the user's, without Airflow.
ARG PYTHON_IMAGE
FROM ${PYTHON_IMAGE}
COPY needs.txt /needs.txt
RUN --mount=type=secret,id=ca_certificates,target=/etc/ssl/certs/ca-certificates.crt \
    --mount=type=secret,id=pip_conf,target=/etc/pip.conf \
    python3 -m venv /opt/jobs && /opt/jobs/bin/pip install --quiet --no-cache-dir --requirement /needs.txt 'pydantic<2'
ENV PATH=/opt/jobs/bin:$PATH
