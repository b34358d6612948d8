//! Machines of QEMU's, emulated: there need be no KVM.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use super::command::start;
use super::env;

/// The modules that the kernel needs for its disk, each after those that it needs.
pub(crate) const DISK_MODULES: [&str; 6] = [
    "virtio_ring",
    "virtio",
    "virtio_pci_modern_dev",
    "virtio_pci_legacy_dev",
    "virtio_pci",
    "virtio_blk",
];

/// What a machine has as its disk.
#[derive(Clone, Debug)]
pub(crate) struct Drive {
    pub(crate) file: PathBuf,
    /// What QEMU calls the container.
    pub(crate) format: &'static str,
    /// Whether what the machine writes is forgotten, and the file stays as it is.
    pub(crate) forgets: bool,
}

impl Drive {
    /// A plain disk, which the machine may write.
    pub(crate) fn plain(file: &Path) -> Self {
        Self {
            file: file.to_owned(),
            format: "raw",
            forgets: false,
        }
    }

    /// What stands in the store, which nothing writes.
    pub(crate) fn of_store(file: PathBuf, format: &'static str) -> Self {
        Self {
            file,
            format,
            forgets: true,
        }
    }

    /// As QEMU's option has it.
    fn option(&self) -> String {
        // Two commas stand for one in the file name of QEMU's options.
        let file = self.file.to_str().unwrap().replace(',', ",,");
        let snapshot = if self.forgets { "on" } else { "off" };
        format!(
            "file={file},format={},if=virtio,cache=unsafe,snapshot={snapshot}",
            self.format
        )
    }
}

/// A machine that runs, seen through its serial console. It ends itself; if it does
/// not, `timeout` ends it, and what waits for its console sees the end of that.
#[derive(Debug)]
pub(crate) struct Machine {
    child: Child,
    stdin: ChildStdin,
    stdout: ChildStdout,
    /// All that the console said.
    transcript: Vec<u8>,
    /// Bytes of it that were waited for.
    seen: usize,
}

impl Machine {
    /// Longer than any test needs on a machine with much else to do.
    const TIMEOUT_SECONDS: &str = "400";

    /// Starts `qemu-system-{architecture}` with `arguments` and `disk`.
    #[track_caller]
    pub(crate) fn start(architecture: &str, arguments: &[&str], disk: &Drive) -> Self {
        let mut command = Command::new("timeout");
        command
            .args(["--kill-after=10", Self::TIMEOUT_SECONDS])
            .arg(format!("qemu-system-{architecture}"))
            .args(["-accel", "tcg", "-m", "512", "-nic", "none", "-no-reboot"])
            .args(["-display", "none", "-monitor", "none", "-serial", "stdio"])
            .args(arguments)
            .arg("-drive")
            .arg(disk.option())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = start(&mut command);
        Self {
            stdin: child.stdin.take().expect("it is piped"),
            stdout: child.stdout.take().expect("it is piped"),
            child,
            transcript: Vec::new(),
            seen: 0,
        }
    }

    /// Boots Debian's kernel with `initrd`, whose init finds the modules for `disk` in `MODULES`;
    /// gives what the machine said until it ended itself.
    #[track_caller]
    pub(crate) fn boot_linux(initrd: &Path, disk: &Path) -> String {
        let kernel = env::kernel().join("vmlinuz");
        // Init's environment is what the kernel does not understand of its command line.
        let modules = DISK_MODULES.join(" ");
        let command_line =
            format!("console=ttyS0 panic=-1 quiet no_timer_check \"MODULES={modules}\"");
        let arguments = [
            "-kernel",
            kernel.to_str().unwrap(),
            "-initrd",
            initrd.to_str().unwrap(),
            "-append",
            &command_line,
        ];
        let console = Self::start("x86_64", &arguments, &Drive::plain(disk)).finish();
        console.replace("\r\n", "\n")
    }

    /// Types `text`.
    #[track_caller]
    pub(crate) fn send(&mut self, text: &str) {
        if let Err(error) = self.stdin.write_all(text.as_bytes()) {
            panic!("cannot type {text:?}: {error}\n{}", self.said());
        }
    }

    /// Waits for the console to say `text`; gives what it said before that.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, text: &str) -> String {
        loop {
            let new = &self.transcript[self.seen..];
            let found = new
                .windows(text.len())
                .position(|window| window == text.as_bytes());
            if let Some(at) = found {
                let before = String::from_utf8_lossy(&new[..at]).into_owned();
                self.seen += at + text.len();
                return before;
            }
            let mut buffer = [0; 1 << 14];
            match self.stdout.read(&mut buffer).unwrap() {
                0 => panic!("the machine ended without {text:?}:\n{}", self.said()),
                length => self.transcript.extend(&buffer[..length]),
            }
        }
    }

    /// Waits for the machine to end itself, with nothing more to type; gives all that
    /// its console said.
    #[track_caller]
    pub(crate) fn finish(mut self) -> String {
        self.stdout.read_to_end(&mut self.transcript).unwrap();
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}:\n{}", self.said());
        self.said()
    }

    fn said(&self) -> String {
        String::from_utf8_lossy(&self.transcript).into_owned()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // Of `timeout`, which ends the machine with it; one that has ended is no error.
        if let Ok(None) = self.child.try_wait() {
            let pid = self.child.id().to_string();
            let _ = start(Command::new("kill").arg(pid)).wait();
            let _ = self.child.wait();
        }
    }
}
