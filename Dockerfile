# syntax=docker/dockerfile:1
FROM golang:1.26-bookworm AS build
WORKDIR /src
# The modules first: they change rarely, and stay cached while the code does not.
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
ARG VERSION=unknown
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=${VERSION}" -o /gupdispatch ./cmd/gupdispatch

# Nothing but certificates, time zones (campaigns have sending windows) and the binary; no shell, and no root.
FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /gupdispatch /usr/local/bin/gupdispatch
WORKDIR /etc/gupdispatch
EXPOSE 8080
# Of `serve` and `http`; for a worker give the check its workers.listen, as docker-compose.yml does. Orchestrators ask /readyz themselves.
HEALTHCHECK --interval=10s --timeout=5s --start-period=40s --retries=3 CMD ["gupdispatch", "health", "--url", "http://127.0.0.1:8080/readyz"]
# SIGTERM stops dequeuing, finishes the sends in flight and records them; give it workers.stop_grace (30s) to do so.
STOPSIGNAL SIGTERM
ENTRYPOINT ["gupdispatch"]
CMD ["serve"]
