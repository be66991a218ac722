//! A real Samba Active Directory domain controller in a folder of its own, for one test. It ends with the test.
//!
//! A domain is made once and kept below the target folder; a test starts a controller on a copy of it. The controller's
//! ports are fixed, so it has network, processes and, where the tests do not run as root, users to itself (namespaces). Where that
//! cannot be had a test says `not run:` on standard error, past the capture of output, and `make test` counts it as such.

use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::Write as _;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use tempfile::TempDir;

use super::tls::certificates;

pub const BASE: &str = "DC=corp,DC=example";
/// As whom the tests administer the domain.
pub const ADMIN: &str = "administrator@corp.example";
pub const PASSWORD: &str = "Admins-secret-1";
/// So many people are in the crowd, and in the group of all of them.
pub const CROWD: usize = 1600;

const HELPER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/sync/samba_dc.py");
/// Debian's, for which Samba's modules are.
const PYTHON: &str = "/usr/bin/python3";

pub struct Dc {
    folder: TempDir,
    child: Child,
    ldap: u16,
    ldaps: u16,
}

impl Dc {
    /// A controller whose domain holds these entries besides the tree and the crowd; `None` where there can be none.
    pub fn start(ldif: &str) -> Option<Self> {
        let domain = match domain() {
            Ok(domain) => domain,
            Err(why) => {
                // Not by `eprintln!`, which is not shown of tests that pass.
                let test = std::thread::current().name().unwrap_or_default().to_owned();
                let _ = writeln!(std::io::stderr(), "not run: {test}: samba cannot be provisioned here: {why}");
                return None;
            }
        };
        let folder = copied(domain);
        certificates(folder.path(), 2099);
        restrict(&folder.path().join("server.key"));
        let dc = Self::serve(folder);
        dc.modify(ldif);
        Some(dc)
    }

    /// Another that is what this one is now: a backup, run beside it.
    pub fn backup(&self) -> Self {
        Self::serve(copied(self.folder.path()))
    }

    fn serve(folder: TempDir) -> Self {
        let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let [ldap, ldaps] = [0, 1].map(|n: usize| listeners[n].local_addr().unwrap().port());
        let [first, second] = listeners.map(OwnedFd::from);
        let log = fs::File::create(folder.path().join("log")).unwrap();
        let child = isolated()
            .args([PYTHON, HELPER, "serve"])
            .arg(folder.path())
            .stdin(first)
            .stdout(second)
            .stderr(log)
            .spawn()
            .unwrap();
        Self { folder, child, ldap, ldaps }
    }

    /// Its address, where TLS comes before anything is said.
    pub fn ldaps(&self) -> String {
        format!("ldaps://127.0.0.1:{}", self.ldaps)
    }

    /// Its address in clear text, until TLS is asked for.
    pub fn ldap(&self) -> String {
        format!("ldap://127.0.0.1:{}", self.ldap)
    }

    /// The authority that its certificate is of.
    pub fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Ends it at once: with the first process of its namespace ends every other.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Changes entries, as an administrator would with LDIF; one without a `changetype` is added.
    pub fn modify(&self, ldif: &str) {
        let mut child = self.client("ldapmodify").args(["-a"]).stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(ldif.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}\n{ldif}\n{}", text(&output.stderr), self.log());
    }

    /// The first value of an attribute.
    pub fn value(&self, dn: &str, attribute: &str) -> String {
        let found = self.search(&["-s", "base", "-b", dn, "(objectClass=*)", attribute]);
        let line = found.lines().find_map(|line| line.strip_prefix(&format!("{attribute}: ")));
        line.unwrap_or_else(|| panic!("{dn} has no {attribute}: {found}")).to_owned()
    }

    /// The DNs of what a filter finds.
    pub fn found(&self, filter: &str) -> Vec<String> {
        let found = self.search(&["-b", BASE, filter, "dn"]);
        found.lines().filter_map(|line| line.strip_prefix("dn: ")).map(str::to_owned).collect()
    }

    fn search(&self, arguments: &[&str]) -> String {
        let output = self.client("ldapsearch").args(["-LLL", "-o", "ldif-wrap=no"]).args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    fn client(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.args(["-x", "-H", &self.ldaps(), "-D", ADMIN, "-w", PASSWORD]);
        command.env("LDAPTLS_CACERT", self.ca()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Dc {
    fn drop(&mut self) {
        self.kill();
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The folder of a domain with the tree and the crowd in it, made by whoever is first; or why there can be none.
fn domain() -> &'static Result<PathBuf, String> {
    static DOMAIN: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    DOMAIN.get_or_init(|| {
        let version = version()?;
        isolation()?;
        let text = format!("{version}{}{}", first_entries(), fs::read_to_string(HELPER).unwrap());
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        let name = format!("samba-{}-{:016x}", whoami(), hasher.finish());
        let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        if !kept.join("private").is_dir() {
            provision(&kept);
        }
        Ok(kept)
    })
}

/// Which Samba there is, with all that a domain needs.
fn version() -> Result<String, String> {
    let needed = ["/usr/sbin/samba", "/usr/share/samba/setup/provision.ldif", "/usr/bin/ldapmodify", PYTHON];
    if let Some(missing) = needed.iter().find(|path| !Path::new(path).exists()) {
        return Err(format!("there is no {missing}; run `.make/setup.sh ldap samba`"));
    }
    let output = Command::new(needed[0]).arg("--version").output().unwrap();
    Ok(text(&output.stdout))
}

/// What a controller is kept apart by; the user who runs the tests may not be allowed to.
fn isolation() -> Result<&'static [&'static str], String> {
    static FOUND: OnceLock<Result<&'static [&'static str], String>> = OnceLock::new();
    let as_root: &[&str] = &["--net", "--pid", "--fork", "--kill-child"];
    let as_anybody: &[&str] = &["--user", "--map-root-user", "--net", "--pid", "--fork", "--kill-child"];
    let found = FOUND.get_or_init(|| {
        let mut why = String::new();
        for arguments in [as_root, as_anybody] {
            match Command::new("unshare").args(arguments).arg("true").output() {
                Ok(output) if output.status.success() => return Ok(arguments),
                Ok(output) => why = text(&output.stderr).trim().to_owned(),
                Err(error) => why = format!("unshare: {error}"),
            }
        }
        Err(format!("no namespaces for it: {why}"))
    });
    found.clone()
}

fn isolated() -> Command {
    let mut command = Command::new("unshare");
    command.args(isolation().unwrap());
    command
}

fn whoami() -> String {
    text(&Command::new("id").arg("-u").output().unwrap().stdout).trim().to_owned()
}

/// Makes a domain beside the folder, and moves it there whole: another process may do the same.
fn provision(kept: &Path) {
    let beside = tempfile::Builder::new().prefix("samba-new-").tempdir_in(kept.parent().unwrap()).unwrap();
    let entries = beside.path().join("first.ldif");
    fs::write(&entries, first_entries()).unwrap();
    let mut command = isolated();
    let output = command.args([PYTHON, HELPER, "provision"]).arg(beside.path()).arg(&entries).output().unwrap();
    assert!(output.status.success(), "Samba is here and makes no domain: {}", text(&output.stderr));
    let made = beside.keep();
    if let Err(error) = fs::rename(&made, kept) {
        let _ = fs::remove_dir_all(&made);
        assert!(kept.join("private").is_dir(), "{}: {error}", kept.display());
    }
}

fn copied(domain: &Path) -> TempDir {
    let folder = tempfile::Builder::new().prefix("samba-").tempdir().unwrap();
    copy(domain, folder.path());
    folder
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let there = to.join(entry.file_name());
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            fs::create_dir(&there).unwrap();
            copy(&entry.path(), &there);
        } else if kind.is_file() {
            fs::copy(entry.path(), there).unwrap();
        }
    }
}

/// Samba refuses a key that others may read.
fn restrict(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// What every domain begins with. The administrator's password does not expire: the domain is kept for long.
fn first_entries() -> String {
    let mut ldif = format!(
        "dn: CN=Administrator,CN=Users,{BASE}\nchangetype: modify\nreplace: userAccountControl\nuserAccountControl: 66048\n\n"
    );
    for name in ["People", "Elsewhere", "Groups", "Crowd"] {
        ldif += &format!("dn: OU={name},{BASE}\nchangetype: add\nobjectClass: organizationalUnit\nou: {name}\n\n");
    }
    let members: Vec<String> = (0..CROWD).map(|n| format!("CN=C{n:04},OU=Crowd,{BASE}")).collect();
    for (n, dn) in members.iter().enumerate() {
        ldif += &added(&format!(
            "dn: {dn}\nobjectClass: user\nsAMAccountName: c{n:04}\nsn: Crowd\ngivenName: C{n:04}\nuserAccountControl: 512\n\n"
        ));
    }
    ldif + &added(&group("everybody", &members).replace("OU=Groups", "OU=Crowd"))
}

/// The same entry, with what says that it is added.
pub fn added(entry: &str) -> String {
    entry.replacen('\n', "\nchangetype: add\n", 1)
}

/// The DN of a person who is called so.
pub fn dn(name: &str) -> String {
    format!("CN={name},OU=People,{BASE}")
}

pub fn group_dn(name: &str) -> String {
    format!("CN={name},OU=Groups,{BASE}")
}

/// A person's entry: somebody who may sign in, were there a password.
pub fn person(name: &str) -> String {
    format!(
        "dn: {}\nobjectClass: user\nsAMAccountName: {name}\nuserPrincipalName: {name}@corp.example\nsn: Test\n\
         givenName: {name}\ndisplayName: {name} Test\nmail: {name}@corp.example\nuserAccountControl: 512\n\n",
        dn(name)
    )
}

/// A group's entry; its members by DN.
pub fn group(name: &str, members: &[String]) -> String {
    let members: String = members.iter().map(|dn| format!("member: {dn}\n")).collect();
    format!("dn: {}\nobjectClass: group\nsAMAccountName: {name}\n{members}\n", group_dn(name))
}
