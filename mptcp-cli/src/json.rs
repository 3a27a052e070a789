//! The JSON envelope: one document, whose first field names the schema.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::Formatter;

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
    let mut chunks = Chunks {
        out,
        bytes: Vec::with_capacity(CHUNK_BYTES + 1024),
    };
    let mut serializer =
        serde_json::Serializer::with_formatter(&mut chunks, LineFormatter::default());
    Document { schema, body }.serialize(&mut serializer)?;
    chunks.bytes.push(b'\n');
    chunks.flush().map_err(serde_json::Error::io)
}

/// Puts the small writes of a serializer together: a document of many connections has millions.
struct Chunks<'a> {
    out: &'a mut dyn Write,
    bytes: Vec<u8>,
}

impl Write for Chunks<'_> {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes)?;
        Ok(bytes.len())
    }

    #[inline]
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.bytes.extend_from_slice(bytes);
        if self.bytes.len() >= CHUNK_BYTES {
            return self.flush();
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.write_all(&self.bytes)?;
        self.bytes.clear();
        Ok(())
    }
}

/// A line for each field of the document and for each element of its arrays, everything deeper in
/// that line: a document of many connections is half as long, and `grep` finds whole connections.
#[derive(Default)]
struct LineFormatter {
    depth: usize,
    has_value: bool,
}

impl LineFormatter {
    #[inline]
    fn begin<W: Write + ?Sized>(&mut self, out: &mut W, bracket: &[u8]) -> io::Result<()> {
        self.depth += 1;
        self.has_value = false;
        out.write_all(bracket)
    }

    #[inline]
    fn end<W: Write + ?Sized>(&mut self, out: &mut W, bracket: &[u8]) -> io::Result<()> {
        self.depth = self.depth.saturating_sub(1);
        if self.has_value && self.depth < LINE_DEPTH {
            self.new_line(out)?;
        }
        out.write_all(bracket)
    }

    #[inline]
    fn next<W: Write + ?Sized>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        if !first {
            out.write_all(b",")?;
        }
        if self.depth <= LINE_DEPTH {
            self.new_line(out)?;
        }
        Ok(())
    }

    fn new_line<W: Write + ?Sized>(&self, out: &mut W) -> io::Result<()> {
        const LINE: &[u8] = b"\n    ";
        out.write_all(LINE.get(..=self.depth * 2).unwrap_or(LINE))
    }
}

impl Formatter for LineFormatter {
    #[inline]
    fn begin_array<W: Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        self.begin(out, b"[")
    }

    #[inline]
    fn end_array<W: Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        self.end(out, b"]")
    }

    #[inline]
    fn begin_array_value<W: Write + ?Sized>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.next(out, first)
    }

    #[inline]
    fn end_array_value<W: Write + ?Sized>(&mut self, _: &mut W) -> io::Result<()> {
        self.has_value = true;
        Ok(())
    }

    #[inline]
    fn begin_object<W: Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        self.begin(out, b"{")
    }

    #[inline]
    fn end_object<W: Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        self.end(out, b"}")
    }

    #[inline]
    fn begin_object_key<W: Write + ?Sized>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.next(out, first)
    }

    #[inline]
    fn begin_object_value<W: Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        out.write_all(b": ")
    }

    #[inline]
    fn end_object_value<W: Write + ?Sized>(&mut self, _: &mut W) -> io::Result<()> {
        self.has_value = true;
        Ok(())
    }
}

/// Bytes that are written at once.
const CHUNK_BYTES: usize = 64 << 10;

/// Brackets inside of which each value has a line of its own.
const LINE_DEPTH: usize = 2;

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
    fn every_element_of_an_array_has_its_line() {
        let body = json!({ "empty": [], "rows": [{ "a": [1, {}], "b": "x\n" }, { "a": [] }] });
        let mut out = Vec::new();
        write_document(&mut out, "x/1", &body).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(
            text,
            "{\n  \"schema\": \"x/1\",\n  \"empty\": [],\n  \"rows\": [\n    {\"a\": [1,{}],\"b\": \"x\\n\"},\n    \
             {\"a\": []}\n  ]\n}\n"
        );
    }

    #[test]
    fn documents_hold_what_serde_json_holds() {
        let deep = (0..30).fold(
            json!({}),
            |inner, n| json!({ "n": n, "in": [inner, [], {}] }),
        );
        let long: Vec<String> = (0..20_000).map(|n| n.to_string()).collect();
        for body in [deep, json!({ "long": long, "text": "a\n\"b\"" })] {
            let mut out = Vec::new();
            write_document(&mut out, "x/1", &body).unwrap();
            let schema = "x/1";
            let found: Value = serde_json::from_slice(&out).unwrap();
            let expected = serde_json::to_value(Document { schema, body }).unwrap();
            assert_eq!(found, expected);
        }
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
