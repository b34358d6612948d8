//! Writing an image to a disk by its data alone, as `bmaptool` does.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;

/// Copies the data of `image` onto a disk of its size that is full of something
/// else; gives the bytes that were copied.
pub(crate) fn flash(image: &Path, disk: &Path) -> u64 {
    const PIECE: usize = 1 << 20;
    let image = File::open(image).unwrap();
    let size = image.metadata().unwrap().len();
    let disk = File::create_new(disk).unwrap();
    for start in (0..size).step_by(PIECE) {
        let length = (size - start).min(PIECE as u64);
        let noise = vec![0xa5; usize::try_from(length).unwrap()];
        disk.write_all_at(&noise, start).unwrap();
    }
    let mut copied = 0;
    let mut at = 0;
    loop {
        let start = match seek(&image, SeekFrom::Data(at)) {
            Ok(start) => start,
            Err(Errno::NXIO) => return copied,
            Err(error) => panic!("{error}"),
        };
        let end = seek(&image, SeekFrom::Hole(start)).unwrap();
        let mut data = vec![0; usize::try_from(end - start).unwrap()];
        image.read_exact_at(&mut data, start).unwrap();
        disk.write_all_at(&data, start).unwrap();
        copied += end - start;
        at = end;
    }
}
