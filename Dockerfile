# syntax=docker/dockerfile:1

FROM --platform=$BUILDPLATFORM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
# .dockerignore lets through what the build needs, and nothing else.
COPY . .
ARG TARGETOS TARGETARCH VERSION=dev
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -pgo cmd/session-api/release.pgo -trimpath -ldflags "-s -w -X main.version=$VERSION" -o /out/session-api ./cmd/session-api \
 && mkdir /out/analysis /out/data

# No shell, no package manager: certificates, an empty /tmp and the user 65532.
FROM gcr.io/distroless/static-debian13:nonroot
ARG VERSION=dev
LABEL org.opencontainers.image.title="session-api" \
      org.opencontainers.image.description="Sessions of web applications behind a small REST interface" \
      org.opencontainers.image.version="$VERSION"
COPY --from=build /out/session-api /session-api
# What the licenses of the modules in the binary ask for.
COPY THIRD-PARTY-NOTICES /THIRD-PARTY-NOTICES
# A new volume that is mounted here takes over the owner. Sessions are kept in data
# where SESSION_DATA_DIR=/var/lib/session-api/data says so.
COPY --from=build --chown=65532:65532 /out/analysis /var/lib/session-api/analysis
COPY --from=build --chown=65532:65532 /out/data /var/lib/session-api/data
ENV APP_ENV=production \
    ANALYSIS_TMP_DIR=/var/lib/session-api/analysis
USER 65532:65532
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s --retries=3 CMD ["/session-api", "healthcheck"]
ENTRYPOINT ["/session-api"]
