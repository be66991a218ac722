//! Reaches a server: address after address, TLS before anything is said, then the bind.

use std::time::Duration;

use ldap3::{Ldap, LdapConnAsync, LdapConnSettings, LdapError};
use url::Url;

use super::options::Options;
use crate::config::Bind;
use crate::sync::source::SourceError;
use crate::telemetry::Chain;

const STRONGER_AUTH_REQUIRED: u32 = 8;
const CONFIDENTIALITY_REQUIRED: u32 = 13;
const INVALID_CREDENTIALS: u32 = 49;
const BUSY: u32 = 51;
const UNAVAILABLE: u32 = 52;

/// A connection that may be asked, and the address that it leads to.
///
/// # Errors
/// That of the last address; a server that answers and does not let us in is the last one.
pub(super) async fn connect(options: &Options) -> Result<(Ldap, String), SourceError> {
    let mut last = SourceError::Unusable("no address of the server is configured".to_owned());
    for url in &options.urls {
        match reached(options, url).await {
            Ok(ldap) => return Ok((ldap, url.to_string())),
            Err(error @ SourceError::Denied { .. }) => return Err(error),
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn reached(options: &Options, url: &Url) -> Result<Ldap, SourceError> {
    let settings = LdapConnSettings::new()
        .set_conn_timeout(options.timeout)
        .set_starttls(options.start_tls)
        .set_config(options.tls.clone());
    let opening = LdapConnAsync::from_url_with_settings(settings, url);
    let opened = tokio::time::timeout(options.timeout, opening).await;
    let (connection, mut ldap) = match opened {
        Ok(Ok(opened)) => opened,
        // Before the bind only StartTLS is asked for.
        Ok(Err(LdapError::LdapResult { result })) => {
            return Err(SourceError::Unusable(format!("{url} refuses StartTLS: {}", told(&result))));
        }
        Ok(Err(error)) => return Err(unreachable(url.as_str(), &error)),
        Err(_) => return Err(silent(url.as_str(), options.timeout)),
    };
    // Ends with the last handle of the connection, and answers nobody after that.
    tokio::spawn(async move {
        if let Err(error) = connection.drive().await {
            tracing::debug!(error = %Chain(&error), "an LDAP connection ended");
        }
    });
    if let Some(bind) = &options.bind {
        bound(&mut ldap, bind, url.as_str(), options.timeout).await?;
    }
    Ok(ldap)
}

async fn bound(ldap: &mut Ldap, bind: &Bind, address: &str, timeout: Duration) -> Result<(), SourceError> {
    let answer = ldap.with_timeout(timeout).simple_bind(&bind.dn, bind.password.expose()).await;
    let result = answer.map_err(|error| unreachable(address, &error))?;
    match result.rc {
        0 => Ok(()),
        BUSY | UNAVAILABLE => Err(SourceError::Unreachable { address: address.to_owned(), why: told(&result) }),
        INVALID_CREDENTIALS => Err(denied(address, bind, wrong_credentials(&result.text))),
        STRONGER_AUTH_REQUIRED | CONFIDENTIALITY_REQUIRED => {
            let what = "it takes no password without TLS (an ldaps:// address, or start_tls)";
            Err(denied(address, bind, format!("{what}: {}", told(&result))))
        }
        _ => Err(denied(address, bind, told(&result))),
    }
}

/// Active Directory says in the text of its answer what is wrong, by one of Windows' numbers.
fn wrong_credentials(text: &str) -> String {
    let number = text.split_once(" data ").map_or("", |(_, rest)| rest.split([',', ' ']).next().unwrap_or_default());
    let why = match number {
        "530" | "531" => "the account may not sign in at this time, or from here",
        "532" => "the password has expired",
        "533" => "the account is switched off",
        "701" => "the account has expired",
        "773" => "the password has to be changed before it is used",
        "775" => "the account is locked after wrong passwords",
        _ => return "the DN or the password is wrong".to_owned(),
    };
    format!("{why} (data {number})")
}

fn denied(address: &str, bind: &Bind, why: String) -> SourceError {
    SourceError::Denied { address: address.to_owned(), who: bind.dn.clone(), why }
}

/// What a failure of the connection is.
pub(super) fn unreachable(address: &str, error: &LdapError) -> SourceError {
    let why = match error {
        LdapError::Timeout { .. } => "it did not answer in time".to_owned(),
        LdapError::EndOfStream | LdapError::ResultRecv { .. } | LdapError::OpSend { .. } => {
            "the connection was lost".to_owned()
        }
        LdapError::Io { source } => source.to_string(),
        other => other.to_string(),
    };
    SourceError::Unreachable { address: address.to_owned(), why }
}

fn silent(address: &str, timeout: Duration) -> SourceError {
    let why = format!("it did not answer within {} seconds", timeout.as_secs());
    SourceError::Unreachable { address: address.to_owned(), why }
}

/// A result in the server's own words, with its number.
pub(super) fn told(result: &ldap3::LdapResult) -> String {
    let text: String = result.text.trim_matches(|c: char| c.is_whitespace() || c == '\0').chars().take(300).collect();
    let name = name_of(result.rc);
    if text.is_empty() { format!("{name} ({})", result.rc) } else { format!("{name} ({}): {text}", result.rc) }
}

/// The names of RFC 4511 for what is to be expected.
fn name_of(code: u32) -> &'static str {
    match code {
        1 => "operationsError",
        2 => "protocolError",
        3 => "timeLimitExceeded",
        4 => "sizeLimitExceeded",
        8 => "strongerAuthRequired",
        10 => "referral",
        11 => "adminLimitExceeded",
        12 => "unavailableCriticalExtension",
        13 => "confidentialityRequired",
        32 => "noSuchObject",
        49 => "invalidCredentials",
        50 => "insufficientAccessRights",
        51 => "busy",
        52 => "unavailable",
        53 => "unwillingToPerform",
        _ => "refused",
    }
}

#[cfg(test)]
mod tests {
    use super::wrong_credentials;

    #[test]
    fn active_directory_says_by_a_number_what_is_wrong_with_a_bind() {
        let told = |data: &str| {
            format!("80090308: LdapErr: DSID-0C0903A9, comment: AcceptSecurityContext error, data {data}, v1db1")
        };
        assert_eq!(wrong_credentials(&told("532")), "the password has expired (data 532)");
        assert_eq!(wrong_credentials(&told("775")), "the account is locked after wrong passwords (data 775)");
        for text in [told("52e"), told("525"), String::new(), "no data".to_owned()] {
            assert_eq!(wrong_credentials(&text), "the DN or the password is wrong");
        }
    }
}
