//! The JSON envelope: one document, whose first field names the schema.

use std::io::{self, Write};

use serde::Serialize;

/// A document with its schema in front.
#[derive(Debug, Serialize)]
pub struct Document<'a, T> {
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
    serde_json::to_writer_pretty(&mut *out, &Document { schema, body })?;
    writeln!(out).map_err(serde_json::Error::io)
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
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[derive(Serialize)]
    struct Head {
        packets: u64,
    }

    #[test]
    fn the_schema_comes_first() {
        let mut out = Vec::new();
        write_document(&mut out, "x/1", Head { packets: 3 }).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "{\n  \"schema\": \"x/1\",\n  \"packets\": 3\n}\n"
        );
    }

    #[test]
    fn a_stream_of_any_length_is_one_document() {
        for count in 0..3_u64 {
            let mut out = Vec::new();
            let mut stream = Stream::begin(&mut out, "x/1", Head { packets: 3 }, "rows").unwrap();
            for n in 0..count {
                stream.element(&n).unwrap();
            }
            stream.end().unwrap();
            let value: Value = serde_json::from_slice(&out).unwrap();
            let rows: Vec<u64> = (0..count).collect();
            assert_eq!(
                value,
                json!({ "schema": "x/1", "packets": 3, "rows": rows })
            );
        }
    }
}
