//! The directory of the index: files that are mapped into memory to be read, and written without
//! waiting for the disk.
//!
//! A commit of one product writes some ten files, and to have each of them on disk takes ten times
//! as long as all the rest. Nothing here needs that: what a power failure takes is found out by
//! the checksums when the index is opened ([`super::Index::open`]) and fed again from the event
//! log. The end of a process takes nothing, for the files are the system's by then.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tantivy::Directory;
use tantivy::directory::error::{DeleteError, LockError, OpenReadError, OpenWriteError};
use tantivy::directory::{
    AntiCallToken, DirectoryLock, FileHandle, Lock, MmapDirectory, TerminatingWrite, WatchCallback,
    WatchHandle, WritePtr,
};

/// Where the engine keeps the names of the files it may delete, to be written anew with every file.
/// The directory knows them as well.
const FILE_LIST: &str = ".managed.json";

/// A [`MmapDirectory`] that leaves it to the system when files reach the disk.
#[derive(Debug, Clone)]
pub(super) struct LazyDirectory {
    root: PathBuf,
    mapped: MmapDirectory,
}

impl LazyDirectory {
    pub fn open(root: &Path) -> tantivy::Result<LazyDirectory> {
        Ok(LazyDirectory {
            root: root.to_owned(),
            mapped: MmapDirectory::open(root)?,
        })
    }

    /// The files of the index as the engine would have listed them.
    fn file_list(&self) -> io::Result<Vec<u8>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.root)? {
            let name = entry?.file_name();
            // Locks and the like begin with a dot; the engine names all others itself, in ASCII.
            names.extend(
                name.into_string()
                    .ok()
                    .filter(|name| !name.starts_with('.')),
            );
        }
        Ok(format!("{names:?}").into_bytes())
    }
}

impl Directory for LazyDirectory {
    fn get_file_handle(&self, path: &Path) -> Result<Arc<dyn FileHandle>, OpenReadError> {
        self.mapped.get_file_handle(path)
    }

    fn delete(&self, path: &Path) -> Result<(), DeleteError> {
        self.mapped.delete(path)
    }

    fn exists(&self, path: &Path) -> Result<bool, OpenReadError> {
        self.mapped.exists(path)
    }

    fn open_write(&self, path: &Path) -> Result<WritePtr, OpenWriteError> {
        let mut options = OpenOptions::new();
        let file = options.write(true).create_new(true);
        match file.open(self.root.join(path)) {
            Ok(file) => Ok(BufWriter::new(Box::new(LazyFile(file)))),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Err(OpenWriteError::FileAlreadyExists(path.to_owned()))
            }
            Err(error) => Err(OpenWriteError::wrap_io_error(error, path.to_owned())),
        }
    }

    fn atomic_read(&self, path: &Path) -> Result<Vec<u8>, OpenReadError> {
        if path == Path::new(FILE_LIST) {
            let list = self.file_list();
            return list.map_err(|error| OpenReadError::wrap_io_error(error, path.to_owned()));
        }
        self.mapped.atomic_read(path)
    }

    /// Beside the list of files there is only `meta.json`, and one thread writes it: so the name of
    /// the temporary file is free.
    fn atomic_write(&self, path: &Path, data: &[u8]) -> io::Result<()> {
        if path == Path::new(FILE_LIST) {
            return Ok(());
        }
        let target = self.root.join(path);
        let temporary = target.with_extension("tmp");
        fs::write(&temporary, data)?;
        fs::rename(&temporary, &target)
    }

    fn sync_directory(&self) -> io::Result<()> {
        Ok(())
    }

    fn acquire_lock(&self, lock: &Lock) -> Result<DirectoryLock, LockError> {
        self.mapped.acquire_lock(lock)
    }

    fn watch(&self, callback: WatchCallback) -> tantivy::Result<WatchHandle> {
        self.mapped.watch(callback)
    }
}

struct LazyFile(File);

impl Write for LazyFile {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.0.write(data)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl TerminatingWrite for LazyFile {
    fn terminate_ref(&mut self, _: AntiCallToken) -> io::Result<()> {
        self.flush()
    }
}
