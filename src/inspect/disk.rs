//! The bytes of a disk, whatever file they lie in, and stretches of it.

use std::error::Error;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use ext4_view::Ext4Read;

use super::qcow2::Qcow2;
use super::vhd::DynamicVhd;

/// A disk that many threads read at any place.
#[derive(Clone, Debug)]
pub struct Disk {
    form: Arc<Form>,
    /// Bytes.
    size: u64,
}

/// Where its bytes are.
#[derive(Debug)]
enum Form {
    /// In a file, as they are, from its start on.
    Plain(File),
    Qcow2(Qcow2),
    Vhd(DynamicVhd),
}

/// A stretch of a disk, which holds a filesystem perhaps.
#[derive(Clone, Debug)]
pub struct Volume {
    disk: Disk,
    /// Byte of the disk at which it begins.
    start: u64,
    /// Bytes.
    size: u64,
}

impl Disk {
    /// The first `size` bytes of `file`.
    #[must_use]
    pub fn plain(file: File, size: u64) -> Self {
        Self::new(Form::Plain(file), size)
    }

    pub(super) fn qcow2(qcow2: Qcow2, size: u64) -> Self {
        Self::new(Form::Qcow2(qcow2), size)
    }

    pub(super) fn vhd(vhd: DynamicVhd, size: u64) -> Self {
        Self::new(Form::Vhd(vhd), size)
    }

    fn new(form: Form, size: u64) -> Self {
        Self {
            form: Arc::new(form),
            size,
        }
    }

    /// Bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The `size` bytes from `start` on; nothing if the disk ends before.
    #[must_use]
    pub fn volume(&self, start: u64, size: u64) -> Option<Volume> {
        let end = start.checked_add(size)?;
        (end <= self.size).then(|| Volume {
            disk: self.clone(),
            start,
            size,
        })
    }

    /// All of it.
    #[must_use]
    pub fn whole(&self) -> Volume {
        Volume {
            disk: self.clone(),
            start: 0,
            size: self.size,
        }
    }

    fn read_exact_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        match &*self.form {
            Form::Plain(file) => file.read_exact_at(bytes, offset),
            Form::Qcow2(qcow2) => qcow2.read_exact_at(bytes, offset),
            Form::Vhd(vhd) => vhd.read_exact_at(bytes, offset),
        }
    }
}

impl Volume {
    /// Bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Fills `bytes` with those from `offset` on; an error if the volume ends before.
    pub fn read_exact_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        let end = offset.checked_add(bytes.len() as u64);
        if end.is_none_or(|end| end > self.size) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.disk.read_exact_at(bytes, self.start + offset)
    }

    /// Whether `magic` stands at `offset`; not if the volume ends before.
    pub(super) fn has_at(&self, offset: u64, magic: &[u8]) -> io::Result<bool> {
        let mut found = vec![0; magic.len()];
        match self.read_exact_at(&mut found, offset) {
            Ok(()) => Ok(found == magic),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl Ext4Read for Volume {
    fn read(
        &mut self,
        start_byte: u64,
        bytes: &mut [u8],
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        Ok(self.read_exact_at(bytes, start_byte)?)
    }
}

/// A number that was checked to be small.
pub(super) fn in_memory(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
