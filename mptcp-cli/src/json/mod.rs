//! The JSON envelope: one document, whose first field names the schema.

mod write;

use std::io::{self, Write};

use serde::Serialize;

use self::write::{Writer, new_line, string};

/// A document with its schema in front.
#[derive(Debug, Serialize)]
struct Document<'a, T> {
    schema: &'a str,
    #[serde(flatten)]
    body: T,
}

/// Writes `body`, a struct or a map, as one JSON document of `schema`, with a newline at its end.
pub fn write_document<T: Serialize>(
    out: &mut dyn Write,
    schema: &str,
    body: T,
) -> serde_json::Result<()> {
    let mut bytes = Vec::new();
    Document { schema, body }.serialize(&mut Writer::new(&mut bytes, 0))?;
    bytes.push(b'\n');
    out.write_all(&bytes).map_err(serde_json::Error::io)
}

/// A document of which only a part is in memory: its head, arrays whose elements are written as they
/// come, fields. It looks like one of [`write_document`].
pub struct Lines<'a> {
    out: &'a mut dyn Write,
    bytes: Vec<u8>,
}

impl<'a> Lines<'a> {
    /// Begins the document: schema and the fields of `head`, a struct or a map.
    pub fn begin<T: Serialize>(
        out: &'a mut dyn Write,
        schema: &str,
        head: T,
    ) -> serde_json::Result<Self> {
        let mut bytes = Vec::new();
        Document { schema, body: head }.serialize(&mut Writer::new(&mut bytes, 0))?;
        // The end of the object, which is the end of the document.
        bytes.truncate(bytes.len().saturating_sub(b"\n}".len()));
        Ok(Lines { out, bytes })
    }

    /// Begins the array `name`.
    pub fn begin_array(&mut self, name: &str) -> serde_json::Result<Array<'_, 'a>> {
        self.begin_field(name)?;
        self.bytes.push(b'[');
        Ok(Array {
            lines: self,
            is_empty: true,
        })
    }

    /// Writes the field `name`.
    pub fn field<T: Serialize>(&mut self, name: &str, value: &T) -> serde_json::Result<()> {
        self.begin_field(name)?;
        value.serialize(&mut Writer::new(&mut self.bytes, 1))
    }

    /// Ends the document.
    pub fn end(mut self) -> serde_json::Result<()> {
        self.bytes.extend_from_slice(b"\n}\n");
        self.flush()
    }

    fn begin_field(&mut self, name: &str) -> serde_json::Result<()> {
        self.bytes.push(b',');
        new_line(&mut self.bytes, 1);
        string(&mut self.bytes, name)?;
        self.bytes.extend_from_slice(b": ");
        Ok(())
    }

    fn flush(&mut self) -> serde_json::Result<()> {
        self.out
            .write_all(&self.bytes)
            .map_err(serde_json::Error::io)?;
        self.bytes.clear();
        Ok(())
    }
}

impl std::fmt::Debug for Lines<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lines").finish_non_exhaustive()
    }
}

/// Elements of an array of [`Lines`] as text: made anywhere, written by [`Array::extend`].
#[derive(Debug, Default)]
pub struct Elements {
    /// Each element with a comma in front.
    bytes: Vec<u8>,
}

impl Elements {
    /// Adds an element.
    pub fn push<T: Serialize>(&mut self, element: &T) -> serde_json::Result<()> {
        self.bytes.push(b',');
        new_line(&mut self.bytes, 2);
        element.serialize(&mut Writer::new(&mut self.bytes, 2))
    }
}

/// An array of [`Lines`] whose elements are written as they come.
#[derive(Debug)]
pub struct Array<'w, 'a> {
    lines: &'w mut Lines<'a>,
    is_empty: bool,
}

impl Array<'_, '_> {
    /// Writes the next elements.
    pub fn extend(&mut self, elements: &Elements) -> serde_json::Result<()> {
        let mut text = elements.bytes.as_slice();
        if self.is_empty {
            text = text.strip_prefix(b",").unwrap_or(text);
        }
        self.is_empty &= text.is_empty();
        self.lines.flush()?;
        self.lines
            .out
            .write_all(text)
            .map_err(serde_json::Error::io)
    }

    /// Ends the array.
    pub fn end(self) {
        let bytes = &mut self.lines.bytes;
        if !self.is_empty {
            new_line(bytes, 1);
        }
        bytes.push(b']');
    }
}

/// A JSON document that ends in one long array whose elements are written as they come, so that
/// the document never has to be in memory.
pub struct Stream<'a> {
    out: &'a mut dyn Write,
    any: bool,
}

impl<'a> Stream<'a> {
    /// Begins the document: schema, the fields of `head`, then the array `name`.
    ///
    /// # Panics
    /// If `head` is neither a struct nor a map.
    pub fn begin<T: Serialize>(
        out: &'a mut dyn Write,
        schema: &str,
        head: T,
        name: &str,
    ) -> serde_json::Result<Self> {
        let head = serde_json::to_string(&Document { schema, body: head })?;
        let open = head
            .strip_suffix('}')
            .expect("a struct is written with braces around it");
        write!(out, "{open},{}:[", serde_json::to_string(name)?).map_err(serde_json::Error::io)?;
        Ok(Stream { out, any: false })
    }

    /// Writes the next element, on a line of its own.
    pub fn element<T: Serialize>(&mut self, element: &T) -> serde_json::Result<()> {
        let separator: &[u8] = if self.any { b",\n" } else { b"\n" };
        self.any = true;
        self.out
            .write_all(separator)
            .map_err(serde_json::Error::io)?;
        serde_json::to_writer(&mut *self.out, element)
    }

    /// Ends the array and the document.
    pub fn end(self) -> io::Result<()> {
        self.out.write_all(b"\n]}\n")
    }
}

impl std::fmt::Debug for Stream<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream")
            .field("any", &self.any)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
