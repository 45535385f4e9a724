//! A small disk: a file system in memory. The test runs itself again in a new mount namespace, so
//! the disk disappears with the test, however the test ends.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// The environment variable that is set when a test runs in its own namespace.
const INSIDE: &str = "GUESTLIST_TEST_IN_NAMESPACE";

/// Runs `test` with a disk of this many megabytes. `path` is the path of the calling test. If no
/// disk can be mounted, it prints that and runs nothing.
pub fn with_small_disk(path: &str, megabytes: usize, test: impl FnOnce(Disk)) {
    // The names in the test harness do not contain the crate's name.
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
        // Written to stderr directly, because the harness hides the output of tests that pass.
        let mut stderr = std::io::stderr();
        writeln!(stderr, "skipped: {name}, no small disk: {reason}").unwrap();
        return;
    }
    // The kernel kills the started processes if this thread ends before them.
    let inside = Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "unshare"])
        .args(namespace)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(INSIDE, "yes")
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    print!("{}{}", text(&inside.stdout), text(&inside.stderr));
    assert!(inside.status.success());
    assert!(text(&inside.stdout).contains("1 passed"), "there is no test {name}");
}

/// A mounted disk.
pub struct Disk {
    directory: TempDir,
    filler: PathBuf,
}

impl Disk {
    fn mount(megabytes: usize) -> Self {
        let directory = TempDir::new().unwrap();
        let size = format!("size={megabytes}m,mode=755");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &size, "guestlist"]).arg(directory.path());
        assert!(mount.status().unwrap().success());
        let filler = directory.path().join("ballast");
        Self { directory, filler }
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Fills the disk until only this many bytes are free.
    pub fn fill_up_to(&self, left: u64) {
        let mut file = File::options().create(true).append(true).open(&self.filler).unwrap();
        let full = std::io::copy(&mut std::io::repeat(0), &mut file).unwrap_err();
        assert_eq!(full.kind(), ErrorKind::StorageFull, "{full}");
        let size = file.metadata().unwrap().len();
        file.set_len(size.saturating_sub(left)).unwrap();
    }

    /// Frees that space again.
    pub fn make_room(&self) {
        std::fs::remove_file(&self.filler).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Its content disappears with the namespace.
        let unmounted = Command::new("umount").arg("--lazy").arg(self.path()).status();
        assert!(unmounted.unwrap().success() || std::thread::panicking());
    }
}
