//! A small disk: a file system in memory, in a mount namespace in which the test
//! runs itself again, so that it is gone with the test, however that ends.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// Set where a test runs in a namespace of its own.
const INSIDE: &str = "GUESTLIST_TEST_IN_NAMESPACE";

/// Runs `test` with a disk of so many megabytes; `path` leads to the test that asks
/// for it. Where no disk can be had, that is said and nothing run.
pub fn with_small_disk(path: &str, megabytes: usize, test: impl FnOnce(Disk)) {
    // The harness leaves the crate's name out.
    let (_, name) = path.split_once("::").unwrap();
    if std::env::var_os(INSIDE).is_some() {
        return test(Disk::mount(megabytes));
    }
    let namespace: &[&str] =
        if rustix::process::geteuid().is_root() { &["--mount"] } else { &["-r", "--mount"] };
    let mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "guestlist", "/tmp"];
    let probe = Command::new("unshare").args(namespace).args(mount).output();
    let reason = match probe {
        Ok(probe) if probe.status.success() => None,
        Ok(probe) => Some(String::from_utf8_lossy(&probe.stderr).trim().to_owned()),
        Err(error) => Some(error.to_string()),
    };
    if let Some(reason) = reason {
        // Past the harness, which shows no output of tests that pass.
        let mut told = std::io::stderr();
        writeln!(told, "skipped: {name}, no small disk: {reason}").unwrap();
        return;
    }
    // Both end with this thread, should it not see their end.
    let inside = Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "unshare"])
        .args(namespace)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(INSIDE, "yes")
        .output()
        .unwrap();
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    print!("{}{}", said(&inside.stdout), said(&inside.stderr));
    assert!(inside.status.success());
    assert!(said(&inside.stdout).contains("1 passed"), "there is no test {name}");
}

/// The disk, mounted.
pub struct Disk {
    directory: TempDir,
    ballast: PathBuf,
}

impl Disk {
    fn mount(megabytes: usize) -> Self {
        let directory = TempDir::new().unwrap();
        let size = format!("size={megabytes}m,mode=755");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &size, "guestlist"]).arg(directory.path());
        assert!(mount.status().unwrap().success());
        let ballast = directory.path().join("ballast");
        Self { directory, ballast }
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Takes all room but so many bytes.
    pub fn fill_up_to(&self, left: u64) {
        let mut file = File::options().create(true).append(true).open(&self.ballast).unwrap();
        let full = std::io::copy(&mut std::io::repeat(0), &mut file).unwrap_err();
        assert_eq!(full.kind(), ErrorKind::StorageFull, "{full}");
        let size = file.metadata().unwrap().len();
        file.set_len(size.saturating_sub(left)).unwrap();
    }

    /// Gives that room back.
    pub fn make_room(&self) {
        std::fs::remove_file(&self.ballast).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // What is in it goes with the namespace.
        let unmounted = Command::new("umount").arg("--lazy").arg(self.path()).status();
        assert!(unmounted.unwrap().success() || std::thread::panicking());
    }
}
