# The daemon as an image: one program, no shell, no package manager, a user without rights, nothing to write.
# The private PostgreSQL is not in it: set database.url (or database.url_file).

ARG BUILD_IMAGE=docker.io/library/rust:1.95-slim-bookworm
# The same Debian release as the build, for its C library; with the certificate authorities of the world.
ARG RUNTIME_IMAGE=gcr.io/distroless/cc-debian12:nonroot

FROM ${BUILD_IMAGE} AS build
ARG REVISION=
WORKDIR /build
# The dependencies first, so that a change of our own code does not compile them again.
COPY Cargo.toml Cargo.lock ./
RUN mkdir -p src tests/it \
    && echo 'fn main() {}' > src/main.rs && echo > src/lib.rs && echo 'fn main() {}' > tests/it/main.rs \
    && cargo build --locked --release
COPY src src
COPY migrations migrations
COPY .sqlx .sqlx
RUN touch src/main.rs src/lib.rs \
    && SQLX_OFFLINE=true JIRA_SCIM_REVISION=${REVISION} cargo build --locked --release \
    && install -D --mode=0755 target/release/jira-scim /image/usr/local/bin/jira-scim

FROM ${RUNTIME_IMAGE}
LABEL org.opencontainers.image.title="jira-scim" \
      org.opencontainers.image.description="A SCIM server that keeps Jira's users and groups as the identity provider wants them"
COPY --from=build /image /
# In a container, the loopback address is nobody's.
ENV JIRA_SCIM__SERVER__LISTEN=0.0.0.0:8080
USER 65532:65532
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=6s --start-period=20s --retries=3 CMD ["/usr/local/bin/jira-scim", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/jira-scim"]
CMD ["serve"]
