//! What is said to a directory is said under TLS, or not at all.

use std::path::Path;

use jira_scim::config::SourceConfig;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};

use super::slapd::{self, Slapd, person};
use super::{Org, source};
use crate::world::World;

/// An authority, and a certificate of it for this machine that ends in that year.
pub fn certificates(folder: &Path, ends: i32) {
    let key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = authority.self_signed(&key).unwrap();
    let issuer = Issuer::new(authority, key);
    let own = KeyPair::generate().unwrap();
    let mut server = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    server.not_before = date_time_ymd(2020, 1, 1);
    server.not_after = date_time_ymd(ends, 1, 1);
    let certificate = server.signed_by(&own, &issuer).unwrap();
    std::fs::write(folder.join("ca.pem"), root.pem()).unwrap();
    std::fs::write(folder.join("server.pem"), certificate.pem()).unwrap();
    std::fs::write(folder.join("server.key"), own.serialize_pem()).unwrap();
}

/// A server with a certificate that ends in that year.
fn server(ends: i32, tls: bool) -> Slapd {
    Slapd::wanted(&(slapd::tree() + &person("ann")), |folder| {
        certificates(folder, ends);
        let folder = folder.display();
        let global = format!(
            "TLSCACertificateFile {folder}/ca.pem\nTLSCertificateFile {folder}/server.pem\nTLSCertificateKeyFile {folder}/server.key"
        );
        slapd::Wanted { global, tcp: true, tls }
    })
}

async fn org(slapd: Slapd, scheme: &str) -> Org {
    let url = format!("{scheme}://127.0.0.1:{}", slapd.port.unwrap());
    let ca = slapd.socket().with_file_name("ca.pem");
    let config: SourceConfig = source("corp", &url);
    let mut org = Org { config, ..Org::of(World::new().await, slapd) };
    org.ldap().ca_file = ca.exists().then_some(ca);
    org
}

#[tokio::test]
async fn ldaps_and_start_tls_are_verified_against_the_given_authority() {
    let encrypted = org(server(2099, true), "ldaps").await;
    assert_eq!(encrypted.synced().await.people.create, 1);
    let upgraded = org(server(2099, false), "ldap").await;
    assert_eq!(upgraded.synced().await.people.create, 1);
}

#[tokio::test]
async fn an_expired_certificate_is_told_as_such() {
    for scheme in ["ldaps", "ldap"] {
        let why = org(server(2021, scheme == "ldaps"), scheme).await.failed().await;
        assert!(why.contains("certificate") && why.to_lowercase().contains("expired"), "{scheme}: {why}");
    }
}

#[tokio::test]
async fn an_authority_that_nobody_gave_is_not_believed() {
    let mut org = org(server(2099, true), "ldaps").await;
    let folder = tempfile::tempdir().unwrap();
    certificates(folder.path(), 2099);
    org.ldap().ca_file = Some(folder.path().join("ca.pem"));
    let why = org.failed().await;
    assert!(why.contains("certificate"), "{why}");
}

#[tokio::test]
async fn a_certificate_with_another_name_is_not_believed() {
    let mut org = org(server(2099, true), "ldaps").await;
    let url = org.ldap().urls[0].replace("127.0.0.1", "localhost");
    org.ldap().urls = vec![url];
    let why = org.failed().await;
    assert!(why.contains("certificate"), "{why}");
}

#[tokio::test]
async fn a_server_that_refuses_start_tls_hears_no_password() {
    let slapd =
        Slapd::wanted(&(slapd::tree() + &person("ann")), |_| slapd::Wanted { tcp: true, ..slapd::Wanted::default() });
    let mut org = org(slapd, "ldap").await;
    let why = org.failed().await;
    assert!(why.contains("refuses StartTLS"), "{why}");
    // In clear text only where somebody said so.
    org.ldap().start_tls = false;
    assert_eq!(org.synced().await.people.create, 1);
}

#[tokio::test]
async fn the_next_address_is_asked_where_one_does_not_answer() {
    let mut org = org(server(2099, true), "ldaps").await;
    let there = org.ldap().urls[0].clone();
    // A port that was free a moment ago.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    org.ldap().urls = vec![format!("ldaps://{free}"), there];
    assert_eq!(org.synced().await.people.create, 1);
}
