# One image for every process:
#   nightjar api            serves the REST API
#   nightjar worker         runs workflows and activities
#   nightjar doctor --fix   migrates the database, registers namespace and search attributes

FROM python:3.11-slim AS build
WORKDIR /source
RUN python -m venv /opt/nightjar
# what others wrote first: this layer lasts until it changes. The lock pins versions; what the embedded servers and
# developers need stays out
COPY pyproject.toml requirements.lock ./
RUN python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["dependencies"], sep="\n")' > dependencies.txt \
    && /opt/nightjar/bin/pip install --disable-pip-version-check -c requirements.lock -r dependencies.txt
# all that .dockerignore leaves
COPY . .
RUN /opt/nightjar/bin/pip install --disable-pip-version-check -c requirements.lock .

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
