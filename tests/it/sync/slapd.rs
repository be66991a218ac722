//! A real OpenLDAP server in a folder of its own, for one test. It ends with the test.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

pub const BASE: &str = "dc=corp,dc=example";
pub const ADMIN: &str = "cn=admin,dc=corp,dc=example";
pub const PASSWORD: &str = "admins-secret";

pub struct Slapd {
    folder: TempDir,
    child: Child,
    /// Where it listens with TCP, if it does.
    pub port: Option<u16>,
}

/// How a server is to be, besides the usual.
#[derive(Default)]
pub struct Wanted {
    /// Further lines of its configuration, before the database.
    pub global: String,
    /// Listens with TCP, too.
    pub tcp: bool,
    /// Speaks `ldaps` there.
    pub tls: bool,
}

impl Slapd {
    /// A server that holds these entries.
    pub fn start(ldif: &str) -> Self {
        Self::wanted(ldif, |_| Wanted::default())
    }

    /// A server of that kind; its folder is known when it is asked for.
    pub fn wanted(ldif: &str, wanted: impl Fn(&Path) -> Wanted) -> Self {
        let folder = tempfile::Builder::new().prefix("slapd-").tempdir().unwrap();
        let wanted = wanted(folder.path());
        let conf = configuration(folder.path(), &wanted.global);
        std::fs::create_dir(folder.path().join("db")).unwrap();
        std::fs::write(folder.path().join("slapd.conf"), conf).unwrap();
        let text = folder.path().join("first.ldif");
        std::fs::write(&text, ldif).unwrap();
        let added = Command::new(program("slapadd"))
            .args(["-q", "-f"])
            .arg(folder.path().join("slapd.conf"))
            .arg("-l")
            .arg(&text)
            .output()
            .unwrap();
        assert!(added.status.success(), "slapadd: {}", String::from_utf8_lossy(&added.stderr));
        // Somebody else may take a free port before the server does.
        for _ in 0..5 {
            let port = wanted.tcp.then(free_port);
            if let Some(child) = spawned(folder.path(), port, wanted.tls) {
                return Self { folder, child, port };
            }
        }
        panic!("slapd does not start: {}", std::fs::read_to_string(folder.path().join("log")).unwrap_or_default());
    }

    /// Its address on a socket of its own.
    pub fn url(&self) -> String {
        format!("ldapi://{}", escaped(&socket(self.folder.path())))
    }

    pub fn socket(&self) -> PathBuf {
        socket(self.folder.path())
    }

    /// Changes entries, as an administrator would with LDIF.
    pub fn modify(&self, ldif: &str) {
        let mut child = Command::new(program("ldapmodify"))
            .args(["-x", "-H", &self.url(), "-D", ADMIN, "-w", PASSWORD, "-e", "relax"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(ldif.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "ldapmodify: {}\n{ldif}", String::from_utf8_lossy(&output.stderr));
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Slapd {
    fn drop(&mut self) {
        self.kill();
    }
}

fn socket(folder: &Path) -> PathBuf {
    folder.join("socket")
}

fn escaped(path: &Path) -> String {
    path.to_str().unwrap().replace('/', "%2F")
}

fn program(name: &str) -> PathBuf {
    let places = ["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin"];
    let found = places.iter().map(|place| Path::new(place).join(name)).find(|path| path.exists());
    found.unwrap_or_else(|| panic!("{name} is not installed: run `.make/setup.sh ldap`"))
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A server that answers, or none.
fn spawned(folder: &Path, port: Option<u16>, tls: bool) -> Option<Child> {
    let mut addresses = format!("ldapi://{}", escaped(&socket(folder)));
    if let Some(port) = port {
        write!(addresses, " {}://127.0.0.1:{port}", if tls { "ldaps" } else { "ldap" }).unwrap();
    }
    let log = std::fs::File::create(folder.join("log")).unwrap();
    let mut child = Command::new(program("slapd"))
        .args(["-d", "0", "-h", &addresses, "-f"])
        .arg(folder.join("slapd.conf"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap();
    let give_up = std::time::Instant::now() + Duration::from_secs(30);
    while std::time::Instant::now() < give_up {
        if child.try_wait().unwrap().is_some() {
            return None;
        }
        if std::os::unix::net::UnixStream::connect(socket(folder)).is_ok() {
            return Some(child);
        }
        std::thread::yield_now();
    }
    let _ = child.kill();
    let _ = child.wait();
    None
}

fn configuration(folder: &Path, global: &str) -> String {
    let folder = folder.display();
    format!(
        "include /etc/ldap/schema/core.schema\n\
         include /etc/ldap/schema/cosine.schema\n\
         include /etc/ldap/schema/inetorgperson.schema\n\
         include /etc/ldap/schema/nis.schema\n\
         modulepath /usr/lib/ldap\n\
         moduleload back_mdb\n\
         moduleload ppolicy\n\
         pidfile {folder}/pid\n\
         {global}\n\
         database mdb\n\
         suffix {BASE}\n\
         rootdn {ADMIN}\n\
         rootpw {PASSWORD}\n\
         directory {folder}/db\n\
         maxsize 8589934592\n\
         dbnosync\n\
         index objectClass,entryUUID,uid,cn,member eq\n\
         overlay ppolicy\n"
    )
}

/// The tree that people and groups are in.
pub fn tree() -> String {
    let mut ldif = format!("dn: {BASE}\nobjectClass: dcObject\nobjectClass: organization\no: Corp\ndc: corp\n\n");
    for name in ["people", "elsewhere", "groups"] {
        write!(ldif, "dn: ou={name},{BASE}\nobjectClass: organizationalUnit\nou: {name}\n\n").unwrap();
    }
    ldif
}

pub fn dn(uid: &str) -> String {
    format!("uid={uid},ou=people,{BASE}")
}

pub fn group_dn(name: &str) -> String {
    format!("cn={name},ou=groups,{BASE}")
}

/// A person's entry.
pub fn person(uid: &str) -> String {
    format!(
        "dn: {}\nobjectClass: inetOrgPerson\nuid: {uid}\ncn: {uid} Test\nsn: Test\ngivenName: {uid}\n\
         mail: {uid}@corp.example\nuserPassword: secret\n\n",
        dn(uid)
    )
}

/// A group's entry; its members by DN.
pub fn group(name: &str, members: &[String]) -> String {
    let mut ldif = format!("dn: {}\nobjectClass: groupOfNames\ncn: {name}\n", group_dn(name));
    for member in members {
        writeln!(ldif, "member: {member}").unwrap();
    }
    ldif.push('\n');
    ldif
}

/// The same entries as if each had changed last an hour after the one before, long ago.
pub fn aged(ldif: &str) -> String {
    let told = |line: &&str| !line.starts_with("createTimestamp: ") && !line.starts_with("modifyTimestamp: ");
    let entries = ldif.trim_end().split("\n\n").map(|entry| entry.lines().filter(told).collect::<Vec<_>>().join("\n"));
    let mut aged = String::new();
    for (place, entry) in entries.enumerate() {
        let hours = chrono::TimeDelta::hours(i64::try_from(place).unwrap());
        let time = (chrono::DateTime::UNIX_EPOCH + hours).format("%Y%m%d%H%M%S");
        writeln!(aged, "{entry}\ncreateTimestamp: {time}Z\nmodifyTimestamp: {time}Z\n").unwrap();
    }
    aged
}
