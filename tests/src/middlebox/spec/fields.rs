//! The keys of a box: one list that both reads and writes them.

use super::{SpecError, Value};

/// Visits the keys of a box, either to fill them in from text or to write those that differ from
/// what is there anyway.
#[derive(Debug)]
pub struct Fields {
    name: &'static str,
    mode: Mode,
    known: Vec<&'static str>,
    error: Option<SpecError>,
}

#[derive(Debug)]
enum Mode {
    Read(Vec<(String, String)>),
    Write(Vec<(&'static str, String)>),
}

impl Fields {
    /// Reads `key=value,…` for the box of this name.
    pub(super) fn reader(name: &'static str, text: &str) -> Result<Self, SpecError> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for item in text.split(',').filter(|_| !text.is_empty()) {
            let (key, value) = item.split_once('=').ok_or_else(|| SpecError::NoValue {
                name,
                item: item.to_owned(),
            })?;
            if pairs.iter().any(|(known, _)| known == key) {
                return Err(SpecError::Twice {
                    name,
                    key: key.to_owned(),
                });
            }
            pairs.push((key.to_owned(), value.to_owned()));
        }
        Ok(Self::new(name, Mode::Read(pairs)))
    }

    /// Writes the keys of the box of this name.
    pub(super) fn writer(name: &'static str) -> Self {
        Self::new(name, Mode::Write(Vec::new()))
    }

    fn new(name: &'static str, mode: Mode) -> Self {
        Self {
            name,
            mode,
            known: Vec::new(),
            error: None,
        }
    }

    /// One key of the box; the field holds its default when it comes in to be read, and `default`
    /// is what need not be written.
    pub fn field<T: Value>(&mut self, key: &'static str, field: &mut T, default: &T) {
        self.known.push(key);
        match &mut self.mode {
            Mode::Read(pairs) => {
                let Some(at) = pairs.iter().position(|(given, _)| given == key) else {
                    return;
                };
                let (_, text) = pairs.remove(at);
                match T::read(&text) {
                    Some(value) => *field = value,
                    None => {
                        self.error.get_or_insert(SpecError::Value {
                            name: self.name,
                            key,
                            value: text,
                            allowed: T::allowed(),
                        });
                    }
                }
            }
            Mode::Write(pairs) => {
                if field != default {
                    pairs.push((key, field.write()));
                }
            }
        }
    }

    /// Whether everything that was given has been understood.
    pub(super) fn finish(self) -> Result<(), SpecError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        match self.mode {
            Mode::Read(pairs) if !pairs.is_empty() => Err(SpecError::Key {
                name: self.name,
                key: pairs[0].0.clone(),
                allowed: self.known.join(", "),
            }),
            _ => Ok(()),
        }
    }

    /// The text of the box.
    pub(super) fn text(self) -> String {
        let pairs = match self.mode {
            Mode::Write(pairs) => pairs,
            Mode::Read(_) => Vec::new(),
        };
        let items: Vec<String> = pairs
            .into_iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        if items.is_empty() {
            self.name.to_owned()
        } else {
            format!("{}:{}", self.name, items.join(","))
        }
    }
}
