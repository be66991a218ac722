//! The demo's directory: an OpenLDAP server in a folder of its own, on a socket, for as long as the demo lasts. Nothing of it
//! stays.

use std::collections::HashSet;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use ldap3::{Ldap, LdapConnAsync, LdapError, LdapResult, Mod};
use tokio::process::{Child, Command};
use uuid::Uuid;

pub(super) const BASE: &str = "dc=corp,dc=example";
pub(super) const ADMIN: &str = "cn=admin,dc=corp,dc=example";
/// It opens a socket that nobody else may reach, for as long as the demo lasts.
pub(super) const PASSWORD: &str = "demo";
/// Where Debian has the server, its modules and its schemas.
const PROGRAM: &str = "/usr/sbin/slapd";
/// Fills a server that does not run; as the people of a demo have been there for long, their entries say so.
const FILLS: &str = "/usr/sbin/slapadd";
const STARTED_WITHIN: Duration = Duration::from_secs(10);

/// Why there is no directory.
#[derive(Debug, thiserror::Error)]
pub(super) enum SlapdError {
    #[error("{PROGRAM} is not here: `.make/setup.sh ldap` installs it")]
    Missing,
    #[error("the directory server does not start: {0}")]
    NotStarted(String),
    #[error("the folder of the directory server cannot be made: {0}")]
    Folder(#[from] io::Error),
    #[error("the directory server does not do what it was asked: {0}")]
    Refused(#[from] LdapError),
}

/// A running server. Its process ends with this, and its folder.
pub(super) struct Slapd {
    folder: PathBuf,
    child: Child,
    ldap: Option<Ldap>,
}

impl Slapd {
    /// One with these entries.
    pub(super) async fn start(ldif: &str) -> Result<Self, SlapdError> {
        if !Path::new(PROGRAM).exists() {
            return Err(SlapdError::Missing);
        }
        let folder = std::env::temp_dir().join(format!("jira-scim-demo-{}", Uuid::new_v4().simple()));
        DirBuilder::new().mode(0o700).create(&folder)?;
        let mut slapd = match spawned(&folder, ldif).await {
            Ok(child) => Self { folder, child, ldap: None },
            Err(error) => {
                let _ = fs::remove_dir_all(&folder);
                return Err(error);
            }
        };
        slapd.ldap = Some(slapd.connected().await?);
        Ok(slapd)
    }

    /// Its address.
    pub(super) fn url(&self) -> String {
        format!("ldapi://{}", escaped(&self.folder.join("socket")))
    }

    /// Waits until it answers.
    async fn connected(&mut self) -> Result<Ldap, SlapdError> {
        let until = tokio::time::Instant::now() + STARTED_WITHIN;
        loop {
            if self.child.try_wait()?.is_some() || tokio::time::Instant::now() > until {
                let said = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
                return Err(SlapdError::NotStarted(said.trim().to_owned()));
            }
            if let Ok((connection, mut ldap)) = LdapConnAsync::new(&self.url()).await {
                ldap3::drive!(connection);
                ldap.simple_bind(ADMIN, PASSWORD).await?.success()?;
                return Ok(ldap);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn ldap(&mut self) -> Result<&mut Ldap, SlapdError> {
        self.ldap.as_mut().ok_or_else(|| SlapdError::NotStarted("no connection".to_owned()))
    }

    /// Makes an entry.
    pub(super) async fn add(&mut self, dn: &str, attributes: &[(&str, &[&str])]) -> Result<(), SlapdError> {
        let values = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect::<HashSet<_>>();
        let attributes = attributes.iter().map(|(name, of)| ((*name).to_owned(), values(of))).collect();
        Ok(done(self.ldap()?.add(dn, attributes).await)?)
    }

    /// Gives an attribute this value alone.
    pub(super) async fn replace(&mut self, dn: &str, attribute: &str, value: &str) -> Result<(), SlapdError> {
        let change = Mod::Replace(attribute.to_owned(), HashSet::from([value.to_owned()]));
        Ok(done(self.ldap()?.modify(dn, vec![change]).await)?)
    }

    /// Puts members into a group, and takes others out.
    pub(super) async fn members(&mut self, dn: &str, joins: &[String], leaves: &[String]) -> Result<(), SlapdError> {
        let set = |members: &[String]| members.iter().cloned().collect::<HashSet<_>>();
        let mut changes = Vec::new();
        if !leaves.is_empty() {
            changes.push(Mod::Delete("member".to_owned(), set(leaves)));
        }
        if !joins.is_empty() {
            changes.push(Mod::Add("member".to_owned(), set(joins)));
        }
        Ok(done(self.ldap()?.modify(dn, changes).await)?)
    }

    /// Gives an entry another name, and perhaps another place.
    pub(super) async fn rename(&mut self, dn: &str, name: &str, place: Option<&str>) -> Result<(), SlapdError> {
        Ok(done(self.ldap()?.modifydn(dn, name, true, place).await)?)
    }

    /// Deletes an entry.
    pub(super) async fn delete(&mut self, dn: &str) -> Result<(), SlapdError> {
        Ok(done(self.ldap()?.delete(dn).await)?)
    }

    /// Ends it.
    pub(super) async fn stop(mut self) {
        self.ldap = None;
        let _ = self.child.kill().await;
    }
}

impl Drop for Slapd {
    fn drop(&mut self) {
        let _ = self.child.start_kill();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn done(answer: Result<LdapResult, LdapError>) -> Result<(), LdapError> {
    answer?.success().map(drop)
}

fn escaped(path: &Path) -> String {
    path.display().to_string().replace('/', "%2F")
}

async fn spawned(folder: &Path, ldif: &str) -> Result<Child, SlapdError> {
    fs::create_dir(folder.join("db"))?;
    fs::write(folder.join("slapd.conf"), configuration(folder))?;
    fs::write(folder.join("first.ldif"), ldif)?;
    let mut fills = Command::new(FILLS);
    fills.args(["-q", "-f"]).arg(folder.join("slapd.conf")).arg("-l").arg(folder.join("first.ldif"));
    let filled = fills.stdin(Stdio::null()).output().await?;
    if !filled.status.success() {
        return Err(SlapdError::NotStarted(String::from_utf8_lossy(&filled.stderr).trim().to_owned()));
    }
    let log = fs::File::create(folder.join("log"))?;
    let socket = format!("ldapi://{}", escaped(&folder.join("socket")));
    // A process group of its own: a Ctrl-C is the demo's, which ends it when it is through.
    Ok(Command::new(PROGRAM)
        .args(["-d", "0", "-h", &socket, "-f"])
        .arg(folder.join("slapd.conf"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .process_group(0)
        .kill_on_drop(true)
        .spawn()?)
}

fn configuration(folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "include /etc/ldap/schema/core.schema\n\
         include /etc/ldap/schema/cosine.schema\n\
         include /etc/ldap/schema/inetorgperson.schema\n\
         modulepath /usr/lib/ldap\n\
         moduleload back_mdb\n\
         pidfile {folder}/pid\n\
         database mdb\n\
         suffix {BASE}\n\
         rootdn {ADMIN}\n\
         rootpw {PASSWORD}\n\
         directory {folder}/db\n\
         maxsize 67108864\n\
         dbnosync\n\
         index objectClass,entryUUID,uid,modifyTimestamp eq\n"
    )
}
