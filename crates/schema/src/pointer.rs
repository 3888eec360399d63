//! JSON pointers (RFC 6901) as chains on the stack, made into text only when somebody has to read one.

use std::fmt;

/// A place in a document: a step, and the place it was taken from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pointer<'a> {
    from: Option<&'a Self>,
    step: Step<'a>,
}

#[derive(Debug, Clone, Copy)]
enum Step<'a> {
    Index(usize),
    Name(&'a str),
    Root,
}

/// Bytes of a name that a pointer shows; names from outside can be long.
const NAME_BYTES_MAX: usize = 128;

impl<'a> Pointer<'a> {
    /// The whole document.
    pub(crate) const ROOT: Self = Self { from: None, step: Step::Root };

    /// The member `name` of this place.
    pub(crate) const fn name(&'a self, name: &'a str) -> Self {
        Self { from: Some(self), step: Step::Name(name) }
    }

    /// The element `index` of this place.
    pub(crate) const fn index(&'a self, index: usize) -> Self {
        Self { from: Some(self), step: Step::Index(index) }
    }

    /// The innermost name, if any step is one.
    pub(crate) fn last_name(&self) -> Option<&'a str> {
        match self.step {
            Step::Name(name) => Some(cut(name)),
            Step::Index(_) => self.from?.last_name(),
            Step::Root => None,
        }
    }
}

/// At most [`NAME_BYTES_MAX`] bytes of `name`, whole characters.
fn cut(name: &str) -> &str {
    &name[..name.floor_char_boundary(NAME_BYTES_MAX)]
}

impl fmt::Display for Pointer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(from) = self.from {
            from.fmt(f)?;
        }
        match self.step {
            Step::Root => Ok(()),
            Step::Index(index) => write!(f, "/{index}"),
            Step::Name(name) => {
                f.write_str("/")?;
                for character in cut(name).chars() {
                    match character {
                        '~' => f.write_str("~0")?,
                        '/' => f.write_str("~1")?,
                        control if control.is_control() => write!(f, "{}", control.escape_unicode())?,
                        other => write!(f, "{other}")?,
                    }
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_are_escaped_and_cut() {
        let root = Pointer::ROOT;
        let paths = root.name("paths");
        let path = paths.name("/a~b");
        let item = path.index(3);
        assert_eq!(item.to_string(), "/paths/~1a~0b/3");
        assert_eq!(item.last_name(), Some("/a~b"));
        assert_eq!(root.to_string(), "");
        let long = "é".repeat(1_000);
        assert_eq!(root.name(&long).to_string().len(), 1 + NAME_BYTES_MAX);
    }
}
