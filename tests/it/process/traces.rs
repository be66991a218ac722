//! Nothing is left behind by these tests themselves, whatever becomes of them.

use jira_scim::sandbox::{Sandbox, SandboxOptions};

use super::daemon::{Daemon, Home, processes_in};
use super::settings::Settings;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_test_that_fails_leaves_no_process_and_no_folder() {
    let jira = Sandbox::start(SandboxOptions::default()).await.unwrap();
    let text = Settings::new(&jira).text();
    let (told, folder) = tokio::sync::oneshot::channel();
    let test = tokio::spawn(async move {
        let home = Home::new();
        home.configure(&text);
        let _daemon = Daemon::start(&home).await;
        assert!(home.processes().len() > 2, "the daemon and PostgreSQL with its helpers");
        told.send(home.folder().to_path_buf()).unwrap();
        std::panic::resume_unwind(Box::new("as a failed assertion does"));
    });
    let folder = folder.await.unwrap();
    assert!(test.await.unwrap_err().is_panic());
    assert_eq!(processes_in(&folder), [] as [i32; 0]);
    assert!(!folder.exists());
}
