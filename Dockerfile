# One image for every process:
#   nightjar api            serves the REST API
#   nightjar worker         runs workflows and activities
#   nightjar doctor --fix   migrates the database, registers namespace and search attributes

FROM python:3.11-slim AS build
WORKDIR /source
COPY pyproject.toml requirements.lock README.md LICENSE ./
COPY cli.py config.py temporal_client.py worker.py ./
COPY activities activities
COPY api api
COPY commands commands
COPY db db
COPY embedded embedded
COPY executions executions
COPY jobs jobs
COPY monitoring monitoring
COPY workflows workflows
# the lock pins versions; what the embedded servers and developers need stays out
RUN python -m venv /opt/nightjar \
    && /opt/nightjar/bin/pip install --no-cache-dir --disable-pip-version-check -c requirements.lock .

FROM python:3.11-slim
RUN useradd --system --no-create-home --shell /usr/sbin/nologin nightjar
COPY --from=build /opt/nightjar /opt/nightjar
ENV PATH=/opt/nightjar/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    NIGHTJAR_API_HOST=0.0.0.0
USER nightjar
WORKDIR /tmp
EXPOSE 8000
CMD ["nightjar", "--help"]
