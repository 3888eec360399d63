//! Files that hold secrets: created with mode 0600, read with a bound.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
};

use crypto::Secret;

use crate::exit::{Exit, Failure};

/// Longest secret file read, in bytes.
const BYTES_MAX: u64 = 64 << 10;

/// Creates a file only its owner can read; refuses to replace one.
///
/// # Errors
/// As the file system reports.
pub(crate) fn create(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = open_new(path)?;
    file.write_all(content)?;
    file.sync_all()
}

/// Opens a new file only its owner can read; refuses to replace one.
///
/// # Errors
/// As the file system reports.
pub(crate) fn open_new(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// Reads a secret of one line, without its line end.
///
/// # Errors
/// [`Failure`] naming the file: unreadable, open to others, empty, shorter than `chars_min`, or not one line of text.
pub(crate) fn read_line(path: &Path, chars_min: usize) -> Result<Secret<String>, Failure> {
    let bad = |what: String| Failure::new(Exit::Usage, format!("{}: {what}", path.display()));
    let file = File::open(path).map_err(|error| bad(format!("cannot be read: {error}")))?;
    let mode = file.metadata().map_err(|error| bad(format!("cannot be read: {error}")))?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(bad(format!("holds a secret but has mode {:04o}; run chmod 600", mode & 0o7777)));
    }
    let mut text = String::new();
    file.take(BYTES_MAX)
        .read_to_string(&mut text)
        .map_err(|error| bad(format!("cannot be read as text: {error}")))?;
    let line = text.strip_suffix('\n').unwrap_or(&text).to_owned();
    if line.len() < chars_min || !line.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(bad(format!("must hold one line of at least {chars_min} printable characters")));
    }
    Ok(Secret::new(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_of_others_eyes_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        create(&path, b"0123456789abcdef\n").unwrap();
        assert_eq!(read_line(&path, 16).unwrap().expose(), "0123456789abcdef");
        assert!(create(&path, b"again").is_err());
        assert!(read_line(&path, 17).unwrap_err().message.contains("at least 17"));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(read_line(&path, 16).unwrap_err().message.contains("mode 0644"));
    }
}
